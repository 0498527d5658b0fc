"""Where the run fails: its surest mistakes as they are, what it confuses, its weakest slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from glial import charts
from glial.core.errors import InputError
from glial.data.folders import PATH
from glial.evaluation import Mistakes, find_mistakes
from glial.reports.blocks import (
    Block,
    Card,
    Chart,
    Facts,
    Fold,
    Grid,
    Heading,
    Section,
    Table,
    Text,
)
from glial.reports.numbers import counted, percent, told
from glial.reports.pictures import pictures_of
from glial.reports.subject import Subject
from glial.runs import predict

MOST = 8
LONGEST = 300
AT_MOST = 20_000
PLAIN = ("row", "truth", "prediction", "probability", "probability_of_truth", "error", "doubtful")


def failures(subject: Subject) -> Section:
    """Where the run fails, with the examples.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> failures(Subject.of(run)).data["wrong"] > 0
        True
    """
    section, held = Section("failures", ""), subject.held
    if subject.run is None or held.judged is None:
        section.says = [held.why or "There are no rows here of which this could be told."]
        return section
    _slices(subject, section)
    if held.forecasts is not None:
        _of_forecasts(subject, section)
    elif subject.task == "translation":
        _of_texts(subject, section)
    elif held.frame is not None and subject.task in ("classification", "regression"):
        _of_rows(subject, held.frame, section)
    if not section.says and not section.blocks:
        section.says = [f"For the task {subject.task} single failures are not told."]
    return section


def _of_rows(subject: Subject, frame: pl.DataFrame, section: Section) -> None:
    try:
        found = find_mistakes(subject.run, frame)  # type: ignore[arg-type]
    except InputError as error:
        section.says.append(f"Single mistakes are not told: {error.args[0]}.")
        return
    section.data |= {"wrong": found.wrong, "rows": found.rows}
    section.data["doubtful"] = len(found.doubts)
    if found.wrong is None:
        section.says.append("These are the rows whose answers are furthest from the truth.")
    elif not found.wrong:
        section.says.append(f"Not one of {counted(found.rows, 'row')} was answered wrongly.")
    else:
        share = percent(found.wrong / max(1, found.rows))
        section.says.append(
            f"{counted(found.wrong, 'row')} of {found.rows:,} ({share}) were answered wrongly. "
            "Shown first are those of which it was surest."
        )
    if found.doubts:
        section.says.append(
            f"For {counted(len(found.doubts), 'row')} of these the network is so sure of another "
            "answer that the given one may itself be wrong. (What is said of the data counts such "
            "rows apart: in all of the data, by a quick model of another kind.)"
        )
    section.blocks += [*_confusions(found), *_regions(found), *_examples(subject, frame, found)]


def _confusions(found: Mistakes) -> list[Block]:
    rows = [[c["truth"], c["prediction"], c["rows"], percent(c["share"])] for c in found.confusions]
    if not rows:
        return []
    heads = ["true", "said", "rows", "share of the true ones"]
    more = f" ({MOST} of {len(rows)} kinds)" if len(rows) > MOST else ""
    return [Table(heads, rows[:MOST], f"What is taken for what, the commonest first{more}")]


def _regions(found: Mistakes) -> list[Block]:
    rows = [
        [
            f"{told(r['from'])} to {told(r['to'])}",
            r["rows"],
            r["mean_absolute_error"],
            r["mean_error"],
        ]
        for r in found.regions
    ]
    heads = ["truth", "rows", "mean absolute error", "mean error"]
    return [Table(heads, rows, "Errors by the size of the truth")] if rows else []


def _examples(subject: Subject, frame: pl.DataFrame, found: Mistakes) -> list[Block]:
    few = found.table.head(MOST)
    if not few.height:
        return []
    heading = Heading(f"The {few.height} mistakes of which it was surest, as they are")
    kinds = subject.plan.data.types
    rows = frame[few["row"].to_numpy()]
    media = [name for name, kind in kinds.items() if kind == "image" and name in rows.columns]
    if not media and PATH in rows.columns and set(kinds.values()) == {"image"}:
        media = [PATH]
    said = [_said(one) for one in few.rows(named=True)]
    if media:
        pictures = pictures_of(rows[media[0]], said)
        if pictures:
            return [heading, Grid(pictures)]
    text = [name for name, kind in kinds.items() if kind == "text" and name in rows.columns]
    if text:
        cards = [
            Card(line, [Text(_cut(cell))]) for line, cell in zip(said, rows[text[0]], strict=True)
        ]
        return [heading, *cards]
    names = [name for name in few.columns if name not in ("doubtful", "row")]
    cells = [[_cell(value) for value in row] for row in few.select(names).rows()]
    blocks: list[Block] = [heading, Table(names, cells, "A row each; columns of the data follow")]
    inputs = [n for n in kinds if n in rows.columns and not rows[n].dtype.is_nested()]
    if len(inputs) > len(names):
        whole = [
            Fold(f"Mistake {number}: {line}", [Facts([(n, row[n]) for n in inputs[:60]])])
            for number, (line, row) in enumerate(
                zip(said[:3], rows.head(3).rows(named=True), strict=True), 1
            )
        ]
        blocks += whole
    return blocks


def _said(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"true {told(row['truth'])}, said {told(row['prediction'])}"
    return f"true: {row['truth']}; said: {row['prediction']} ({percent(row['probability'])})"


def _cut(text: Any) -> str:
    words = "(missing)" if text is None else str(text)
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def _cell(value: Any) -> Any:
    return value if isinstance(value, (int, float)) or value is None else str(value)[:120]


def _slices(subject: Subject, section: Section) -> None:
    found = ((subject.evaluation or {}).get("slices") or {}).get("found")
    if found is None:
        return
    section.data["slices"] = found
    if not found:
        section.says.append("No kind of row was found on which it is worse beyond doubt.")
        return
    first = found[0]
    section.says.append(
        f"It is weakest where {first['slice']}: the mean loss of these {first['rows']:,} rows "
        f"is {told(first['loss'])}, elsewhere {told(first['rest'])}."
    )
    rows = [[one["slice"], one["rows"], one["loss"], one["rest"]] for one in found[:MOST]]
    heads = ["where", "rows", "mean loss", "elsewhere"]
    caption = "Kinds of rows on which it does worse; found on one half, measured on the other"
    section.blocks.append(Table(heads, rows, caption))


def _of_forecasts(subject: Subject, section: Section) -> None:
    """The moments whose forecasts were furthest off."""
    held = subject.held
    assert held.forecasts is not None  # noqa: S101 - narrows the type
    assert held.series is not None  # noqa: S101 - narrows the type
    found, form = held.forecasts, held.series.rows.windows.form
    frame = found.task.decode(found.outputs).frame()
    name = "prediction" if "prediction" in frame.columns else frame.columns[0]
    said = frame[name].to_numpy().reshape(-1, form.horizon)
    truth = found.truth[:, 0].reshape(-1, form.horizon)
    errors = np.nanmean(np.abs(said - truth), axis=1)
    order = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")
    usual = float(np.nanmedian(errors))
    section.says.append(
        f"Half of all forecasts are off by less than {told(usual)} on average; the worst by "
        f"{told(float(errors[order[0]]))}."
    )
    section.data |= {"median_error": usual, "worst_error": float(errors[order[0]])}
    target, steps = found.task.targets[0], list(range(1, form.horizon + 1))
    drawn: list[Block] = []
    chosen: list[int] = []
    for place in order.tolist():  # windows that overlap would show the same twice
        if all(abs(int(found.moments[place] - found.moments[c])) >= form.horizon for c in chosen):
            chosen.append(place)
        if len(chosen) == 4:
            break
    for number, place in enumerate(chosen, 1):
        picture = charts.line_chart(
            [
                charts.Line("what came", steps, truth[place]),
                charts.Line("forecast", steps, said[place], dashed=True),
            ],
            title=f"The worst forecasts of {target}: number {number}",
            x_title="steps ahead",
            y_title=target,
            log_y=False,
        )
        drawn.append(Chart(picture, ""))
    section.blocks.append(Grid(drawn))


def _of_texts(subject: Subject, section: Section) -> None:
    """What was written beside what was wanted."""
    frame, run = subject.held.frame, subject.run
    if frame is None or run is None:
        return
    few = frame.head(MOST)
    said = predict(run, few)["prediction"].to_list()
    target = subject.targets[0]
    inputs = [name for name in few.columns if name != target]
    section.says.append("A few texts, as they were wanted and as they were written.")
    rows = [
        [_cut(few[inputs[0]][i]) if inputs else "", _cut(few[target][i]), _cut(said[i])]
        for i in range(few.height)
    ]
    heads = [inputs[0] if inputs else "read", "wanted", "written"]
    section.blocks.append(Table(heads, rows, "The first of the judged rows"))
