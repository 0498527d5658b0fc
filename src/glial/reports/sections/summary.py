"""The card at the top: what was trained, on what, how good, what is wrong, what to do next."""

from __future__ import annotations

from typing import Any

from glial.reports.blocks import Facts, Section
from glial.reports.numbers import counted, percent, seconds_told, sentence
from glial.reports.sections.findings import title_of
from glial.reports.sections.quality import counted_rows, told_metric
from glial.reports.subject import Subject
from glial.reports.words import TRIVIAL, headline, metric_title

Made = dict[str, Section]
# How far probabilities, and ranges, may be off before the first lines say so.
MISCALIBRATED, MISCOVERED = 0.05, 0.15


def summary(subject: Subject, made: Made) -> Section:
    """Five answers for whoever reads nothing else.

    Args:
        subject: What the report is about.
        made: The other sections, by name.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> section = summary(Subject.of(run, use_data=False), {})
        >>> [name for name, _ in section.blocks[0].pairs]
        ['What was trained', 'On what', 'How good it is', 'What is wrong', 'What to do next']
    """
    answers = {
        "What was trained": _trained(subject),
        "On what": _on_what(subject, made),
        "How good it is": _how_good(subject, made),
        "What is wrong": _wrong(subject, made),
        "What to do next": _next(subject, made),
    }
    return Section("summary", "", [], [Facts(list(answers.items()))], {"answers": answers})


def _trained(subject: Subject) -> str:
    goal = subject.goal
    name = subject.plan.model.get("name")
    kind = "A network of somebody's own" if name == "custom" else f"A neural network (“{name}”)"
    networks = len(subject.members)
    if networks > 1:
        kind = f"{networks} neural networks (“{name}”), which answer together,"
    if subject.run is not None:
        count = sum(p.numel() for p in subject.members[0].model.parameters())
        kind += f" with {counted(count, 'parameter')}{' each' if networks > 1 else ''}"
    ended = {
        "unfinished": "Its training has not finished.",
        "interrupted": "Somebody stopped the training before its end.",
    }.get(subject.status, "")
    how_long = f"in {counted(subject.epochs, 'epoch')} and {seconds_told(subject.seconds)}"
    were = "were" if networks > 1 else "was"
    if not subject.epochs:
        how_long = "for less than an epoch"
    return f"{kind} {were} trained {how_long} to {goal}. {ended}".strip()


def _on_what(subject: Subject, made: Made) -> str:
    says = made["data"].says if "data" in made else []
    return says[0] if says else f"On {subject.source_name}."


def _how_good(subject: Subject, made: Made) -> str:
    result = subject.evaluation or _left(subject.metrics)
    name = headline(subject.task, result["metrics"])
    if name is None:
        return "Not known: it has not been judged."
    title = metric_title(name)
    text = f"{title}: {told_metric(name, result['metrics'][name])}"
    interval = result["intervals"].get(name)
    if interval is not None:
        ends = " and ".join(told_metric(name, end) for end in interval)
        text += f" (with other rows of the kind, between {ends})"
    base = result["baseline"].get(name)
    trivial = TRIVIAL.get(subject.task, "the simplest possible answer")
    if base is not None:
        text += f". For comparison, {trivial} gives {told_metric(name, base)}"
    held, wanted = (result["metrics"].get(key) for key in ("coverage", "nominal_coverage"))
    if held is not None and wanted is not None:
        text += f". Its ranges, meant to hold {percent(wanted)} of what comes, hold {percent(held)}"
    leaks = [one for one in _inspected(made) if one["problem"] == "leakage"]
    copies = any(one["where"] is None for one in leaks)  # others are columns
    but = ", but for copies of rows that it learnt from: these flatter it" if copies else ""
    return f"{text}. Judged by {counted_rows(subject)}{but}."


def _left(metrics: dict[str, dict[str, float]]) -> dict[str, Any]:
    found = metrics.get("test") or metrics.get("val") or {}
    return {"metrics": found, "baseline": metrics.get("baseline") or {}, "intervals": {}}


def _wrong(subject: Subject, made: Made) -> str:
    told = _no_better(made)
    told += [
        f"{title_of(one)}{f' ({one.where})' if one.where else ''}"
        for one in subject.findings
        if one.severity != "note"
    ]
    told += _unsure(subject)
    inspected = _inspected(made)
    seen = {one.problem for one in subject.findings}
    for one in inspected:
        if one["severity"] != "note" and one["problem"] not in seen:
            told.append(f"in the data: {str(one['means']).rstrip('.')}")
    unfair = made["card"].data.get("gap") if "card" in made else None
    if unfair:
        told.append(unfair)
    if told:
        more = f"; and {len(told) - 3} more below" if len(told) > 3 else ""
        return sentence(f"{'; '.join(told[:3])}{more}")
    weak = made["failures"].data.get("slices") if "failures" in made else None
    rest = f" It is weakest where {weak[0]['slice']}." if weak else ""
    if subject.status == "unfinished" and not subject.findings:
        return "Not known yet: its training has not finished."
    notes = sum(one.severity == "note" for one in subject.findings)
    if notes:
        return f"Nothing serious was found; {counted(notes, 'note')} below.{rest}"
    return f"Nothing was found that is wrong.{rest}"


def _inspected(made: Made) -> list[dict[str, Any]]:
    """What looking at the rows found."""
    found: list[dict[str, Any]] = made["data"].data.get("inspection", []) if "data" in made else []
    return found


def _unsure(subject: Subject) -> list[str]:
    """That its probabilities or intervals do not hold, where they are far from it."""
    result = subject.evaluation or {}
    measures = (result.get("calibration") or {}).get("measures") or {}
    error = measures.get("expected_calibration_error")
    if error is not None and error > MISCALIBRATED:
        return [
            f"its probabilities are {100 * error:.0f} percentage points off on average "
            "(glial calibrate mends that)"
        ]
    metrics = result.get("metrics") or {}
    held, wanted = metrics.get("coverage"), metrics.get("nominal_coverage")
    if held is None or wanted is None or abs(held - wanted) <= MISCOVERED:
        return []
    return [f"its ranges should hold {percent(wanted)} of what comes, and hold {percent(held)}"]


def _no_better(made: Made) -> list[str]:
    """That the run is no better than the trivial answer, where that is so."""
    beaten = made["quality"].data.get("beaten", "") if "quality" in made else ""
    if "any better" in beaten:
        return ["it was not shown to be better than the simplest possible answer"]
    return ["it is worse than the simplest possible answer"] if "worse" in beaten else []


def _next(subject: Subject, made: Made) -> str:
    if subject.status == "unfinished" and subject.folder is not None:
        return f"Let the training finish: glial train {subject.folder} --resume."
    if _no_better(made):
        return (
            "Do not use it as it stands: train it for longer, give it more rows or other columns, "
            "or use the simple answer instead."
        )
    main = [one for one in subject.findings if one.severity != "note"]
    if main:
        return sentence(main[0].do)
    for one in _inspected(made):
        if one["severity"] != "note":
            return sentence(one["do"])
    if subject.findings:
        return sentence(subject.findings[0].do)
    if "card" in made and made["card"].data.get("gap"):
        return (
            "Ask whether it may treat these groups differently; the model card below compares "
            "them. To lessen the difference, train with --set data.fairness.how=thresholds."
        )
    weak = made["failures"].data.get("slices") if "failures" in made else None
    if weak:
        return f"Look at the rows where {weak[0]['slice']}, and gather more of them."
    if subject.evaluation is None and not subject.metrics.get("test"):
        return "Judge it by rows with known answers that it has never seen."
    return "Try it on new rows, and look at what it gets wrong before it decides anything."
