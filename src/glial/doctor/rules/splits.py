"""Training rows and evaluation rows: what is in both, in one alone, or looks different."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.measures import (
    CLASSES,
    answered_in_evaluation,
    expected_in_evaluation,
    main_loss,
    optimizers_of,
    path_in,
    trained_models,
)
from glial.doctor.rules.data import float_inputs

FEWEST_LABELS = 100


def preprocessing_mismatch(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Evaluation inputs on another scale than training inputs."""
    if len(optimizers_of(evidence)) != 1:
        return
    for model in trained_models(evidence):
        pairs = [(train, seen) for train in float_inputs(model)[:1] for seen in model.asked]
        for train, seen in pairs:
            asked = seen.inputs
            rows = asked.count // max(1, math.prod(asked.shape[1:]))
            alike = "float" in asked.dtype and train.shape[1:] == asked.shape[1:]
            if train.std <= 0 or not alike or rows < 20:
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
                at=seen.at or model.eval_at,
                source="Breck et al. (2019), Data validation for machine learning, MLSys",
            )
            break  # elsewhere it is the same


def data_drift(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Evaluation rows that a forest tells from training rows, and that are answered worse."""
    rows = evidence.rows
    if not rows.told_apart >= 1 - 0.1 * sensitivity or any(
        preprocessing_mismatch(evidence, sensitivity)
    ):
        return
    if not math.isnan(rows.plain_score):
        return  # training rows are changed on purpose
    if len({loss.model for loss in evidence.losses}) > 1:
        return  # rows of the first training are known alone
    missing = expected_in_evaluation(evidence, rows.score) - answered_in_evaluation(evidence)
    yield Finding(
        "data-drift",
        "warning" if missing > 0.15 / sensitivity else "note",
        None,
        {"told_apart": rows.told_apart, "missing": missing},
        f"a forest tells evaluation rows from training rows ({rows.told_apart:.2f} of all pairs)"
        + (f", and {missing:.2f} less of them is right" if missing > 0.15 else ""),
        "find out what changed, gather rows of the new kind, and train with them",
        source="Rabanser, Günnemann, Lipton (2019), Failing loudly, NeurIPS",
    )


def bad_split(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Evaluation holds classes that training never shows, or training shows one alone."""
    rows, loss = evidence.rows, main_loss(evidence)
    target = loss.target if loss is not None and loss.name in CLASSES else None
    if target is not None and len(target.counts) == 1 and target.count >= FEWEST_LABELS:
        (only,) = target.counts
        yield Finding(
            "bad-split",
            "error",
            None,
            {"classes": 1, "labels": target.count},
            f"all {target.count} labels that were trained on are {only}",
            "shuffle before splitting, and split by class (stratified)",
            at=loss.at if loss is not None else None,
            since_step=1,
            source="Kohavi (1995), A study of cross-validation and bootstrap",
        )
        return
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
    if rows.copied or (given_away and rows.columns >= 2):
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
        missing = expected_in_evaluation(evidence, rows.own_score)
        missing -= answered_in_evaluation(evidence)
        costs = rows.repeated >= 0.5 * rows.train and missing > 0.1 / sensitivity
        yield Finding(
            "duplicate-samples",
            "warning" if costs else "note",
            None,
            {"repeated": rows.repeated, "rows": rows.train},
            f"{rows.repeated} of {rows.train} training rows repeat another",
            "remove copies, or count them once",
            source="Lee et al. (2022), Deduplicating training data makes language models better",
        )
