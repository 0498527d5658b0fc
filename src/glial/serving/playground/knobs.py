"""Every knob of the playground: one typed list, which the page draws its controls from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from glial.core.settings import Settings
from glial.nn.dense import BiasKind, NormKind
from glial.serving.playground.choices import (
    ActivationName,
    ClassLoss,
    InitializationName,
    NumberLoss,
    ScheduleKnob,
)
from glial.serving.playground.toys import FeatureName, ToyName, num_classes_of
from glial.training.settings import OptimizerName

EXTRAS = ("plan", "log", "task", "step")


def knob(group: str, title: str, default: Any, help_: str, **more: Any) -> Any:
    """A field with what the page must know of it.

    Args:
        group: Under which heading it stands.
        title: What its control is called.
        default: Its value at first.
        help_: What it does, in a sentence or two.
        more: Limits of pydantic's, and ``plan`` (the key of a plan that is the same thing),
            ``log`` (whether a slider is logarithmic), ``step`` of a slider, and ``task`` (the
            only one that it is for).

    Example:
        >>> knob("Data", "Noise", 0.1, "Shakes points.", plan="x.y").json_schema_extra
        {'group': 'Data', 'plan': 'x.y'}
    """
    extra = {"group": group} | {name: more.pop(name) for name in EXTRAS if name in more}
    return Field(title=title, description=help_, default=default, json_schema_extra=extra, **more)


class Knobs(Settings):
    """What a playground is set to; ``plan`` names the key that does the same in a plan.

    Example:
        >>> Knobs(lr=0.1).activation
        'tanh'
        >>> Knobs.model_json_schema()["properties"]["lr"]["plan"]
        'train.lr'
    """

    dataset: ToyName = knob(
        "Data",
        "Data",
        "circles",
        "The points to learn. Plane and bumps ask for a height (regression), the others for a "
        "class.",
    )
    points: int = knob(
        "Data",
        "Points",
        200,
        "How many points there are. More data is the best cure of overfitting.",
        ge=20,
        le=1000,
        step=10,
    )
    noise: float = knob(
        "Data",
        "Noise",
        0.1,
        "How far points are shaken from where they belong.",
        ge=0,
        le=1,
        step=0.01,
    )
    train_share: float = knob(
        "Data",
        "Share for training",
        0.5,
        "The share of the points that is learnt from. The others only judge.",
        ge=0.1,
        le=0.9,
        step=0.05,
    )
    features: list[FeatureName] = knob(
        "Data",
        "Features",
        ["x1", "x2"],
        "What the network is told of a point: its coordinates, their squares, product and sines.",
        min_length=1,
        max_length=7,
    )
    seed: int = knob(
        "Data",
        "Seed",
        0,
        "Every random draw follows from it: the same seed, the same training.",
        ge=0,
        le=9999,
        plan="train.seed",
    )

    hidden_sizes: list[Annotated[int, Field(ge=1, le=16)]] = knob(
        "Network",
        "Hidden layers",
        [6, 4],
        "Units of each hidden layer, up to 10 layers of 16. None at all is a linear model.",
        max_length=10,
        plan="model.hidden_sizes",
    )
    activation: ActivationName = knob(
        "Network",
        "Activation",
        "tanh",
        "What each hidden unit does to its weighted sum. Without a bend, more layers add nothing.",
        plan="model.activation",
    )
    output_activation: ActivationName = knob(
        "Network",
        "Output activation",
        "linear",
        "What is done to the output before the loss. Losses of classes want linear scores.",
        plan="model.output_activation",
    )
    norm: NormKind = knob(
        "Network",
        "Normalisation",
        "none",
        "Keeps the weighted sums of each layer in range: over the batch, or over the layer.",
        plan="model.norm",
    )
    skip: bool = knob(
        "Network",
        "Skip connections",
        False,
        "Adds each layer's input to its output: a straight way back for gradients.",
        plan="model.skip",
    )
    bias: BiasKind = knob(
        "Network",
        "Biases",
        "per-neuron",
        "One for each unit, one for the whole layer, or none: then every line goes through 0.",
        plan="model.bias",
    )

    initialization: InitializationName = knob(
        "Starting weights",
        "Weights",
        "auto",
        "What weights start from. Auto suits the activation: Xavier or He.",
        plan="model.initialization",
    )
    init_scale: float = knob(
        "Starting weights",
        "Scale",
        1.0,
        "A factor on all starting weights: too small and signals vanish, too large and they "
        "explode.",
        ge=0,
        le=20,
        step=0.1,
    )
    bias_initialization: Literal["zero", "constant", "random"] = knob(
        "Starting weights",
        "Starting biases",
        "zero",
        "Zero is usual. A small constant lets rectifiers fire at the start.",
        plan="model.bias_initialization",
    )

    class_loss: ClassLoss = knob(
        "Loss",
        "Loss of classes",
        "cross_entropy",
        "What training makes small. Cross-entropy punishes being sure and wrong. Squared errors "
        "are of scores against +1 and -1.",
        task="classification",
        plan="task.loss",
    )
    number_loss: NumberLoss = knob(
        "Loss",
        "Loss of heights",
        "mean_squared_error",
        "What training makes small. Squared errors look for means, absolute ones for medians.",
        task="regression",
        plan="task.loss",
    )
    optimizer: OptimizerName = knob(
        "Optimiser",
        "Optimiser",
        "sgd",
        "How a gradient becomes a step: plain descent, with momentum, or with a rate for each "
        "weight.",
        plan="train.optimizer",
    )
    momentum: float = knob(
        "Optimiser",
        "Momentum",
        0.9,
        "The share of the last step that goes on. Only for momentum and nesterov.",
        ge=0,
        le=0.99,
        step=0.01,
        plan="train.momentum",
    )
    batches: Literal["full", "mini", "single", "online"] = knob(
        "Optimiser",
        "Rows of a step",
        "mini",
        "All points at once, a batch of some, one drawn at random, or one after the other as they "
        "come.",
    )
    batch_size: int = knob(
        "Optimiser",
        "Batch size",
        10,
        "Points of a batch, where rows of a step is mini. Smaller is noisier.",
        ge=1,
        le=200,
        plan="train.batch_size",
    )

    lr: float = knob(
        "Learning rate",
        "Learning rate",
        0.1,
        "How far a step goes. Too low takes for ever, too high jumps about or runs away.",
        ge=1e-5,
        le=100,
        log=True,
        plan="train.lr",
    )
    schedule: ScheduleKnob = knob(
        "Learning rate",
        "Schedule",
        "constant",
        "How the rate changes over the epochs.",
        plan="train.schedule",
    )
    warmup: float = knob(
        "Learning rate",
        "Warm-up",
        0.0,
        "The share of the epochs over which the rate rises from nearly zero.",
        ge=0,
        le=0.5,
        step=0.01,
        plan="train.warmup",
    )
    schedule_every: int = knob(
        "Learning rate",
        "Epochs between falls",
        30,
        "Of the schedule step.",
        ge=1,
        le=500,
        plan="train.schedule_every",
    )
    schedule_gamma: float = knob(
        "Learning rate",
        "Factor of a fall",
        0.5,
        "Of the schedules step, exponential (each epoch) and plateau.",
        ge=0.01,
        le=1,
        step=0.01,
        plan="train.schedule_gamma",
    )
    epochs: int = knob(
        "Learning rate",
        "Epochs",
        1000,
        "Passes over the training points, after which it ends. Schedules are spread over them.",
        ge=1,
        le=10_000,
        step=10,
        plan="train.epochs",
    )

    clip_norm: float = knob(
        "Gradients",
        "Clip by norm",
        0.0,
        "The longest that a whole gradient may be; longer ones keep their direction. 0 is off.",
        ge=0,
        le=10,
        step=0.1,
        plan="train.clip_norm",
    )
    clip_value: float = knob(
        "Gradients",
        "Clip by value",
        0.0,
        "The largest that each number of a gradient may be. 0 is off.",
        ge=0,
        le=10,
        step=0.01,
        plan="train.clip_value",
    )

    l1: float = knob(
        "Regularisation",
        "L1",
        0.0,
        "Pulls every weight to zero by the same amount: many end there exactly.",
        ge=0,
        le=1,
        step=0.0005,
        plan="train.l1",
    )
    l2: float = knob(
        "Regularisation",
        "L2",
        0.0,
        "Pulls weights to zero in proportion to their size, as a part of the gradient.",
        ge=0,
        le=1,
        step=0.0005,
        plan="train.l2",
    )
    weight_decay: float = knob(
        "Regularisation",
        "Weight decay",
        0.0,
        "Shrinks weights at each step, apart from the gradient.",
        ge=0,
        le=10,
        step=0.005,
        plan="train.weight_decay",
    )
    dropout: float = knob(
        "Regularisation",
        "Dropout",
        0.0,
        "The share of hidden outputs that a training step leaves out at random.",
        ge=0,
        le=0.9,
        step=0.05,
        plan="model.dropout",
    )
    input_dropout: float = knob(
        "Regularisation",
        "Input dropout",
        0.0,
        "The share of inputs that a training step leaves out at random.",
        ge=0,
        le=0.9,
        step=0.05,
        plan="model.input_dropout",
    )
    input_noise: float = knob(
        "Regularisation",
        "Input noise",
        0.0,
        "Random numbers of this size are added to inputs, anew at each step.",
        ge=0,
        le=1,
        step=0.01,
    )
    patience: int = knob(
        "Regularisation",
        "Patience of early stopping",
        0,
        "Epochs without a better test loss before training stops and the best weights come back. "
        "0 is off.",
        ge=0,
        le=1000,
        plan="train.patience",
    )

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What is asked for, by the data."""
        return "classification" if num_classes_of(self.dataset) else "regression"

    @property
    def loss(self) -> str:
        """The loss of the task."""
        return self.class_loss if self.task == "classification" else self.number_loss

    @property
    def num_outputs(self) -> int:
        """Numbers that the network gives: one for two classes or a height, else one a class."""
        classes = num_classes_of(self.dataset)
        return classes if classes > 2 else 1
