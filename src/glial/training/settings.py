"""The plan's ``train`` part: how a network is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from glial.core.settings import Settings
from glial.training.loggers.table import LOGGERS

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
OptimizerName = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
ScheduleName = Literal[
    "constant",
    "step",
    "exponential",
    "linear",
    "cosine",
    "flat_cosine",
    "one_cycle",
    "coslog4",
    "plateau",
]


class TrainSettings(Settings):
    """How a network is trained; lengths are in epochs unless the name says otherwise.

    Attributes:
        epochs: Most passes over the training rows.
        batch_size: Rows of a batch; ``auto`` looks at the number of rows, ``full`` takes all.
        accumulate: Parts of a batch whose gradients are computed one after the other and added
            up: the same update in less memory. Where memory runs out, this is doubled.
        lr: Learning rate; ``auto`` measures one by a range test before training.
        weight_decay: Decoupled decay: weights shrink by ``lr * weight_decay`` a step.
        l1: Weight of the sum of absolute weights; a proximal step makes exact zeros.
        l2: Weight of the sum of squared weights, added to the gradient.
        warmup: Share of training over which the rate rises from zero.
        schedule_every: Epochs between the falls of the ``step`` schedule.
        schedule_gamma: Factor of ``step``, ``exponential`` and ``plateau``.
        clip_norm: Largest norm of the whole gradient.
        clip_value: Largest absolute value of any part of the gradient.
        patience: Epochs without improvement before training stops; None trains to the end.
        stop_below: Stop as soon as the validation loss is at or below this value.
        monitor: What chooses the best epoch: ``loss``, or the task's own score.
        restore_best: Whether the weights of the best epoch are the result.
        ema: Decay a step of an exponential moving average of the weights.
        swa_start: Share of training after which weights are averaged equally.
        time_limit: Most seconds of training.
        threads: Processor threads of one operation; ``auto`` is 1 for networks whose steps are
            so small that sharing them out costs more than it saves.
        step: How a step's passes run: ``eager`` as any, or ``captured`` once and run as a list of
            operations without Python's bookkeeping, with the same numbers, or ``compiled``:
            captured, with products and Adam's update in C, built once by the machine's GCC, whose
            numbers differ in their last bits, or ``torch_compile``: by torch's own compiler,
            which takes a minute or more. ``auto`` captures the small steps of long trainings,
            and compiles where a measurement finds it faster.
        layout: How images lie in memory; ``auto`` is what a convolution likes best here.
        precision: Of the network's passes; ``bfloat16`` keeps weights and losses in float32.
            ``auto`` is float32, or what was measured to be faster where training is long.
        freeze: Layers that keep their first weights: ``body`` is all but the head, a number is so
            many groups of layers from the input on (see ``layer_groups``).
        unfreeze_every: Epochs after which one more group is set free, from the head down; with
            ``freeze: none`` the body is frozen at first.
        group_rate: Factor on the rate from each group of layers to the one below it: the head has
            the whole rate, layers near the input the lowest.
        snapshots: Weights that are kept at so many moments, spread evenly over the last half of
            training or more: a light ensemble, whose disagreement is a measure of doubt.
        checkpoint_seconds: Least seconds between two checkpoints.
        recovery: Whether single steps that go wrong are met: a loss that is not finite, a spike,
            a lack of memory.
        report_to: Loggers that are told of the training, see :mod:`glial.training.loggers`; they
            change nothing of it, and another list of them is no other experiment.

    Example:
        >>> TrainSettings(lr=0.01).epochs
        100
    """

    epochs: int = Field(default=100, ge=0, le=10_000_000)
    batch_size: Annotated[int, Field(ge=1, le=2**40)] | Literal["auto", "full"] = "auto"
    accumulate: int = Field(default=1, ge=1, le=2**40)
    lr: Positive | Literal["auto"] = "auto"
    optimizer: OptimizerName = "adamw"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    betas: list[Annotated[float, Field(ge=0, lt=1)]] = Field(
        default=[0.9, 0.999], min_length=2, max_length=2
    )
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    decay_schedule: Literal["constant", "flat_cosine"] = "constant"
    l1: float = Field(default=0.0, ge=0)
    l2: float = Field(default=0.0, ge=0)
    schedule: ScheduleName = "constant"
    warmup: Share = 0.0
    schedule_every: int = Field(default=30, ge=1)
    schedule_gamma: float = Field(default=0.1, gt=0, le=1)
    schedule_patience: int = Field(default=10, ge=1)
    clip_norm: Positive | None = None
    clip_value: Positive | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    min_delta: float = Field(default=0.0, ge=0)
    stop_below: float | None = None
    monitor: Literal["loss", "score"] = "loss"
    restore_best: bool = True
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    swa_start: Annotated[float, Field(ge=0, lt=1)] | None = None
    time_limit: Positive | None = None
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = "auto"
    threads: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = "auto"
    deterministic: bool = False
    step: Literal["auto", "eager", "captured", "compiled", "torch_compile"] = "auto"
    layout: Literal["auto", "contiguous", "channels_last"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    freeze: Literal["none", "body"] | Annotated[int, Field(ge=0)] = "none"
    unfreeze_every: Annotated[int, Field(ge=1)] | None = None
    group_rate: float = Field(default=1.0, gt=0, le=1)
    snapshots: int = Field(default=0, ge=0, le=100)
    checkpoint_seconds: float = Field(default=2.0, ge=0)
    recovery: bool = True
    report_to: list[str] = Field(default_factory=list)

    @field_validator("report_to", mode="before")
    @classmethod
    def _known_once(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return [LOGGERS.check(name) for name in dict.fromkeys(names)]
        return names
