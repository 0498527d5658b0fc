"""The inputs: scales, missing values, layout, how they are read and changed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, ModelSeen, TensorSeen
from glial.doctor.measures import (
    NORMS,
    is_regression,
    main_loss,
    outcome,
    path_in,
    scale_of,
    suffers,
    trained_models,
)

SMOOTHER, NO_ROUGHER = 0.7, 0.95  # than as they are: surely, and by more than chance
LARGE_STAND_IN = 20.0  # beside numbers that networks expect near 1

_LECUN = "LeCun, Bottou, Orr, Müller (1998), Efficient backprop, section 4.3"


def float_inputs(model: ModelSeen, phase: str = "train") -> list[TensorSeen]:
    """A network's inputs of real numbers, in training or in evaluation.

    Example:
        >>> float_inputs(ModelSeen("net", "Linear"))
        []
    """
    return [
        seen
        for seen in model.inputs.get("train" if phase == "train" else "eval", [])
        if "float" in seen.dtype and seen.count
    ]


def unscaled_input(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Features far from the scale of 1 that weights are initialised for."""
    judges = {players.judge for players in evidence.players}
    for model in trained_models(evidence):
        first = model.layers[0].kind if model.layers else ""
        if first in (*NORMS, "Embedding") or model.name in judges:
            continue
        for seen in float_inputs(model)[:1]:
            scale = scale_of(seen)
            uneven = _unevenness(seen)
            if scale < 10 / sensitivity:
                continue
            bad = suffers(evidence)
            yield Finding(
                "unscaled-input",
                ("error" if scale > 1e3 else "warning") if bad else "note",
                path_in(evidence, model, model.layers[0].name if model.layers else ""),
                {"scale": scale, "mean": seen.mean, "std": seen.std, "unevenness": uneven},
                f"inputs lie about {scale:.3g} from 0, where networks expect about 1",
                "subtract each column's mean and divide by its standard deviation, both of the "
                "training rows",
                at=model.at,
                since_step=1,
                source=_LECUN,
            )


def _unevenness(seen: TensorSeen) -> float:
    """The largest column's standard deviation over the smallest one's that is not 0."""
    known = [std for std in seen.stds if std > 0]
    return max(known) / min(known) if known else 1.0


def unscaled_target(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Targets that outputs near 0 are far from."""
    loss, found = main_loss(evidence), outcome(evidence)
    if loss is None or found is None or loss.target is None or not is_regression(loss):
        return
    scale = math.hypot(loss.target.mean, loss.target.std)
    if scale < 10 / sensitivity:
        return
    bad = suffers(evidence) or not found.finite
    yield Finding(
        "unscaled-target",
        ("error" if scale > 1e3 else "warning") if bad else "note",
        None,
        {"scale": scale, "mean": loss.target.mean, "std": loss.target.std},
        f"targets lie about {scale:.3g} from 0, where a network's first outputs lie",
        "subtract the training targets' mean and divide by their standard deviation, and undo it "
        "in predictions",
        at=loss.at,
        since_step=1,
        source=_LECUN,
    )


def constant_input(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Inputs that hardly differ from row to row."""
    if not suffers(evidence):
        return
    for model in trained_models(evidence):
        if model.layers and model.layers[0].kind in NORMS:
            continue
        for seen in float_inputs(model)[:1]:
            if math.isnan(seen.spread) or seen.batches < 2 or seen.shape[:1] == [1]:
                continue
            if seen.spread < 0.02 * sensitivity and abs(seen.mean) < 10:
                yield Finding(
                    "constant-input",
                    "error" if outcome_fails(evidence) else "warning",
                    path_in(evidence, model, model.layers[0].name if model.layers else ""),
                    {"spread": seen.spread, "mean": seen.mean, "std": seen.std},
                    f"from row to row inputs differ by only {seen.spread:.2g}: was a divisor used "
                    "twice?",
                    "look at one batch: values should have a standard deviation of about 1",
                    at=model.at,
                    since_step=1,
                    source=_LECUN,
                )


def outcome_fails(evidence: Evidence) -> bool:
    """Whether training did no better than a constant.

    Example:
        >>> outcome_fails(Evidence())
        False
    """
    found = outcome(evidence)
    return found is not None and found.fails


def missing_values(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """NaN in inputs or targets, or a number that stands for it."""
    for model in trained_models(evidence):
        for seen in float_inputs(model):
            if seen.not_finite > 0:
                yield Finding(
                    "missing-values",
                    "error",
                    path_in(evidence, model, ""),
                    {"share": seen.not_finite},
                    f"{seen.not_finite:.2%} of the input values are NaN or infinite",
                    "fill or drop them before training",
                    at=model.at,
                    since_step=1,
                    source="Little, Rubin (2019), Statistical analysis with missing data",
                )
                break
    loss = main_loss(evidence)
    if loss is not None and loss.target is not None and loss.target.not_finite > 0:
        yield Finding(
            "missing-values",
            "error",
            None,
            {"share": loss.target.not_finite},
            f"{loss.target.not_finite:.2%} of the targets are NaN or infinite",
            "leave these rows out",
            at=loss.at,
            since_step=1,
            source="Little, Rubin (2019), Statistical analysis with missing data",
        )

    rows = evidence.rows
    if not math.isnan(rows.stand_in):
        found = outcome(evidence)
        costs = found is not None and found.lags
        yield Finding(
            "missing-values",
            "warning" if costs or abs(rows.stand_in) > LARGE_STAND_IN / sensitivity else "note",
            None,
            {"stand_in": rows.stand_in, "share": rows.stand_in_share},
            f"{rows.stand_in_share:.1%} of some columns' values are {rows.stand_in:g}, far from "
            "all others: it seems to stand for what is missing",
            "fill it with the column's median, and tell the network by a further column",
            since_step=1,
            source="Little, Rubin (2019), Statistical analysis with missing data",
        )


def wrong_layout(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Channels last where convolutions expect them first, or scattered over the image."""
    for model in trained_models(evidence):
        yield from _scattered_channels(evidence, model, sensitivity)
        first = next((layer for layer in model.layers if layer.kind == "Conv2d"), None)
        if first is None or model.layers[0] is not first or len(first.input_shape) != 4:
            continue
        _, channels, height, width = first.input_shape
        if width in (1, 3) and channels > 4 and height == channels:
            yield Finding(
                "wrong-layout",
                "warning",
                path_in(evidence, model, first.name),
                {"channels": channels, "height": height, "width": width},
                f"images come as {first.input_shape[1:]}: the last axis looks like the channels",
                "move the channels to the front: x.permute(0, 3, 1, 2)",
                at=first.at,
                since_step=1,
                source="PyTorch documentation, Conv2d (N, C, H, W)",
            )


def _scattered_channels(
    evidence: Evidence, model: ModelSeen, sensitivity: float
) -> Iterator[Finding]:
    """Images that are smoother where their numbers are read with the channels last."""
    found = outcome(evidence)
    for seen in float_inputs(model)[:1]:
        surely = seen.channels_last < SMOOTHER * sensitivity
        if seen.channels_last < NO_ROUGHER and len(seen.shape) == 4:
            _, channels, height, width = seen.shape
            lags = found is not None and found.lags
            yield Finding(
                "wrong-layout",
                "error" if surely else "warning" if lags else "note",
                None,
                {"channels": channels, "height": height, "width": width}
                | {"roughness_with_channels_last": seen.channels_last},
                f"read as [{height}, {width}, {channels}], images are {seen.channels_last:.0%} as "
                "rough: their channels were last, and a reshape has scattered them",
                "permute the axes in place of reshaping: x.permute(0, 3, 1, 2)",
                at=model.at,
                since_step=1,
                source="PyTorch documentation, Tensor.view and Tensor.permute",
            )


def identical_workers(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Workers of a loader that draw the same random numbers."""
    for loader in evidence.loaders:
        if not loader.training or not loader.equal_workers:
            continue
        yield Finding(
            "identical-workers",
            "warning",
            None,
            {"workers": loader.workers},
            "asked for the same row, two workers give the very same random change: each repeats "
            "what the others do",
            "draw from torch's generator in the data set, or make the generator in "
            "worker_init_fn, seeded by torch.initial_seed()",
            at=loader.at,
            since_step=1,
            source="PyTorch documentation, Randomness in multi-process data loading",
        )
