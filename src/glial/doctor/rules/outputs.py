"""The outputs: activations and widths that do not fit the targets."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LossSeen
from glial.doctor.measures import BINARY, BOUNDED, CLASSES, RECTIFIERS, positions, suffers
from glial.doctor.rules.objective import GOODFELLOW, losses_of


def wrong_output_activation(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Outputs that cannot reach the targets, or that are no answer to the task."""
    for loss in losses_of(evidence):
        found = _activation_fault(loss)
        if found is None:
            continue
        means, do, numbers = found
        yield Finding(
            "wrong-output-activation",
            "error" if suffers(evidence) else "warning",
            loss.output_layer,
            numbers,
            means,
            do,
            at=loss.at,
            since_step=1,
            source=GOODFELLOW,
        )


def _activation_fault(loss: LossSeen) -> tuple[str, str, dict[str, int | float]] | None:
    out, target, made_by = loss.outputs, loss.target, loss.output_function
    if made_by == "softmax" and out.shape[-1:] == [1]:
        return (
            "softmax over one output gives 1 whatever the input",
            "use a sigmoid, or two outputs",
            {"outputs": 1, "min": out.min, "max": out.max},
        )
    if made_by in RECTIFIERS and loss.name in (*CLASSES, "binary_cross_entropy_with_logits"):
        return (
            f"outputs pass through {made_by} before {loss.name}: none can be negative, and those "
            "that are 0 learn nothing",
            f"take the {made_by} off the last layer",
            {"output_min": out.min, "output_max": out.max},
        )
    if target is None or loss.name in CLASSES:
        return None
    numbers: dict[str, int | float] = {
        "target_min": target.min,
        "target_max": target.max,
        "output_min": out.min,
        "output_max": out.max,
    }
    if made_by in RECTIFIERS and target.min < 0:
        return (
            f"outputs pass through {made_by} and cannot be negative, and targets are",
            f"take the {made_by} off the last layer",
            numbers,
        )
    if made_by == "softmax" and _is_multilabel(loss):
        return (
            "softmax makes the labels of a row compete, and rows have several or none",
            "give each label a sigmoid: binary_cross_entropy_with_logits on plain outputs",
            numbers,
        )
    if made_by in BOUNDED and loss.name not in BINARY:
        low, high = BOUNDED[made_by]
        room = 0.02 * max(high - low, target.max - target.min)
        if target.min < low - room or target.max > high + room:
            return (
                f"outputs pass through {made_by} and stay within {low:g} and {high:g}; targets lie "
                f"between {target.min:.3g} and {target.max:.3g}",
                f"take the {made_by} off the last layer, or scale the targets to its range",
                numbers,
            )
    return None


def _is_multilabel(loss: LossSeen) -> bool:
    target = loss.target
    if target is None or len(target.shape) != 2 or target.shape[1] < 2:
        return False
    return set(target.counts) <= {"0", "1"} and 0 < target.rows_sum_to_one < 0.9


def wrong_output_width(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """More or fewer outputs than there are classes."""
    for loss in losses_of(evidence):
        target, out = loss.target, loss.outputs
        if target is None:
            continue
        refused = not len(loss.value)
        if loss.name in ("cross_entropy", "nll_loss") and out.shape[1:2] == [1] and not refused:
            yield Finding(
                "wrong-output-width",
                "error",
                loss.output_layer,
                {"outputs": 1, "loss": loss.value.last},
                f"{loss.name} over one output is 0 whatever it says, and teaches nothing",
                "use an output for each class; for amounts mse_loss, for yes and no "
                "binary_cross_entropy_with_logits",
                at=loss.at,
                since_step=1,
                source=GOODFELLOW,
            )
            continue
        if loss.name in BINARY and target.max > 1 and target.whole:
            yield Finding(
                "wrong-output-width",
                "error",
                loss.output_layer,
                {"outputs": out.shape[-1] if out.shape else 1, "largest_target": target.max},
                f"{loss.name} is given class numbers up to {target.max:g}, and takes 0 and 1",
                f"use {target.max + 1:g} outputs and cross_entropy",
                at=loss.at,
                source=GOODFELLOW,
            )
        if loss.name not in CLASSES or len(out.shape) < 2 or "int" not in target.dtype:
            continue
        width, used = out.shape[1], len(target.counts)
        if out.shape[0] == width and target.max < max(loss.batch_sizes, default=0):
            continue  # rows are told from each other, and batches are not all of one size
        if target.max >= width or (target.min < 0 and refused):
            yield Finding(
                "wrong-output-width",
                "error",
                loss.output_layer,
                {"outputs": width, "largest_target": target.max},
                f"there are {width} outputs, and targets go from {target.min:g} to {target.max:g}",
                "give the last layer an output for each class, numbered from 0",
                at=loss.at,
                source=GOODFELLOW,
            )
        elif positions(evidence, loss) > 1:
            continue  # what only marks a beginning or padding is never asked for
        elif used and target.count >= 20 * width and width > used and width <= 100:
            yield Finding(
                "wrong-output-width",
                "note",
                loss.output_layer,
                {"outputs": width, "classes": used},
                f"there are {width} outputs, and only {used} classes were ever seen",
                "number the classes from 0 and give the last layer as many outputs",
                at=loss.at,
                source=GOODFELLOW,
            )
