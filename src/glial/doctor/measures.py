"""What several rules ask of the evidence: how far a training came, and how far it could come."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glial.doctor.evidence import (
    Evidence,
    LayerSeen,
    LossSeen,
    ModelSeen,
    OptimizerSeen,
    ParameterSeen,
    TensorSeen,
)

ENOUGH = 3
TELLS, ALIKE = 0.2, 1e-3
CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
LINEAR = ("Linear", "LazyLinear", "Bilinear", "linear")
CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d")
RECTIFIERS = ("relu", "relu6", "threshold", "clamp_min")
BOUNDED = {"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0)}
BATCH_NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
NORMS = (*BATCH_NORMS, "LayerNorm", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "RMSNorm")


@dataclass(frozen=True)
class Outcome:
    """How far a training came by one loss.

    Attributes:
        start: The first value.
        end: The mean of the last tenth.
        low: The lowest mean of a tenth.
        constant: What the best constant outputs reach; NaN where that is not known.
        skill: How much of the way from the constant to nought was made, at most 1; by the first
            value where no constant is known.
        reference: How far a forest comes on rows it has not seen, from 0 to 1; NaN if unknown.
        finite: Whether all values were.
        steps: Number of values.

    Example:
        >>> Outcome(2.0, 1.0, 1.0, 2.0, 0.5, float("nan"), True, 10).suffers
        False
    """

    start: float
    end: float
    low: float
    constant: float
    skill: float
    reference: float
    finite: bool
    steps: int

    @property
    def suffers(self) -> bool:
        """Whether training did clearly worse than the data allow, as far as that is known."""
        if not self.finite:
            return True
        if not math.isnan(self.reference) and self.reference > 0.1:
            return self.skill < 0.6 * self.reference - 0.02
        if not math.isnan(self.constant):
            return self.skill < 0.15
        return self.skill < 0.2

    @property
    def lags(self) -> bool:
        """Whether it did worse than the data allow, if less clearly than :attr:`suffers`."""
        if math.isnan(self.reference) or self.reference <= 0.1:
            return self.suffers or self.skill < 0.5
        return self.suffers or self.skill < 0.8 * self.reference

    @property
    def fails(self) -> bool:
        """Whether it did no better than a constant, although better is possible."""
        possible = math.isnan(self.reference) or self.reference > 0.1
        return not self.finite or (self.skill < 0.05 and possible)


def main_loss(evidence: Evidence) -> LossSeen | None:
    """The loss that a training descends, where it is one: the one with most values.

    Example:
        >>> main_loss(Evidence()) is None
        True
    """
    trained = [loss for loss in evidence.losses if len(loss.value)]
    return max(trained, key=lambda loss: len(loss.value), default=None)


def outcome(evidence: Evidence, loss: LossSeen | None = None) -> Outcome | None:
    """How far a training came; None where no loss was seen.

    Example:
        >>> from glial.doctor.evidence import Series
        >>> loss = LossSeen("mse_loss", value=Series([1, 2], [2.0, 1.0]))
        >>> outcome(Evidence(losses=[loss])).skill
        0.5
    """
    loss = loss or main_loss(evidence)
    if loss is None or not len(loss.value) or loss.bootstrapped:
        return None
    if any(loss.model in (players.maker, players.judge) for players in evidence.players):
        return None  # what one of two players loses the other wins
    # What is added to a loss is not what is to be learnt.
    series = loss.own if loss.added_at is not None and len(loss.own) >= ENOUGH else loss.value
    values = [abs(v) if loss.sign < 0 else v for v in series.values]
    if loss.name == "hand-written" and min(values) < 0:
        return None  # nought is no bound, so a share of the way to it means nothing
    finite = evidence.loss_not_finite is None and all(map(math.isfinite, values))
    good = [value for value in values if math.isfinite(value)] or [math.nan]
    tenth = max(1, len(good) // 10)
    means = [sum(good[i : i + tenth]) / tenth for i in range(0, len(good) - tenth + 1, tenth)]
    end = sum(good[-tenth:]) / tenth
    base = loss.constant if loss.constant > 1e-12 else good[0]
    skill = 1 - end / base if base > 0 else math.nan
    if loss.constant < 0 and end > loss.constant:
        skill = 0.0  # as of densities, whose logarithms know no bound
    return Outcome(
        good[0],
        end,
        min(means),
        loss.constant,
        skill if not math.isnan(skill) else 0.0,
        evidence.rows.score,
        finite,
        len(loss.value),
    )


def suffers(evidence: Evidence) -> bool:
    """Whether the training did clearly worse than it could, by its loss or in evaluation.

    Example:
        >>> suffers(Evidence())
        False
    """
    found, rows, loss = outcome(evidence), evidence.rows, main_loss(evidence)
    if found is not None and found.suffers:
        return True
    if loss is not None and rows.score > TELLS and loss.outputs.spread < ALIKE * loss.outputs.std:
        return True  # all rows are answered alike, although they tell what is asked
    known = not math.isnan(rows.eval_accuracy) and not math.isnan(rows.eval_score)
    return known and rows.eval_accuracy < rows.eval_score - 0.08


def answered_in_evaluation(evidence: Evidence) -> float:
    """How much of evaluation targets the network got: the share of right classes, or of variance.

    NaN where no answers were seen.

    Example:
        >>> import math
        >>> math.isnan(answered_in_evaluation(Evidence()))
        True
    """
    rows = evidence.rows
    return rows.eval_fit if math.isnan(rows.eval_accuracy) else rows.eval_accuracy


def expected_in_evaluation(evidence: Evidence, score: float) -> float:
    """What a reference's score means on the scale of :func:`answered_in_evaluation`.

    Args:
        evidence: What was seen.
        score: From 0, a constant, to 1.

    Example:
        >>> expected_in_evaluation(Evidence(), 0.5)
        0.5
    """
    loss = main_loss(evidence)
    if math.isnan(evidence.rows.eval_accuracy) or loss is None or loss.target is None:
        return score
    chance = 1 / max(2, len(loss.target.counts))
    return chance + score * (1 - chance)


def optimizers_of(evidence: Evidence) -> list[OptimizerSeen]:
    """The optimisers that stepped; of those that step at one line, as in folds, the busiest.

    Example:
        >>> folds = [OptimizerSeen("a", "SGD", steps=2), OptimizerSeen("a-2", "SGD", steps=3)]
        >>> [optimizer.name for optimizer in optimizers_of(Evidence(optimizers=folds))]
        ['a-2']
    """
    found: dict[object, OptimizerSeen] = {}
    for optimizer in evidence.optimizers:
        key = (optimizer.kind, optimizer.at)
        if optimizer.steps > (found[key].steps if key in found else 0):
            found[key] = optimizer
    return list(found.values())


def model_of(evidence: Evidence, name: str | None) -> ModelSeen | None:
    """The network of a name.

    Example:
        >>> model_of(Evidence(), "net") is None
        True
    """
    return next((model for model in evidence.models if model.name == name), None)


def trained_models(evidence: Evidence) -> list[ModelSeen]:
    """The networks that a gradient was taken of.

    Example:
        >>> trained_models(Evidence())
        []
    """
    return [model for model in evidence.models if model.calls.get("train")]


def path_in(evidence: Evidence, model: ModelSeen, layer: str) -> str:
    """A layer's path, led by the network's name where there are several networks.

    Example:
        >>> path_in(Evidence(), ModelSeen("net", "Sequential"), "0")
        '0'
    """
    if len(evidence.models) < 2:
        return layer or model.name
    return f"{model.name}.{layer}" if layer else model.name


def positions(evidence: Evidence, loss: LossSeen) -> int:
    """How many places of a sequence a row of a loss's table stands for; 1 where it is a row.

    Args:
        evidence: What was seen.
        loss: A loss over tables; rows of several places each are counted place by place.

    Example:
        >>> positions(Evidence(), LossSeen("cross_entropy"))
        1
    """
    model = model_of(evidence, loss.model)
    if model is None or not loss.outputs.shape:
        return 1
    given = model.inputs.get("train", [])
    table, made = loss.outputs.shape[0], model.outputs.get("train", TensorSeen()).shape
    for shape in (*(one.shape for one in given), made):
        if len(shape) in (2, 3) and shape[1] > 1 and table == shape[0] * shape[1]:
            return max(shape[:2])
    return made[1] if len(made) == 3 and len(loss.outputs.shape) == 2 else 1


def is_regression(loss: LossSeen) -> bool:
    """Whether targets are numbers rather than classes, as far as loss and targets tell.

    Example:
        >>> is_regression(LossSeen("cross_entropy"))
        False
    """
    target = loss.target
    if target is None or loss.name in CLASSES or "float" not in target.dtype:
        return False
    return not (target.whole and len(target.counts) <= 20)


def inner_layers(model: ModelSeen) -> list[LayerSeen]:
    """A network's layers but for the last, which makes its outputs.

    Example:
        >>> inner_layers(ModelSeen("net", "Linear"))
        []
    """
    return model.layers[:-1]


def scale_of(seen: TensorSeen) -> float:
    """How far numbers lie from nought: the root of the mean square of the largest column.

    Example:
        >>> scale_of(TensorSeen(mean=3.0, std=4.0))
        5.0
    """
    pairs = list(zip(seen.means, seen.stds, strict=True)) or [(seen.mean, seen.std)]
    return max(math.hypot(mean, std) for mean, std in pairs)


def weights_of(model: ModelSeen) -> list[ParameterSeen]:
    """Weights of a network's linear and convolution layers, in their order.

    Example:
        >>> weights_of(ModelSeen("net", "Linear"))
        []
    """
    kinds = {layer.name: layer.kind for layer in model.layers}
    return [
        p
        for p in model.parameters
        if len(p.shape) >= 2 and (kinds.get(p.layer) in (*LINEAR, *CONVOLUTIONS) or not kinds)
    ]


def is_called(model: ModelSeen, parameter: ParameterSeen) -> bool:
    """Whether a parameter's layer was seen in a forward pass.

    Example:
        >>> is_called(ModelSeen("net", "Linear"), ParameterSeen("weight", "", [2, 2]))
        False
    """
    return any(
        layer.name == parameter.layer or layer.name.startswith(f"{parameter.layer}.")
        for layer in model.layers
    )


def noise_scale(optimizer: OptimizerSeen, rows: int) -> float:
    """The number of rows at which the noise of a gradient is as large as the gradient itself.

    From gradients of steps that follow each other: their noise is independent, so that the mean
    cosine between them is the share of the signal.

    Args:
        optimizer: What was seen of their cosines.
        rows: Of a batch.

    Returns:
        Rows; infinite where gradients do not agree at all, NaN where they were not compared.

    Source:
        McCandlish, Kaplan, Amodei et al. (2018), "An empirical model of large-batch training",
        equation 2.9, where the trace of the noise over the squared gradient is this.

    Example:
        >>> from glial.doctor.evidence import Series
        >>> seen = OptimizerSeen("o", "SGD", agreement=Series([2, 3], [0.25, 0.15]))
        >>> round(noise_scale(seen, 32), 3)
        128.0
    """
    signal = optimizer.agreement.mean()
    if math.isnan(signal):
        return math.nan
    return rows * (1 - signal) / signal if signal > 0 else math.inf
