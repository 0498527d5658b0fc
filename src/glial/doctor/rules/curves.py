"""The curve of the loss: what it looks like, which the causes explain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LossSeen, Series
from glial.doctor.measures import (
    CLASSES,
    answered_in_evaluation,
    expected_in_evaluation,
    main_loss,
    optimizers_of,
    outcome,
)
from glial.doctor.rules.layers import underfitting

_BOOK = "Goodfellow, Bengio, Courville (2016), Deep Learning, section 11.5"
FEW_ROWS = 60
ENOUGH_TO_BEGIN, BEGUN = 50, 0.02


def loss_not_decreasing(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """The loss ends where it began, or where a constant answer is."""
    loss, found = main_loss(evidence), outcome(evidence)
    if loss is None or found is None or not found.finite or found.steps < 20:
        return
    if len(optimizers_of(evidence)) > 1 or not found.fails:
        return
    yield Finding(
        "loss-not-decreasing",
        "warning",
        None,
        {"first": found.start, "last": found.end, "constant": found.constant},
        f"the loss ends at {found.end:.4g}"
        + (f", a constant answer gives {found.constant:.4g}" if found.constant > 0 else ""),
        "try to fit a single batch; look at scales, rate and whether labels belong to their rows",
        at=loss.at,
        source=_BOOK,
    )


def _begins_anew(evidence: Evidence) -> bool:
    """Whether a loop trains one network after the other: the loss of the next begins high."""
    return len(evidence.optimizers) > len(optimizers_of(evidence))


def loss_oscillating(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """The loss swings up and down more than it falls."""
    loss, found = main_loss(evidence), outcome(evidence)
    if loss is None or found is None or found.steps < 40 or not found.suffers:
        return
    if len(optimizers_of(evidence)) > 1 or not found.finite or _begins_anew(evidence):
        return
    values = loss.value.values[len(loss.value) // 2 :]
    mean = sum(values) / len(values)
    size = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) / max(1e-12, abs(mean))
    if size < 0.6 / sensitivity:
        return
    yield Finding(
        "loss-oscillating",
        "warning",
        None,
        {"relative_deviation": size, "mean": mean},
        f"in the second half the loss swings by {size:.0%} of its mean from batch to batch",
        "lower the learning rate, or use larger batches",
        at=loss.at,
        source=_BOOK,
    )


def loss_spike(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A sudden jump of the loss."""
    loss, found = main_loss(evidence), outcome(evidence)
    if loss is None or found is None or found.steps < 60 or len(optimizers_of(evidence)) > 1:
        return
    if _begins_anew(evidence):
        return
    values = loss.value.values
    for place in range(30, len(values)):
        before = sorted(values[place - 30 : place])
        middle = before[15]
        spread = sorted(abs(v - middle) for v in before)[15] + 1e-9
        if values[place] > middle + 60 * spread / sensitivity and values[place] > 8 * abs(middle):
            yield Finding(
                "loss-spike",
                "warning" if found.suffers else "note",
                None,
                {"loss": values[place], "usual": middle},
                f"the loss jumps from {middle:.3g} to {values[place]:.3g}",
                "look at the batch of this step; clip gradients or lower the rate",
                at=loss.at,
                since_step=loss.value.steps[place],
                source="Chowdhery et al. (2022), PaLM, section 5.1",
            )
            return


def _evaluations(seen: Series) -> list[tuple[int, float]]:
    """The step and the mean loss of each evaluation: its single batches differ by chance."""
    parts: dict[int, list[float]] = {}
    for step, value in seen:
        parts.setdefault(step, []).append(value)
    return [(step, sum(values) / len(values)) for step, values in parts.items()]


def overfitting(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """The evaluation loss rises while the training loss falls."""
    loss, found = main_loss(evidence), outcome(evidence)
    if loss is None or found is None or not found.finite or len(optimizers_of(evidence)) > 1:
        return
    seen = _evaluations(loss.eval_value)
    if len(seen) >= 5:
        means = [value for _, value in seen]
        low, tenth = min(means), max(1, len(means) // 10)
        place, last = means.index(low), sum(means[-tenth:]) / tenth
        rises = low > 0 and last > (1 + 0.3 / sensitivity) * low and place < 0.7 * len(seen)
        if rises and found.end < 0.7 * last:
            yield Finding(
                "overfitting",
                # Nothing is lost where the weights of the lowest point are the ones in use.
                "note" if evidence.keeps_best else "warning",
                None,
                {"lowest": low, "last": last, "training_loss": found.end},
                f"the evaluation loss rose from {low:.3g} to {last:.3g} while the training loss "
                f"fell to {found.end:.3g}",
                "stop at the lowest evaluation loss; add data, augmentation, decay or dropout",
                at=loss.at,
                since_step=seen[place][0],
                source="Prechelt (1998), Early stopping - but when?",
            )
            return
    rows = evidence.rows
    answered = answered_in_evaluation(evidence)
    # The usual share of the answer is less than how often it is right.
    fitted = math.exp(-found.end) + 0.05 if loss.name in CLASSES else math.nan
    allowed = expected_in_evaluation(evidence, rows.own_score)
    gaps = [gap for gap in (allowed - answered, fitted - answered) if not math.isnan(gap)]
    missing = max(gaps, default=math.nan)
    repeats = loss.value.steps[-1] * loss.of_batch >= 2 * rows.distinct > 0
    if rows.distinct < FEW_ROWS and repeats and missing > 0.15 / sensitivity:
        yield Finding(
            "overfitting",
            "warning",
            None,
            {"rows": rows.distinct, "in_evaluation": answered, "missing": missing},
            f"training repeats {rows.distinct} rows; in evaluation {answered:.2f} is right, where "
            f"{answered + missing:.2f} is fitted in training or possible on rows of that kind",
            "train on more rows; with so few, a linear model or strong decay",
            at=loss.at,
            source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 5.2",
        )
        return
    known = not math.isnan(rows.eval_accuracy) and not math.isnan(rows.eval_score)
    if known and found.skill > 0.95 and rows.eval_accuracy < rows.eval_score - 0.1 / sensitivity:
        yield Finding(
            "overfitting",
            "warning",
            None,
            {"eval_accuracy": rows.eval_accuracy, "reference": rows.eval_score},
            f"the training data are fitted, and {rows.eval_accuracy:.0%} of the evaluation rows "
            f"are right, where a forest gets {rows.eval_score:.0%}",
            "use a smaller network, decay, dropout, or stop earlier",
            at=loss.at,
            source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 5.2",
        )


def undertrained(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Stopped while the loss was still falling, far from what is possible.

    A note where it is less far, and of networks that are trained in turn: told to who asks for
    more, and tried where repairs are.
    """
    alone = len(optimizers_of(evidence)) == 1
    trained = [main_loss(evidence)] if alone else _in_turn(evidence)
    for loss in trained:
        found = outcome(evidence, loss)
        if loss is None or found is None or not found.finite:
            continue
        badly = alone and found.suffers
        if found.steps < (6 if badly else 20):
            continue
        if not found.lags or (found.steps >= ENOUGH_TO_BEGIN and found.skill < BEGUN):
            continue  # more of the same would teach as little
        if evidence.stopped or any(underfitting(evidence, sensitivity)):
            return  # more steps would not widen it
        fall = _late_fall(loss.value.values)
        if fall < 0.3 / sensitivity:
            continue
        steps = loss.value.steps[-1]
        yield Finding(
            "undertrained",
            "warning" if badly else "note",
            None if alone else loss.model,
            {"steps": steps, "share_of_the_last_third": fall, "skill": found.skill},
            f"the loss was still falling when training ended after {steps} steps: the last third "
            f"of them made {fall:.0%} of its fall",
            "train for more epochs" if alone else f"train {loss.model} for more epochs",
            at=loss.at,
            since_step=steps,
            source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 8.3",
        )


def _in_turn(evidence: Evidence) -> list[LossSeen]:
    """The losses of networks of which one is trained after the other."""
    used = [loss for loss in evidence.losses if len(loss.value) and loss.model]
    spans = sorted((loss.value.steps[0], loss.value.steps[-1]) for loss in used)
    apart = all(one[1] < next_[0] for one, next_ in itertools.pairwise(spans))
    return used if apart and not evidence.players else []


def _late_fall(values: list[float]) -> float:
    """The share of the whole fall of the loss, third by third, that its last third made.

    A half where it falls steadily, less where it flattens; 0 where noise explains it.
    """
    third = len(values) // 3
    thirds = [values[:third], values[-2 * third : -third], values[-third:]]
    first, middle, last = (sum(part) / third for part in thirds)
    variance = sum((value - last) ** 2 for value in thirds[2]) / third
    if middle - last < 2 * math.sqrt(2 * variance / third) or not first > last:
        return 0.0
    return (middle - last) / (first - last)
