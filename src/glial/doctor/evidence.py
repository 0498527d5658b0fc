"""What was seen of a training, as plain numbers: all that a rule may know.

Whoever watches fills it in, rules read it, and it is what a run keeps; so it holds no tensor and
no code. Everything is sampled, and a series holds its samples with the steps they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from glial.core.findings import Place

Phase = Literal["train", "eval"]


@dataclass
class Series:
    """A number over time.

    Attributes:
        steps: The update, from 1, that each value belongs to.
        values: As many numbers; one that is not finite is kept as it is.

    Example:
        >>> Series([1, 2, 4], [3.0, 2.0, 1.0]).last
        1.0
    """

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, step: int, value: float) -> None:
        """Keep one more value."""
        self.steps.append(step)
        self.values.append(value)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(zip(self.steps, self.values, strict=True))

    @property
    def first(self) -> float:
        """The first value; NaN where there is none."""
        return self.values[0] if self.values else math.nan

    @property
    def last(self) -> float:
        """The last value; NaN where there is none."""
        return self.values[-1] if self.values else math.nan

    def mean(self, share: float = 1.0, *, end: bool = True) -> float:
        """The mean over a share of the values, at the end or at the start; NaN of none."""
        count = max(1, math.ceil(share * len(self.values)))
        values = self.values[-count:] if end else self.values[:count]
        return sum(values) / len(values) if values else math.nan

    def thin(self, most: int) -> None:
        """Leave out every second value, but for the last, while there are more than ``most``."""
        while len(self.values) > most:
            self.steps = [*self.steps[:-1:2], self.steps[-1]]
            self.values = [*self.values[:-1:2], self.values[-1]]


@dataclass
class TensorSeen:
    """What was seen of one tensor, all sampled batches together.

    Attributes:
        shape: Of the last batch.
        dtype: As torch calls it, without ``torch.``.
        batches: Number of batches that were looked at.
        count: Number of values that were looked at.
        mean: Of the finite values.
        std: Of the finite values.
        min: Of the finite values.
        max: Of the finite values.
        not_finite: Share of the values that are NaN or infinite.
        whole: Whether all values are whole numbers.
        counts: How often each value was seen, where they are whole and at most 1,000 different
            ones; by its spelling.
        rows_sum_to_one: Share of the rows (last axis, of two or more) that are probabilities.
        means: Of each column, for tensors of two axes with at most 4,096 columns.
        stds: Likewise.
        constant: Share of the columns (pixels, for more axes) that never change.
        spread: Mean over columns of the standard deviation over the rows of one batch.
        in_order: Correlation of a value with the one before it, over the whole sequence of
            rows as they came: near 0 in shuffled data. NaN where there is no column of labels.

    Example:
        >>> TensorSeen(shape=[32, 10]).count
        0
    """

    shape: list[int] = field(default_factory=list)
    dtype: str = ""
    batches: int = 0
    count: int = 0
    mean: float = math.nan
    std: float = math.nan
    min: float = math.nan
    max: float = math.nan
    not_finite: float = 0.0
    whole: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    rows_sum_to_one: float = 0.0
    means: list[float] = field(default_factory=list)
    stds: list[float] = field(default_factory=list)
    constant: float = 0.0
    spread: float = math.nan
    in_order: float = math.nan


@dataclass
class ParameterSeen:
    """One parameter.

    Attributes:
        name: Its path, as in ``named_parameters()``.
        layer: The path of the module that holds it.
        shape: Its sizes.
        dtype: As torch calls it, without ``torch.``.
        trainable: Whether it requires a gradient.
        optimizer: The name of the optimiser that holds it; None where none does.
        weight_decay: What that optimiser decays it by.
        lr: What that optimiser's rate for it was at first.
        reached: In how many sampled steps it was given a gradient.
        missed: In how many sampled steps it was given none.
        mean: At first.
        std: At first.
        equal_units: Share of its rows that equal another row, at first.
        equal_units_last: Likewise at last.
        changed: Whether it was ever seen to change.
        at: Where its layer was made.
        weight: Series of its L2 norm.
        gradient: Series of its gradient's L2 norm, when the optimiser steps.
        update: Series of the L2 norm of what a step changed.

    Example:
        >>> ParameterSeen("0.weight", "0", [3, 2]).trainable
        True
    """

    name: str
    layer: str
    shape: list[int]
    dtype: str = "float32"
    trainable: bool = True
    optimizer: str | None = None
    weight_decay: float = 0.0
    lr: float = math.nan
    reached: int = 0
    missed: int = 0
    mean: float = math.nan
    std: float = math.nan
    equal_units: float = 0.0
    equal_units_last: float = 0.0
    changed: bool = False
    at: Place | None = None
    weight: Series = field(default_factory=Series)
    gradient: Series = field(default_factory=Series)
    update: Series = field(default_factory=Series)


@dataclass
class LayerSeen:
    """One layer's outputs: a module, or a function that a module's ``forward`` calls.

    Attributes:
        name: Its path, as in ``named_modules()``; of a function the module's path, ``:`` and
            the function's name.
        kind: The class's name, or the function's.
        order: When it is first called in a forward pass, from 0.
        at: Where it was made, or is called.
        settings: What it was made with, as far as numbers tell (``p``, ``eps``, ``dim``, ...).
        input_shape: Of the last sampled call.
        output_shape: Of the last sampled call.
        training: Whether it was in training mode in the last sampled training step.
        mean: Series of the mean of its outputs.
        std: Series of their standard deviation.
        largest: Series of their largest absolute value.
        input_std: Series of the standard deviation of its inputs.
        spread: Series of the mean over its units of the standard deviation over the batch.
        dead: Series of the share of its units that gave the same for all of the batch.
        zero: Series of the share of its outputs that are zero.
        saturated: Series of the share of its outputs in a flat part (sigmoid, tanh, softmax).
        rank: Series of the effective rank of its outputs over the batch (the exponential of the
            entropy of the singular values), as a share of the most it could be.
        not_finite: The first step at which an output was not finite; None where none was.

    Example:
        >>> LayerSeen("0", "Linear").order
        0
    """

    name: str
    kind: str
    order: int = 0
    at: Place | None = None
    settings: dict[str, float] = field(default_factory=dict)
    input_shape: list[int] = field(default_factory=list)
    output_shape: list[int] = field(default_factory=list)
    training: bool = True
    mean: Series = field(default_factory=Series)
    std: Series = field(default_factory=Series)
    largest: Series = field(default_factory=Series)
    input_std: Series = field(default_factory=Series)
    spread: Series = field(default_factory=Series)
    dead: Series = field(default_factory=Series)
    zero: Series = field(default_factory=Series)
    saturated: Series = field(default_factory=Series)
    rank: Series = field(default_factory=Series)
    not_finite: int | None = None


@dataclass
class ModelSeen:
    """One network: a module with parameters that the user's code calls.

    Attributes:
        name: The variable that holds it, or its class's name.
        kind: Its class.
        at: Where it was made.
        size: Number of its parameters' values.
        layers: What it consists of, in the order of calls.
        parameters: All of them.
        inputs: Its float inputs, ``train`` and ``eval``, one for each argument.
        outputs: What it gives, ``train`` and ``eval``.
        calls: Number of sampled calls, ``train`` (a gradient was taken) and ``eval``.
        eval_mode_training: Sampled training calls with the network in evaluation mode.
        training_mode_eval: Evaluation calls with the network in training mode.
        eval_sizes: Smallest and largest number of rows of an evaluation call.
        mode_matters: Whether it holds a layer that works otherwise in evaluation mode
            (dropout with p > 0, batch normalisation).
        eval_at: Where it was called for evaluation.
        compiled: Whether it runs compiled, so that its layers are not seen.

    Example:
        >>> ModelSeen("net", "Sequential").compiled
        False
    """

    name: str
    kind: str
    at: Place | None = None
    size: int = 0
    layers: list[LayerSeen] = field(default_factory=list)
    parameters: list[ParameterSeen] = field(default_factory=list)
    inputs: dict[Phase, list[TensorSeen]] = field(default_factory=dict)
    outputs: dict[Phase, TensorSeen] = field(default_factory=dict)
    calls: dict[Phase, int] = field(default_factory=dict)
    eval_mode_training: int = 0
    training_mode_eval: int = 0
    eval_sizes: list[int] = field(default_factory=list)
    mode_matters: bool = False
    eval_at: Place | None = None
    compiled: bool = False


@dataclass
class OptimizerSeen:
    """One optimiser.

    Attributes:
        name: The variable that holds it, or its class's name.
        kind: Its class.
        settings: Its first group's numbers (``lr``, ``momentum``, ``beta1``, ``eps``, ...).
        steps: How often it stepped, sampled or not.
        lr: Series of the first group's rate.
        at: Where ``step`` is called.
        model: The name of the network whose parameters it holds, if there is one.
        parameters: Number of parameters that it holds.
        foreign: Number of these that no backward pass ever reached.
        kept_gradients: Sampled steps before whose first backward pass gradients of the step
            before were still there.
        cleared_gradients: Sampled steps before whose first backward pass there were none.
        empty_steps: Sampled steps at which no parameter had a gradient, or only zeros.
        backwards: Backward passes that reached its parameters, for each sampled step.
        scheduler: The class of the scheduler that sets its rate; None without one.
        scheduler_first: Whether the scheduler stepped before the optimiser ever did.
        clipped: Sampled steps before which gradients were clipped.
        alignment: Series of the cosine between what a step changed and the gradient, turned so
            that 1 is straight down.
        line: Probes along a step's direction: for each, the step, and the loss at the given
            multiples of the step, divided by the loss at 0; on another batch than the step's.

    Example:
        >>> OptimizerSeen("optimizer", "SGD", {"lr": 0.1}).steps
        0
    """

    name: str
    kind: str
    settings: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    lr: Series = field(default_factory=Series)
    at: Place | None = None
    model: str | None = None
    parameters: int = 0
    foreign: int = 0
    kept_gradients: int = 0
    cleared_gradients: int = 0
    empty_steps: int = 0
    backwards: list[int] = field(default_factory=list)
    scheduler: str | None = None
    scheduler_first: bool = False
    clipped: int = 0
    alignment: Series = field(default_factory=Series)
    line: list[LineProbe] = field(default_factory=list)


@dataclass
class LineProbe:
    """The loss along a step.

    Attributes:
        step: Which.
        multiples: Of the step: 0 stands where it began, 1 where it went.
        same: The loss there, on the step's own batch.
        other: Likewise, on the batch before it; empty where there was none.

    Example:
        >>> LineProbe(1, [0.0, 1.0], [2.0, 1.0]).other
        []
    """

    step: int
    multiples: list[float]
    same: list[float]
    other: list[float] = field(default_factory=list)


@dataclass
class LossSeen:
    """One place at which a loss is computed from a network's outputs.

    Attributes:
        name: torch's name of the loss function (``cross_entropy``); ``hand-written`` where it
            is made of other functions.
        at: Where.
        model: The name of the network whose outputs it takes.
        functions: torch's functions from the outputs to the number whose gradient is taken, in
            their order.
        functions_at: Where each is called.
        value: Series of that number, in training.
        eval_value: Series of it in evaluation, where it is computed there.
        outputs: What the loss function is given as outputs (its ``input``).
        target: What it is given as target; None where there is none.
        output_function: The function or layer that made these outputs (``softmax``,
            ``sigmoid``, ``relu``, ``linear``, ...).
        output_layer: The path of the layer that made them, if one did.
        reduction: ``mean``, ``sum`` or ``none``; None where it is hand-written.
        settings: Other numbers it is given (``label_smoothing``, ``delta``, ``ignore_index``).
        sign: 1 where the number rises with the loss function's value, -1 where it falls; 0
            where it does not depend on it.
        weight: By how much it does.
        broadcast: Pairs of shapes that were silently expanded, one against the other.
        batch_sizes: Smallest and largest number of rows.
        constant: The loss of the best constant outputs on the targets that were seen; NaN where
            it is not known.
        of_batch: Number of rows of the first batch.
        weighted: Whether it is given weights of classes or rows.

    Example:
        >>> LossSeen("mse_loss").sign
        1.0
    """

    name: str
    at: Place | None = None
    model: str | None = None
    functions: list[str] = field(default_factory=list)
    functions_at: list[Place | None] = field(default_factory=list)
    value: Series = field(default_factory=Series)
    eval_value: Series = field(default_factory=Series)
    outputs: TensorSeen = field(default_factory=TensorSeen)
    target: TensorSeen | None = None
    output_function: str | None = None
    output_layer: str | None = None
    reduction: str | None = None
    settings: dict[str, float] = field(default_factory=dict)
    sign: float = 1.0
    weight: float = 1.0
    broadcast: list[list[list[int]]] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)
    constant: float = math.nan
    of_batch: int = 0
    weighted: bool = False


@dataclass
class LoaderSeen:
    """One ``DataLoader``.

    Attributes:
        name: The variable that holds it, or ``DataLoader``.
        at: Where it was made.
        rows: Of its data set; 0 where that does not tell.
        batch_size: None where batches are made elsewhere.
        shuffles: Whether the order is drawn anew each time.
        workers: Processes that read.
        wait: Seconds that training waited for batches.
        work: Seconds between a batch and the call for the next.
        twins: Share of the sampled batches of which a random part equals that of another
            worker's batch; NaN where it was not tested.
        training: Whether its batches were trained on.

    Example:
        >>> LoaderSeen("loader", rows=100).workers
        0
    """

    name: str
    at: Place | None = None
    rows: int = 0
    batch_size: int | None = None
    shuffles: bool = False
    workers: int = 0
    wait: float = 0.0
    work: float = 0.0
    twins: float = math.nan
    training: bool = False


@dataclass
class RowsSeen:
    """Rows of inputs and targets, kept apart to be compared.

    Attributes:
        train: Number of training rows that were seen.
        evaluated: Number of evaluation rows that were seen.
        distinct: Number of different training rows (inputs only).
        repeated: Training rows that stand twice or more within one pass over the data.
        conflicting: Training rows that equal another and have a different target.
        crossing: Evaluation rows that equal a training row.
        score: How well a simple reference predicts held-out training rows, from 0, a constant,
            to 1, perfect; NaN where it was not tried.
        single_column: The input column that alone predicts best.
        single_score: How well, on the same scale.
        suspects: Share of the rows whose label the reference surely contradicts.
        eval_score: How well the reference predicts evaluation rows; NaN without targets.
        unseen_classes: Classes of evaluation rows that training never showed.
        eval_accuracy: The network's own share of right classes in evaluation, last seen.
        confused: The pair of classes that suspects go between most, by their spelling.

    Example:
        >>> RowsSeen().train
        0
    """

    train: int = 0
    evaluated: int = 0
    distinct: int = 0
    repeated: int = 0
    conflicting: int = 0
    crossing: int = 0
    score: float = math.nan
    single_column: int | None = None
    single_score: float = math.nan
    suspects: float = math.nan
    eval_score: float = math.nan
    unseen_classes: list[str] = field(default_factory=list)
    eval_accuracy: float = math.nan
    confused: list[str] = field(default_factory=list)


@dataclass
class Probe:
    """One test that was made on a copy of the state.

    Attributes:
        name: ``repeat``, ``one_batch``, ``rows``, ``modes``, ``scaled_inputs``, ...
        model: The network it was made on.
        step: After which update.
        numbers: What it measured.
        seconds: What it took.

    Example:
        >>> Probe("repeat", "net", 1, {"loss": 0.5}).seconds
        0.0
    """

    name: str
    model: str | None
    step: int
    numbers: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class NotChecked:
    """A problem that could not be looked for, and why.

    Example:
        >>> NotChecked("dead-units", "the model is compiled").problem
        'dead-units'
    """

    problem: str
    why: str


@dataclass
class Evidence:
    """All that was seen of one training.

    Attributes:
        steps: Updates by all optimisers, sampled or not.
        sampled: Updates that were looked at closely.
        seconds: From the first forward pass to the end.
        watching: Seconds of these that watching took, probes included.
        models: The networks.
        optimizers: The optimisers.
        losses: The losses.
        loaders: The loaders.
        rows: Rows compared with each other.
        probes: Tests that were made.
        loss_not_finite: The first step whose loss was not finite; None where all were.
        born: Where the first number that is not finite was born: ``input``, ``layer``,
            ``loss``, ``gradient`` or ``optimizer``, and the layer's or parameter's name.
        ended: What ended the training where it did not end by itself: an exception's class.
        error: The message of that exception.
        error_at: Where it was raised.
        memory: Series of the process's memory, in MB.
        seeds: Names of the generators that were seeded (``torch``, ``numpy``, ``random``).
        not_checked: What could not be looked for.
        stopped: Whether the doctor stopped the training, after as many steps as were asked for.

    Example:
        >>> Evidence.from_dict(Evidence(steps=3).to_dict()).steps
        3
    """

    steps: int = 0
    sampled: int = 0
    seconds: float = 0.0
    watching: float = 0.0
    models: list[ModelSeen] = field(default_factory=list)
    optimizers: list[OptimizerSeen] = field(default_factory=list)
    losses: list[LossSeen] = field(default_factory=list)
    loaders: list[LoaderSeen] = field(default_factory=list)
    rows: RowsSeen = field(default_factory=RowsSeen)
    probes: list[Probe] = field(default_factory=list)
    loss_not_finite: int | None = None
    born: list[str] = field(default_factory=list)
    ended: str | None = None
    error: str | None = None
    error_at: Place | None = None
    memory: Series = field(default_factory=Series)
    seeds: list[str] = field(default_factory=list)
    not_checked: list[NotChecked] = field(default_factory=list)
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The evidence as plain values; numbers that are not finite stay so."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Evidence:
        """The evidence that :meth:`to_dict` gave.

        Raises:
            pydantic.ValidationError: If a value is missing or of another type.
        """
        return TypeAdapter(cls).validate_python(values)

    def probe(self, name: str, model: str | None = None) -> Probe | None:
        """The last test of a name, of one network or of any."""
        found = [p for p in self.probes if p.name == name and model in (None, p.model)]
        return found[-1] if found else None
