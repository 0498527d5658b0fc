"""What a report comes to: one finding for each thing that somebody should look at."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.data.quality.evidence import QualityEvidence

MANY_DOUBTS, SURE_SHARE = 0.02, 0.35
FEWEST_COPIES, MANY_COPIES = 3, 0.01
MUCH_UNSEEN = 0.1


def findings_of(report: QualityEvidence) -> list[Finding]:
    """The findings of a report, warnings first.

    Example:
        >>> import polars as pl
        >>> from glial.data import inspect_quality
        >>> frame = pl.DataFrame({"a": [1, 2, 1], "y": ["u", "v", "u"]})
        >>> parts = [frame[:2], frame[2:], frame[:0]]
        >>> report = inspect_quality(*parts, ["y"], {"a": "number"}, "classification")
        >>> [(finding.problem, finding.severity) for finding in findings_of(report)]
        [('leakage', 'note'), ('duplicate-samples', 'note')]
    """
    found = [
        *_giveaways(report),
        *_crossing(report),
        *_groups(report),
        *_times(report),
        *_labels(report),
        *_shifts(report),
        *_unseen(report),
        *_repeated(report),
        *_columns(report),
    ]
    return sorted(found, key=lambda finding: finding.severity != "warning")


def _giveaways(report: QualityEvidence) -> Iterator[Finding]:
    for giveaway in report.giveaways:
        yield Finding(
            "leakage",
            "warning",
            giveaway.column,
            {"score": giveaway.score, "threshold": giveaway.threshold},
            f"{giveaway.column!r} alone predicts {giveaway.target!r} nearly perfectly "
            f"({giveaway.score:.3f} of the way from the trivial to the perfect answer)",
            "leave the column out if it is not known when a prediction is needed",
            {"set": {f"data.types.{giveaway.column}": "identifier"}},
        )


def _crossing(report: QualityEvidence) -> Iterator[Finding]:
    found = report.duplicates
    if not found.crossing:
        return
    for split, count in (("val", found.val), ("test", found.test)):
        if not count:
            continue
        share = count / report.rows[split]
        few_kinds = found.distinct < 0.5 * sum(report.rows.values())
        is_many = count >= FEWEST_COPIES and share >= MANY_COPIES
        yield Finding(
            "leakage",
            "warning" if is_many and not few_kinds else "note",
            None,
            {"rows": count, "share": share},
            f"{count} of {report.rows[split]} rows of {split} are equal in all inputs to rows "
            "of an earlier split",
            "remove the copies with --set data.duplicates=drop, or keep rows that belong together "
            "in one part with --group COLUMN",
            {"set": {"data.duplicates": "drop"}},
        )


def _groups(report: QualityEvidence) -> Iterator[Finding]:
    for hint in report.groups:
        yield Finding(
            "split-groups",
            "warning",
            hint.column,
            {"groups": hint.groups, "sharing": hint.sharing, "share": hint.crossing_share},
            f"rows with the same {hint.column!r} share the target far more than chance, and "
            f"{hint.crossing} rows of validation and test have one that training knows",
            f"where new rows will have new values of it: --group {hint.column}",
            {"set": {"data.split.group": hint.column}},
        )


def _times(report: QualityEvidence) -> Iterator[Finding]:
    for hint in report.times:
        yield Finding(
            "split-times",
            "note",
            hint.column,
            {"rows": hint.crossing, "share": hint.crossing_share},
            f"by {hint.column!r}, {hint.crossing} rows of validation and test are earlier than "
            "the last training row",
            f"where the future is to be predicted: --time {hint.column}",
            {"set": {"data.split.time": hint.column}},
        )


def _labels(report: QualityEvidence) -> Iterator[Finding]:
    for check in report.label_checks:
        count = len(check.doubts)
        if not count:
            continue
        share = count / check.rows
        # Where classes overlap, a model is often wrong and seldom sure; wrong labels make it sure.
        stands_out = check.missed is None or count >= SURE_SHARE * check.missed
        yield Finding(
            "label-noise",
            "warning" if share >= MANY_DOUBTS and stands_out else "note",
            check.target,
            {"rows": count, "share": share},
            f"{count} of {check.rows} rows have a {check.target!r} that the other rows contradict",
            "look at the rows named under labels, the first ones first",
            source="Northcutt, Jiang, Chuang (2021), arXiv 1911.00068",
        )


def _shifts(report: QualityEvidence) -> Iterator[Finding]:
    for shift in report.shifts:
        yield Finding(
            "data-drift",
            "warning",
            shift.column,
            {"effect": shift.effect, "p_value": shift.p_value},
            f"{shift.column!r} is spread otherwise in {shift.split} than in training "
            f"(by {shift.effect:.2f})",
            "find out how the rows were divided; results on them may not carry over",
        )


def _unseen(report: QualityEvidence) -> Iterator[Finding]:
    for unseen in report.unseen:
        yield Finding(
            "data-drift",
            "warning" if unseen.share >= MUCH_UNSEEN else "note",
            unseen.column,
            {"rows": unseen.rows, "share": unseen.share},
            f"{unseen.rows} rows of {unseen.split} have a {unseen.column!r} that training "
            f"never showed, such as {unseen.values[0]!r}",
            "the network cannot tell such values apart: gather rows with them, or merge them",
        )


def _repeated(report: QualityEvidence) -> Iterator[Finding]:
    found = report.duplicates
    if found.repeated or found.conflicting:
        yield Finding(
            "duplicate-samples",
            "note",
            None,
            {"repeated": found.repeated, "conflicting": found.conflicting},
            f"{found.repeated} rows repeat an earlier one; {found.conflicting} rows have the "
            "inputs of another with a different target",
            "remove copies; where inputs conflict, no network can get all of them right",
            {"set": {"data.duplicates": "drop"}},
        )


def _columns(report: QualityEvidence) -> Iterator[Finding]:
    for verdict in ("empty", "constant", "near-constant", "identifier"):
        names = [column.column for column in report.columns if column.verdict == verdict]
        if names:
            shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
            yield Finding(
                "silent-columns",
                "note",
                names[0] if len(names) == 1 else None,
                {"columns": len(names)},
                f"{verdict}, and of little or no use: {shown}",
                "nothing, or leave them out of the source",
            )
