"""The model card: what the run is for, what not, its limits, and whom it treats how."""

from __future__ import annotations

import math
import re
from typing import Any

from glial import charts
from glial.reports.blocks import (
    Block,
    Bullets,
    Chart,
    Facts,
    Fold,
    Grid,
    Heading,
    Section,
    Table,
    Text,
)
from glial.reports.numbers import percent, sentence, told
from glial.reports.sections.quality import counted_rows, told_metric
from glial.reports.subject import Subject
from glial.reports.words import headline, metric_title

ASK = "Not known: ask whoever gathered the data."
UNFAIR = 0.1  # difference of rates between groups, from which on it is told at the top
MOST_GROUPS = 20
PERSONAL = re.compile(
    r"(^|[_\W])(sex|gender|race|ethnic\w*|relig\w*|nationality|native[_\W]country|age|birth\w*|"
    r"disab\w*|marital\w*|name|e?mail|phone|address|zip|postcode|ssn|passport|patient\w*|"
    r"health|diagnos\w*|income|salary)($|[_\W])",
    re.IGNORECASE,
)


def card(subject: Subject, made: dict[str, Section]) -> Section:
    """What somebody must know before the run is used.

    Args:
        subject: What the report is about.
        made: The other sections, by name.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> made = {"failures": Section("failures", "")}
        >>> card(Subject.of(run, use_data=False), made).blocks[0].text
        'Intended use'
    """
    section = Section("card", "")
    section.says = [
        "What can be said from the run itself is said here. What only people can know stands as "
        "a question: answer it before the network decides anything about anybody."
    ]
    section.blocks = [
        Heading("Intended use"),
        Text(
            f"To {subject.goal}, for rows of the kind of {subject.source_name}: the same columns, "
            "gathered in the same way."
        ),
        Heading("Not intended"),
        Bullets(_not_intended(subject)),
        Heading("Limits that were measured"),
        Bullets(_limits(subject, made) or ["None were found; that is not to say there are none."]),
        *_fairness(subject, section),
        Heading("Consent and privacy"),
        Facts(_privacy(subject)),
    ]
    return section


def _not_intended(subject: Subject) -> list[str]:
    items = [
        "Rows of another kind, time or place than those it learnt from: nothing was measured "
        "there.",
        "Decisions about people without somebody who looks at them and can overrule them.",
    ]
    if subject.task in ("classification", "regression", "multilabel"):
        items.append(
            "Concluding what causes what: it knows what goes together, and no more than that."
        )
    if subject.task in ("language-modelling", "generate", "translation"):
        items.append("Taking what it writes or makes up for true.")
    return items


def _limits(subject: Subject, made: dict[str, Section]) -> list[str]:
    items = []
    result = subject.evaluation
    name = headline(subject.task, result["metrics"]) if result else None
    if result and name is not None:
        value = told_metric(name, result["metrics"][name])
        title = metric_title(name)
        items.append(f"{title}: {value} on {counted_rows(subject)}; it errs, as every model does.")
    elif not subject.metrics.get("test"):
        items.append("It was not judged by rows that it had never seen.")
    failures = made["failures"].data if "failures" in made else {}
    for one in (failures.get("slices") or [])[:3]:
        items.append(
            f"It is worse where {one['slice']}: mean loss {told(one['loss'])}, elsewhere "
            f"{told(one['rest'])}."
        )
    calibration = (result or {}).get("calibration")
    if calibration:
        measures = calibration["measures"]
        key = next((k for k in measures if "calibration_error" in k), None)
        if key is not None:
            items.append(
                f"Its probabilities are {percent(float(measures[key]))} off on average "
                f"({key.replace('_', ' ')})."
            )
    items += [sentence(one.means) for one in subject.findings if one.severity != "note"][:5]
    return items


def _fairness(subject: Subject, section: Section) -> list[Block]:
    """How groups of people are treated, where columns are sensitive."""
    audits = (subject.evaluation or {}).get("fairness") or []
    named = subject.plan.data.fairness.columns
    columns = [*subject.plan.data.types, *named]
    looks = [name for name in dict.fromkeys(columns) if PERSONAL.search(name) and name not in named]
    blocks: list[Block] = [Heading("Fairness")]
    if looks:
        flags = " ".join(f"--fair {name}" for name in looks[:3])
        blocks.append(
            Text(
                f"Some columns look as if they told of people: {', '.join(looks[:10])}. To compare "
                f"groups: glial evaluate RUN SOURCE {flags}. To leave a column out of the inputs "
                "and have groups compared here: --set data.fairness.group=COLUMN when training."
            )
        )
    if not audits:
        if not named and not looks:
            blocks.append(Text("No column looks as if it told groups of people apart. Is that so?"))
        return blocks
    section.data["fairness"] = audits
    for one in audits[:4]:
        blocks += _audit(one, subject, section)
    return blocks


def _audit(one: dict[str, Any], subject: Subject, section: Section) -> list[Block]:
    groups = one["groups"][:MOST_GROUPS]
    names = [" and ".join(f"{k} {v}" for k, v in group["group"].items()) for group in groups]
    measures = list(_measures(groups[0]))
    rows = [
        [name, group["rows"], *(_measures(group).get(key) for key in measures)]
        for name, group in zip(names, groups, strict=True)
    ]
    outcome = one.get("outcome")
    of = ", ".join(one["by"])
    heads = [of, "rows", *(key.replace("_", " ") for key in measures)]
    blocks: list[Block] = [Table(heads, rows, f"Groups by {of}, and the outcome {outcome}")]
    key = next((k for k in ("selection_rate", "mean_absolute_error") if k in measures), None)
    if key is not None:
        bars = [
            charts.Bar(name, float(_measures(group)[key] or 0))
            for name, group in zip(names, groups, strict=True)
        ]
        title = f"{key.replace('_', ' ').capitalize()} by {of}"
        blocks.append(Grid([Chart(charts.bar_chart(bars, title=title), "")]))
    gaps = {name: gap for name, gap in one["gaps"].items() if not math.isnan(gap["value"])}
    table = [[name.replace("_", " "), gap["value"], _ends(gap)] for name, gap in gaps.items()]
    blocks.append(Fold("The gaps", [Table(["gap", "value", "interval"], table, "Gaps")]))
    gap = gaps.get("demographic_parity_difference")
    if gap is not None and gap["value"] > UNFAIR and "gap" not in section.data:
        section.data["gap"] = (
            f"groups by {of} are treated differently: their shares of “{outcome}” differ by "
            f"{100 * gap['value']:.1f} percentage points"
        )
    return blocks


def _measures(group: dict[str, Any]) -> dict[str, float]:
    return {name: figure["value"] for name, figure in group["figures"].items()}


def _ends(gap: dict[str, Any]) -> str:
    low, high = gap["low"], gap["high"]
    return "" if math.isnan(low) or math.isnan(high) else f"{told(low)} to {told(high)}"


def _privacy(subject: Subject) -> list[tuple[str, str]]:
    sensitive = subject.plan.data.fairness.columns
    columns = [n for n in subject.plan.data.types if PERSONAL.search(n) or n in sensitive]
    texts = "text" in subject.plan.data.types.values()
    people = "People may have written these texts: ask." if texts else ASK
    if columns:
        people = f"Some columns look so: {', '.join(columns[:10])}."
    keeps = (
        "No row is in the run's folder; weights and fitted categories can still give away rare "
        "values. This page shows a few rows as examples, unless it was made with --no-data."
    )
    return [
        ("Does the data tell of people?", people),
        ("Did they agree to this use?", ASK),
        ("On what legal ground is it used?", ASK),
        ("Who may see the data and the answers?", ASK),
        ("How long is the data kept?", ASK),
        ("What does the run keep of the data?", keeps),
        ("Was it trained with a privacy guarantee?", "No: no such guarantee was given."),
    ]
