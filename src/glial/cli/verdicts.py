"""The doctor's verdict, printed for people: three lines a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from glial.core.findings import SEVERITIES, Finding, Severity
from glial.doctor.telling import sentence, tell

if TYPE_CHECKING:
    from glial.doctor.evidence import Evidence
    from glial.doctor.launching import Verdict

MOST_NAMES = 4


def print_verdict(verdict: Verdict, *, verbose: bool = False, quiet: bool = False) -> None:
    """Print what is wrong, worst first, and what that rests on.

    Args:
        verdict: What was found.
        verbose: Whether notes are shown too, and why something was not checked.
        quiet: Whether errors and warnings are all that is shown.

    Example:
        >>> from glial.doctor.launching import Verdict
        >>> print_verdict(Verdict([], None, note="the run keeps no evidence"))
        healthy: no error, no warning
        the run keeps no evidence
    """
    for line in findings_text(verdict.findings, notes=verbose and not quiet, diffs=verbose):
        print(line)
    if quiet:
        return
    for line in _summary(verdict, verbose):
        print(line)


def findings_text(
    findings: Iterable[Finding], *, notes: bool = False, diffs: bool = False
) -> Iterator[str]:
    """Three lines for each finding, errors first.

    Args:
        findings: They.
        notes: Whether notes are told too.
        diffs: Whether the change of the source that may mend each is shown.

    Example:
        >>> from glial.core.findings import Finding
        >>> found = Finding("dead-units", "warning", "0", {"dead": 0.5}, "Half is dead.", "Do.")
        >>> next(findings_text([found]))
        'warning: Half is dead (dead-units, 0)'
    """
    findings = list(findings)
    for severity in SEVERITIES:
        for finding in findings:
            if finding.severity == severity and (severity != "note" or notes):
                yield from tell(finding)
                diff = (finding.remedy or {}).get("diff") if diffs else None
                yield from (f"    {line}" for line in (diff or "").splitlines())


def _summary(verdict: Verdict, verbose: bool) -> Iterable[str]:
    counts = Counter(finding.severity for finding in verdict.findings)
    if verdict.healthy and (verdict.has_seen_training or verdict.ended is None):
        yield "healthy: no error, no warning"
    elif not verdict.healthy:
        yield "not healthy: " + " and ".join(
            _counted(counts[severity], severity)
            for severity in ("error", "warning")
            if counts[severity]
        )
    if counts["note"] and not verbose:
        yield f"{_counted(counts['note'], 'note')}, shown with --verbose"
    seen = verdict.evidence
    if seen is not None and seen.steps:
        yield f"watched: {_watched(seen)}"
    if seen is not None and seen.not_checked:
        yield from _not_checked(seen, verbose)
    others = len(verdict.steps_of) - 1
    if others > 0:
        yield f"of {others + 1} processes, the one with the most steps was judged"
    if verdict.note:
        yield verdict.note
    yield from _ending(verdict)


def _counted(count: int, severity: Severity) -> str:
    return f"{count} {severity}{'' if count == 1 else 's'}"


def _watched(seen: Evidence) -> str:
    parts = [
        _named("model", [_with_kind(model.name, model.kind) for model in seen.models]),
        _named("optimiser", [_with_kind(each.name, each.kind) for each in seen.optimizers]),
        _named("loss", [loss.name for loss in seen.losses]),
        _named("loader", [loader.name for loader in seen.loaders]),
    ]
    steps = "1 step" if seen.steps == 1 else f"{seen.steps:,} steps"
    share = seen.watching / seen.seconds if seen.seconds else 0.0
    time = f"{steps} in {seen.seconds:.1f} s, {share:.1%} of it watching"
    return "; ".join([*filter(None, parts), time])


def _with_kind(name: str, kind: str) -> str:
    return name if name == kind else f"{name} ({kind})"


def _named(what: str, names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return f"{what} {', '.join(names[:MOST_NAMES])}{more}" if names else ""


def _not_checked(seen: Evidence, verbose: bool) -> Iterable[str]:
    if verbose:
        for each in seen.not_checked:
            yield f"not checked: {each.problem}, as {sentence(each.why)}"
        return
    count = len({each.problem for each in seen.not_checked})
    yield f"not checked: {count} problem{'' if count == 1 else 's'}, named with --verbose"


def _ending(verdict: Verdict) -> Iterable[str]:
    """How the script ended, where it did not end as it should."""
    seen = verdict.evidence
    if verdict.ended is None:
        return
    if seen is not None and seen.stopped:
        yield f"the script was stopped after {seen.steps:,} steps, as asked"
    if verdict.ended.asked is not None:
        yield "interrupted: this is what was seen until then"
    elif verdict.failed and verdict.ended.signal:
        yield f"the script was ended by {verdict.ended.signal}"
    elif verdict.failed:
        error = ""
        if seen is not None and seen.ended is not None:
            place = f" at {seen.error_at}" if seen.error_at else ""
            error = f", by {seen.ended}{place}"
        yield f"the script ended with exit status {verdict.ended.status}{error}"
