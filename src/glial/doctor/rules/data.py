"""The data: scales, missing values, labels, splits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, ModelSeen, TensorSeen
from glial.doctor.measures import (
    CLASSES,
    NORMS,
    is_regression,
    main_loss,
    model_of,
    optimizers_of,
    outcome,
    path_in,
    scale_of,
    suffers,
    trained_models,
)
from glial.doctor.rules.adversarial import players

_LECUN = "LeCun, Bottou, Orr, Müller (1998), Efficient backprop, section 4.3"


def _float_inputs(model: ModelSeen, phase: str = "train") -> list[TensorSeen]:
    return [
        seen
        for seen in model.inputs.get("train" if phase == "train" else "eval", [])
        if "float" in seen.dtype and seen.count
    ]


def unscaled_input(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Features far from the scale of 1 that weights are initialised for."""
    both = players(evidence)
    for model in trained_models(evidence):
        first = model.layers[0].kind if model.layers else ""
        if first in (*NORMS, "Embedding") or (both and model is both[1]):
            continue
        for seen in _float_inputs(model)[:1]:
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
        for seen in _float_inputs(model)[:1]:
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


def preprocessing_mismatch(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Evaluation inputs on another scale than training inputs."""
    if len(optimizers_of(evidence)) != 1:
        return
    for model in trained_models(evidence):
        pairs = zip(_float_inputs(model), _float_inputs(model, "eval"), strict=False)
        for train, asked in list(pairs)[:1]:
            rows = asked.count // max(1, math.prod(asked.shape[1:]))
            if train.std <= 0 or train.shape[1:] != asked.shape[1:] or rows < 20:
                continue
            shift = abs(asked.mean - train.mean) / train.std
            ratio = max(asked.std, 1e-12) / train.std
            if shift < 1.0 / sensitivity and 1 / 3 < ratio < 3:
                continue
            yield Finding(
                "preprocessing-mismatch",
                "error" if shift > 5 or not 0.1 < ratio < 10 else "warning",
                path_in(evidence, model, ""),
                {
                    "train_mean": train.mean,
                    "train_std": train.std,
                    "eval_mean": asked.mean,
                    "eval_std": asked.std,
                },
                f"inputs have mean {asked.mean:.3g} and deviation {asked.std:.3g} in evaluation, "
                f"{train.mean:.3g} and {train.std:.3g} in training",
                "prepare both by one function, with numbers of the training rows",
                at=model.eval_at,
                source="Breck et al. (2019), Data validation for machine learning, MLSys",
            )


def missing_values(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """NaN in inputs or targets."""
    for model in trained_models(evidence):
        for seen in _float_inputs(model):
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


def class_imbalance(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A class so rare that a network may leave it out and still look right."""
    loss = main_loss(evidence)
    if loss is None or loss.target is None or loss.weighted:
        return
    target = loss.target
    counts = target.counts
    binary = (
        loss.name.startswith("binary") and len(target.shape) <= 2 and target.shape[1:] in ([], [1])
    )
    if not (loss.name in CLASSES or binary) or len(counts) < 2 or len(target.shape) > 2:
        return
    total = sum(counts.values())
    rarest, most = min(counts.values()) / total, max(counts.values()) / total
    if total < 200 or rarest * len(counts) > 0.15 * sensitivity or len(counts) > 20:
        return
    yield Finding(
        "class-imbalance",
        "warning" if most >= 0.9 else "note",
        None,
        {"largest_share": most, "smallest_share": rarest, "classes": len(counts)},
        f"the rarest of {len(counts)} classes has {rarest:.1%} of the rows: answering the "
        f"commonest is right in {most:.0%}",
        "give classes weights or draw them evenly, and judge by balanced accuracy or F1",
        at=loss.at,
        since_step=1,
        source="Japkowicz, Stephen (2002), The class imbalance problem: a systematic study",
    )


def label_noise(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Labels that the other rows contradict."""
    rows, loss = evidence.rows, main_loss(evidence)
    at = loss.at if loss else None
    if rows.merged:
        gone, into = rows.merged
        yield Finding(
            "label-noise",
            "error",
            None,
            {"class_without_rows": float(gone), "class_with_too_many": float(into)},
            f"no training row has class {gone}, evaluation has some, and they look like class "
            f"{into}, which has as many rows as two",
            f"look at the rows of class {into}: those of {gone} seem to be labelled so",
            at=at,
            source="Northcutt, Jiang, Chuang (2021), Confident learning",
        )
        return
    conflicting = rows.conflicting / rows.train if rows.train else 0.0
    if rows.suspects >= 0.04 / sensitivity and rows.score > 0.2:
        means = f"a forest surely contradicts the label of {rows.suspects:.1%} of the training rows"
    elif loss and loss.name in CLASSES and conflicting >= 0.05 and rows.distinct < 0.8 * rows.train:
        means = f"{conflicting:.1%} of the training rows equal another with a different label"
    else:
        return
    yield Finding(
        "label-noise",
        "warning",
        None,
        {"suspects": rows.suspects, "conflicting": conflicting, "reference_score": rows.score},
        means,
        "look at these rows first; a robust loss or label smoothing helps with what stays",
        at=at,
        source="Northcutt, Jiang, Chuang (2021), Confident learning, arXiv 1911.00068",
    )


def misaligned_labels(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Labels that carry no information about the inputs."""
    rows, loss, found = evidence.rows, main_loss(evidence), outcome(evidence)
    if loss is None or found is None or math.isnan(rows.score) or not found.finite:
        return
    if rows.distinct < 300 / sensitivity or rows.score > 0.03 * sensitivity:
        return
    probe = evidence.probe("one_batch")
    fits = probe is not None and probe.numbers["end"] < 0.7 * probe.numbers["start"]
    if found.skill > 0.15 and not fits:
        return
    yield Finding(
        "misaligned-labels",
        "error" if found.skill < 0.05 else "warning",
        None,
        {"reference_score": rows.score, "rows": rows.distinct, "skill": found.skill},
        f"from {rows.distinct} training rows neither the network nor a forest learns anything of "
        "the labels: they seem to belong to other rows",
        "shuffle inputs and labels with one and the same permutation",
        at=loss.at,
        since_step=1,
        source="Zhang et al. (2017), arXiv 1611.03530 (networks on random labels)",
    )


def unshuffled_data(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Rows come in the order of their labels."""
    loss = main_loss(evidence)
    if loss is None or loss.target is None or math.isnan(loss.target.in_order):
        return
    if loss.name not in CLASSES and not loss.name.startswith("binary"):
        return
    if loss.target.in_order < 0.5 / sensitivity or len(loss.target.counts) < 2:
        return
    model = model_of(evidence, loss.model)
    shapes = [seen.shape for seen in model.inputs.get("train", [])] if model else []
    batch = max((shape[0] for shape in shapes if shape), default=0)
    if evidence.rows.distinct and batch >= 0.9 * evidence.rows.distinct:
        return  # a gradient of all rows knows no order
    yield Finding(
        "unshuffled-data",
        "warning",
        None,
        {"alike_neighbours": loss.target.in_order},
        "rows come in the order of their labels, so each batch teaches one class",
        "draw a new order each epoch (shuffle=True, or torch.randperm)",
        at=loss.at,
        since_step=1,
        source="Bengio (2012), Practical recommendations for gradient-based training, section 2.1",
    )


def bad_split(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Evaluation holds classes that training never shows."""
    rows = evidence.rows
    if not rows.unseen_classes or rows.merged:
        return
    names = ", ".join(rows.unseen_classes[:5])
    yield Finding(
        "bad-split",
        "error",
        None,
        {"classes": len(rows.unseen_classes), "accuracy": rows.eval_accuracy},
        f"evaluation asks for classes that training never shows: {names}",
        "shuffle before splitting, and split by class (stratified)",
        source="Kohavi (1995), A study of cross-validation and bootstrap",
    )


def leakage(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Evaluation rows that were trained on; a column that gives the target away."""
    rows = evidence.rows
    if rows.crossing_share >= 0.03 / sensitivity:
        yield Finding(
            "leakage",
            "warning",
            None,
            {"share": rows.crossing_share, "rows": rows.crossing},
            f"{rows.crossing_share:.0%} of the rows of an evaluation equal training rows",
            "remove copies before splitting",
            source="Kaufman et al. (2012), Leakage in data mining",
        )
    given_away = rows.single_score >= 0.97 and rows.score >= 0.9 and rows.distinct >= 100
    if given_away and rows.columns >= 2:
        yield Finding(
            "leakage",
            "warning",
            f"input column {rows.single_column}",
            {"column": rows.single_column or 0, "score": rows.single_score},
            f"input column {rows.single_column} alone tells the target ({rows.single_score:.3f} of "
            "the way from chance to perfect)",
            "leave it out if it is not known when a prediction is needed",
            source="Kaufman et al. (2012), Leakage in data mining",
        )


def duplicate_samples(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Rows that stand twice or more within one pass over the data."""
    rows = evidence.rows
    if rows.repeated >= 0.05 * rows.train / sensitivity and rows.repeated >= 10:
        yield Finding(
            "duplicate-samples",
            "note",
            None,
            {"repeated": rows.repeated, "rows": rows.train},
            f"{rows.repeated} of {rows.train} training rows repeat another",
            "remove copies, or count them once",
            source="Lee et al. (2022), Deduplicating training data makes language models better",
        )


def wrong_layout(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Channels last where convolutions expect them first."""
    for model in trained_models(evidence):
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
