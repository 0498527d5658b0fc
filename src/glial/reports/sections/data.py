"""What the data is like: rows, columns, missing cells, distributions, and what looks wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from glial import charts
from glial.data import QualityReport, inspect_quality
from glial.data.cells import missing, numbers, texts
from glial.data.series.table import SeriesTable
from glial.data.series.times import Frequency
from glial.data.series.windows import WindowForm
from glial.reports.blocks import Block, Card, Chart, Facts, Fold, Grid, Section, Table, Text
from glial.reports.drawings import bars, lines
from glial.reports.held import Held
from glial.reports.numbers import counted, percent, sentence
from glial.reports.pictures import pictures_of
from glial.reports.sections.findings import TONES, title_of
from glial.reports.subject import Subject
from glial.runs.moments import Edges
from glial.runs.rows import Tables

JUDGED = ("classification", "multilabel", "regression")
MOST_COLUMNS = 60
MOST_DRAWN = 12
INSPECTED = 50_000
SPLITS = ("train", "val", "test")
SPLIT_WORDS = {"train": "to learn from", "val": "to choose when to stop", "test": "to be judged by"}
MANY = 20  # different numbers, from which on they are drawn as a distribution


def data(subject: Subject) -> Section:
    """What the data is like.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> data(Subject.of(run)).says[0][:30]
        'The data, iris, has 150 rows: '
    """
    held, section = subject.held, Section("data", "")
    section.data = {"source": subject.source_name, "same": held.same, "note": held.why}
    if held.tables is not None:
        _of_tables(subject, held.tables, section)
    elif held.series is not None:
        _of_series(subject, held, section)
    else:
        kinds = subject.plan.data.types
        section.says.append(f"The run learnt from {subject.source_name}.")
        if kinds:
            section.blocks.append(_kinds(kinds))
        if not held.why and held.judged is None:
            section.says.append("What its rows are like is not told for this kind of data.")
    if held.path is not None:
        paths = held.path if isinstance(held.path, list) else [held.path]
        section.data["read"] = paths
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        section.blocks.append(Text(f"Read for this report: {paths[0]}{more}.", "muted"))
    if held.why:
        section.blocks.append(Text(held.why, "muted"))
    return section


def _kinds(kinds: dict[str, Any]) -> Table:
    rows = [[name, str(kind)] for name, kind in list(kinds.items())[:MOST_COLUMNS]]
    return Table(["column", "kind"], rows, "The columns that the network takes")


def _of_tables(subject: Subject, tables: Tables, section: Section) -> None:
    parts = {name: getattr(tables, name) for name in SPLITS}
    sizes = {name: part.height for name, part in parts.items()}
    total = sum(sizes.values())
    told = ", ".join(f"{count:,} {SPLIT_WORDS[name]}" for name, count in sizes.items() if count)
    section.says.append(f"The data, {subject.source_name}, has {counted(total, 'row')}: {told}.")
    section.data["rows"] = sizes
    frame, kinds = tables.train, dict(subject.plan.data.types)
    targets = [name for name in subject.targets if name in frame.columns]
    inputs = [name for name in kinds if name in frame.columns and name not in targets]
    section.blocks.append(_columns(frame, kinds, inputs, section))
    section.blocks += _targets(subject, parts, targets)
    drawn = list(_distributions(frame, kinds, inputs))
    if drawn:
        summary = f"How the values of {counted(len(drawn), 'column')} are spread"
        section.blocks.append(Fold(summary, [Grid(drawn)], len(drawn) <= 4))
    section.blocks += _examples(frame, kinds, inputs, targets)
    if subject.task in JUDGED and targets:
        _inspected(subject, parts, targets, kinds, inputs, section)


def _columns(
    frame: pl.DataFrame, kinds: dict[str, Any], inputs: list[str], section: Section
) -> Block:
    rows, empty = [], 0
    for name in inputs:
        column = frame[name]
        gone = 0 if column.dtype.is_nested() else int(missing(column).sum())
        empty += gone > 0
        distinct = None if column.dtype.is_nested() else column.n_unique()
        rows.append([name, kinds[name], gone / max(1, frame.height), distinct, _example(column)])
    section.data["columns"] = [
        {"column": name, "kind": str(kind), "missing_share": share, "distinct": distinct}
        for name, kind, share, distinct, _ in rows
    ]
    if empty:
        most = max(rows, key=lambda row: row[2])
        section.says.append(
            f"{empty} of {counted(len(inputs), 'column')} "
            f"{'has' if empty == 1 else 'have'} missing cells; most of all {most[0]} "
            f"({percent(most[2])})."
        )
    elif inputs:
        section.says.append("No cell is missing.")
    told = [
        [name, str(kind), percent(share), distinct, example]
        for name, kind, share, distinct, example in rows[:MOST_COLUMNS]
    ]
    caption = "The columns that the network is given (training rows)"
    if len(rows) > MOST_COLUMNS:
        caption += f"; the first {MOST_COLUMNS} of {len(rows)}"
    heads = ["column", "kind", "missing", "different values", "for example"]
    return Table(heads, told, caption)


def _example(column: pl.Series) -> str:
    if column.dtype.is_nested() or column.dtype == pl.Object or column.dtype == pl.Binary:
        return ""
    there = column.drop_nulls()
    return "" if not len(there) else str(there[0])[:60]


def _targets(subject: Subject, parts: dict[str, pl.DataFrame], targets: list[str]) -> list[Block]:
    """What is to be predicted, split by split."""
    blocks: list[Block] = []
    for name in targets[:4]:
        groups = {}
        for split, part in parts.items():
            if part.height and name in part.columns and not part[name].dtype.is_nested():
                groups[split] = _values(part[name], as_words=subject.task == "classification")
        if groups:
            title = f"What is to be predicted: {name}"
            says = "The parts should look alike: then the test says what use will be like."
            blocks.append(Chart(charts.histogram(groups, title=title, x_title=name), says))
    return [Grid(blocks)] if blocks else []


def _values(column: pl.Series, *, as_words: bool) -> Any:
    if as_words or column.dtype == pl.Boolean:
        counts = texts(column).fill_null("(missing)").value_counts()
        return {str(value): int(count) for value, count in counts.iter_rows()}
    values = numbers(column).drop_nulls()
    if values.n_unique() < 2 and len(values) < len(column) / 2:
        return _values(column, as_words=True)
    return values.to_numpy()


def _distributions(
    frame: pl.DataFrame, kinds: dict[str, Any], inputs: list[str]
) -> Iterator[Chart]:
    plain = [name for name in inputs if kinds[name] in ("number", "category", "boolean", "integer")]
    for name in plain[:MOST_DRAWN]:
        column = frame[name]
        if column.dtype.is_nested():
            continue
        values = _values(column, as_words=kinds[name] != "number")
        if len(values):
            yield Chart(charts.histogram({"training": values}, title=name, x_title=name), "")


def _examples(
    frame: pl.DataFrame, kinds: dict[str, Any], inputs: list[str], targets: list[str]
) -> list[Block]:
    """A few rows as they are, pictures among them."""
    few = frame.head(6)
    media = [name for name in inputs if kinds[name] == "image"]
    if media:
        labels = [", ".join(str(few[t][row]) for t in targets) for row in range(few.height)]
        pictures = pictures_of(few[media[0]], labels)
        return [Fold("A few of the images", [Grid(pictures)], is_open=True)] if pictures else []
    plain = [n for n in [*targets, *inputs] if n in few.columns and not few[n].dtype.is_nested()]
    if not plain:
        return []
    names = plain[:10]
    rows = [[_short(value) for value in row] for row in few.select(names).rows()]
    return [Fold("A few rows", [Table(names, rows, "The first training rows")])]


def _short(value: Any) -> Any:
    return value if isinstance(value, (int, float, bool)) or value is None else str(value)[:160]


def _inspected(
    subject: Subject,
    parts: dict[str, pl.DataFrame],
    targets: list[str],
    kinds: dict[str, Any],
    inputs: list[str],
    section: Section,
) -> None:
    """What inspecting the rows finds: leaks, copies, labels that look wrong."""
    used: dict[str, Any] = {name: kinds[name] for name in inputs}
    if any(kind in ("image", "sound", "sequence", "words") for kind in used.values()):
        return
    few = [
        part.head(max(1, INSPECTED * part.height // max(1, sum(p.height for p in parts.values()))))
        for part in parts.values()
    ]
    split = subject.plan.data.split
    report: QualityReport = inspect_quality(
        few[0],
        few[1],
        few[2],
        targets,
        used,
        subject.task,
        seed=subject.seed,
        split_by=split.time or split.group,
    )
    found = [finding.to_dict() for finding in report.findings]
    section.data["inspection"] = found
    if not found:
        section.says.append("Looking for leaks, copies and wrong labels found nothing.")
        return
    warned = sum(one["severity"] != "note" for one in found)
    section.says.append(
        f"Looking for leaks, copies and wrong labels found {counted(len(found), 'thing')}"
        f"{f', {warned} of them to be taken seriously' if warned else ', notes all of them'}."
    )
    cards: list[Block] = [
        Card(
            title_of(one)[:1].upper() + title_of(one)[1:],
            [
                Text(sentence(one.means)),
                Text(f"What to do: {sentence(one.do)}"),
                Facts([("Where", one.where or "the whole table"), *_numbers(one.evidence)]),
            ],
            TONES[one.severity],
            one.severity,
        )
        for one in report.findings[:12]
    ]
    section.blocks.append(Fold("What was found in the rows", cards, warned > 0))


def _numbers(evidence: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name.replace("_", " "), value) for name, value in list(evidence.items())[:6]]


def _steps(frequency: Frequency) -> str:
    """How far its rows are apart, as a sentence begins."""
    others = {
        "row": "Its rows have no times, only their order",
        "business_day": "Its rows come every business day",
        "number": f"Its rows come every {frequency.step:g}, in the units of their time",
    }
    return others.get(frequency.unit, f"Its rows come {frequency.name}")


def _when(table: SeriesTable, edges: Edges, form: WindowForm, section: Section) -> str:
    """How far apart its rows are, and which time each split covers."""
    times, says = table.frequency.times(table.places), []
    firsts = dict(zip(SPLITS, (edges.start, edges.train, edges.val), strict=True))
    splits: dict[str, dict[str, Any]] = {}
    for name, first in firsts.items():
        last = getattr(edges, name)
        some = last > first
        if not some.any():
            continue
        covered = [times[int(step)] for step in (*first[some], *(last[some] - 1))]
        begin, end = str(min(covered)), str(max(covered))
        steps, windows = int((last - first)[some].sum()), len(edges.moments(name, form))
        splits[name] = {"rows": steps, "windows": windows, "from": begin, "to": end}
        says.append(
            f"{counted(steps, 'row')} {SPLIT_WORDS[name]} ({begin} to {end}; room for "
            f"{counted(windows, 'forecast')}, one from each step)"
        )
    section.data |= {"step": table.frequency.name, "splits": splits}
    return f"{_steps(table.frequency)}: {'; '.join(says)}."


def _of_series(subject: Subject, held: Held, section: Section) -> None:
    """What series are like: how long, how dense, and how they go."""
    assert held.series is not None  # noqa: S101 - narrows the type
    table, form = held.series.rows.table, held.series.rows.windows.form
    lengths = np.diff(table.edges)
    gone = float(np.isnan(table.values).mean()) if table.values.size else 0.0
    count = counted(len(lengths), "series", "series")
    section.says.append(
        f"The data, {subject.source_name}, is {count} of {int(lengths.min()):,} to "
        f"{int(lengths.max()):,} steps."
        if len(lengths) > 1
        else f"The data, {subject.source_name}, is one series of {int(lengths[0]):,} steps."
    )
    section.says.append(_when(table, held.series.edges, form, section))
    section.says.append(
        f"From {form.context} steps of the past the next {form.horizon} are forecast; the season "
        f"is taken to be {form.season} {'step' if form.season == 1 else 'steps'} long. "
        f"{percent(gone)} of the values are missing."
    )
    section.data |= {
        "series": len(lengths),
        "steps": int(lengths.sum()),
        "missing_share": gone,
        "context": form.context,
        "horizon": form.horizon,
        "season": form.season,
    }
    drawn: list[Block] = []
    for number in range(min(4, len(lengths))):
        begin, end = int(table.edges[number]), int(table.edges[number + 1])
        name = str(table.names[number] or subject.source_name)
        curves = {
            target: (list(range(end - begin)), _known(table.values[begin:end, column]))
            for column, target in enumerate(subject.targets)
        }
        drawn.append(lines(curves, title=f"The series {name}", x="step", y="value", log_y=False))
    section.blocks.append(Grid(drawn))
    if len(lengths) > 1:
        longest = {
            str(table.names[number] or number): float(lengths[number])
            for number in np.argsort(-lengths, kind="stable")[:10]
        }
        section.blocks.append(
            Fold("How long they are", [bars(longest, title="Steps of the longest series")])
        )


def _known(values: Any) -> list[float]:
    return [float(v) if math.isfinite(v) else math.nan for v in np.asarray(values, dtype=float)]
