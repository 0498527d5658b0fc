"""How good the run is: metrics with intervals, beside the trivial answer's, and the curves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glial import charts
from glial.core.errors import InputError
from glial.evaluation import evaluate, evaluate_forecasts
from glial.evaluation.metrics.answers import NumberAnswers, answers_of
from glial.reports.blocks import Block, Chart, Fold, Grid, Heading, Section, Table, Text
from glial.reports.drawings import lines, unit_square
from glial.reports.numbers import counted, percent, told
from glial.reports.subject import Subject
from glial.reports.words import METRICS, headline, metric_title
from glial.runs import answer
from glial.runs.ways import way_of

REPLICATES = 300
MOST_METRICS = 60
MOST_CURVES = 6
MOST_FORECASTS = 3
COVERED = 0.95


def quality(subject: Subject) -> Section:
    """How good the run is.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> quality(Subject.of(run)).says[0][:13]
        'Right answers'
    """
    section = Section("quality", "")
    result = judge(subject)
    subject.evaluation = result
    if result is None:
        _of_the_folder(subject, section)
        return section
    section.data = {key: value for key, value in result.items() if key != "details"}
    metrics, baseline = result["metrics"], result["baseline"]
    name = headline(subject.task, metrics)
    if name is not None:
        section.says.append(_lead(subject, name, result))
    beaten = _beaten(name, metrics, baseline, result)
    if beaten:
        section.says.append(beaten)
        section.data["beaten"] = beaten
    section.blocks += _table(result)
    if result["bootstrap"].get("note"):
        section.blocks.append(Text(f"No intervals: {result['bootstrap']['note']}.", "muted"))
    drawn = [*_curves(result), *_of_numbers(subject), *_of_forecasts(subject)]
    if drawn:
        section.blocks += [Heading("Pictures"), Grid(drawn)]
    section.blocks += _classes(result)
    section.blocks += _folds(subject)
    return section


def judge(subject: Subject) -> dict[str, Any] | None:
    """What judging the run by the held rows gives; None where there are none.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> judge(Subject.of(run, use_data=False)) is None
        True
    """
    held, run = subject.held, subject.run
    if run is None or held.judged is None:
        return None
    options: dict[str, Any] = {"replicates": REPLICATES, "seed": subject.seed}
    if held.forecasts is not None:
        return evaluate_forecasts(held.forecasts, **options)
    if way_of(run).answer is None:
        return evaluate(run, held.judged, **options)
    sensitive = run.plan.data.fairness.columns
    asked: dict[str, Any] = {"slices": True, "calibration": True, "fair": sensitive}
    try:
        return evaluate(run, held.judged, **options, **asked)
    except InputError:  # not told row by row, or sensitive columns are missing
        return evaluate(run, held.judged, **options)


def _of_the_folder(subject: Subject, section: Section) -> None:
    """What was measured when training ended."""
    metrics = subject.metrics
    section.data = {"metrics": metrics}
    if not any(metrics.values()):
        section.says.append("Nothing is known of how good it is: it has not been judged yet.")
        return
    part = "test" if metrics.get("test") else "val"
    name = headline(subject.task, metrics.get(part) or {})
    if name is not None:
        value = told_metric(name, metrics[part][name])
        base = (metrics.get("baseline") or {}).get(name)
        beside = "" if base is None else f"; the trivial answer has {told_metric(name, base)}"
        of = "test" if part == "test" else "validation"
        title = metric_title(name)
        section.says.append(f"When training ended, {title} on {of} rows was {value}{beside}.")
    names = list(dict.fromkeys(n for found in metrics.values() for n in found))[:MOST_METRICS]
    columns = [key for key in ("test", "val", "baseline") if metrics.get(key)]
    rows = [[metric_title(n), *((metrics[key]).get(n) for key in columns)] for n in names]
    section.blocks.append(Table(["metric", *columns], rows, "Every metric, as training left it"))


def told_metric(name: str, value: float | None) -> str:
    """A metric's value as a sentence has it.

    Args:
        name: The metric.
        value: Its value.

    Example:
        >>> told_metric("accuracy", 0.9), told_metric("mae", 3.14159)
        ('90.0 %', '3.142')
    """
    share = name in METRICS and METRICS[name].is_share
    return percent(value) if share and value is not None and value == value else told(value)


def _lead(subject: Subject, name: str, result: dict[str, Any]) -> str:
    title = metric_title(name)
    interval = result["intervals"].get(name)
    between = ""
    if interval is not None:
        low, high = (told_metric(name, end) for end in interval)
        between = f" (with other rows of the kind: {low} to {high})"
    value = told_metric(name, result["metrics"][name])
    return f"{title}: {value}{between}, judged by {counted_rows(subject)}."


def counted_rows(subject: Subject) -> str:
    """By what the run was judged, as the end of "judged by ...".

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> counted_rows(Subject.of(run, use_data=False))
        'test rows when training ended'
    """
    held = subject.held
    if subject.evaluation is None and held.judged is None:
        kind = "test" if subject.metrics.get("test") else "validation"
        return f"{kind} rows when training ended"
    if held.forecasts is not None:
        when = "later than all it learnt from" if held.called == "test" else "of the data"
        return f"forecasts from {counted(len(held.forecasts.moments), 'moment')} {when}"
    frame = held.frame
    return "rows that were given" if frame is None else f"{frame.height:,} {held.words}"


def _beaten(
    name: str | None,
    metrics: dict[str, float],
    baseline: dict[str, float],
    result: dict[str, Any],
) -> str:
    """Whether the run is better than the trivial answer, and how sure that is."""
    if name is None or baseline.get(name) is None:
        return ""
    base = f"The trivial answer has {told_metric(name, baseline[name])}"
    gain = result["differences"].get(name, {}).get("interval")
    higher = METRICS[name].higher if name in METRICS else None
    if gain is None or higher is None:
        return f"{base}."
    low, high = gain if higher else (-gain[1], -gain[0])
    if low > 0:
        return f"{base}: the network is better beyond doubt."
    if high < 0:
        return f"{base}: the network is worse than that, and should not be used."
    return f"{base}: these rows do not show that the network is any better."


def _table(result: dict[str, Any]) -> list[Block]:
    metrics, baseline = result["metrics"], result["baseline"]
    share = 100 * result["bootstrap"].get("confidence", COVERED)
    rows: list[list[Any]] = []
    others: list[list[Any]] = []
    for name in list(metrics)[:MOST_METRICS]:
        if name in ("root_mean_squared_error", "mean_absolute_error"):
            continue  # told under their short names
        interval = result["intervals"].get(name)
        ends = "" if interval is None else f"{told(interval[0])}\u00a0to\u00a0{told(interval[1])}"
        told_of = [metric_title(name), metrics[name], ends, baseline.get(name)]
        if name in METRICS:
            rows.append([*told_of, METRICS[name].means])
        else:
            others.append(told_of)
    heads = ["metric", "value", f"{share:.0f} % interval", "trivial answer"]
    caption = "How good it is, beside the trivial answer"
    blocks: list[Block] = [Table([*heads, "what it is"], rows, caption)] if rows else []
    if others:
        blocks.append(Fold("More metrics", [Table(heads, others, "The same")], not rows))
    return blocks


def _curves(result: dict[str, Any]) -> Iterator[Block]:
    details = result["details"]
    curves = details.get("curves") or {"this run": details}
    few = dict(list(curves.items())[:MOST_CURVES])
    left = len(curves) - len(few)
    more = f" Drawn are {len(few)} of {len(curves)} classes." if left > 0 else ""
    for key, title, x, y, says in (
        (
            "roc_curve",
            "Finding the true ones, at what cost in false alarms (ROC)",
            "false_positive_rate",
            "true_positive_rate",
            "The further up and left, the better; the diagonal is guessing.",
        ),
        (
            "precision_recall_curve",
            "Precision and recall",
            "recall",
            "precision",
            "The further up and right, the better.",
        ),
    ):
        found = {name: (one[key][x], one[key][y]) for name, one in few.items() if key in one}
        if found:
            words = {"x": x.replace("_", " "), "y": y.replace("_", " ")}
            named = {"title": title, **words, "says": says + more}
            yield unit_square(found, **named, diagonal=key == "roc_curve")
    if result.get("calibration"):
        yield _reliability(result["calibration"]["diagrams"]["equal_mass"])
    unsure = result.get("uncertainty")
    if unsure:
        curve = unsure["curve"]
        yield lines(
            {"this run": (curve["coverage"], curve["risk"])},
            title="What refusing the least sure rows would save",
            x="share of rows that are answered",
            y="error",
            says="Read from the right: the more rows are refused, the fewer errors should stay.",
            log_y=False,
        )
    matrix = details.get("confusion_matrix")
    if matrix:
        drawn = charts.confusion_chart(matrix["labels"], matrix["counts"])
        says = "Rows are the truth, columns what was said: all that is off the diagonal is wrong."
        yield Chart(drawn, says)


def _reliability(bins: list[dict[str, Any]]) -> Chart:
    x, y = [one["probability"] for one in bins], [one["frequency"] for one in bins]
    ends = [one["interval"] or [v, v] for one, v in zip(bins, y, strict=True)]
    band = charts.Band(x, [e[0] for e in ends], [e[1] for e in ends], "interval")
    drawn = charts.line_chart(
        [charts.Line("this run", x, y, points=True)],
        title="Whether probabilities hold (reliability)",
        x_title="probability that it said",
        y_title="how often it was right",
        bands=[band],
        unit_square=True,
        diagonal=True,
    )
    says = "On the diagonal, what is said to be 80 % sure is right 80 times in 100."
    return Chart(drawn, says)


def _of_numbers(subject: Subject) -> Iterator[Block]:
    """Predicted against true, and errors, of runs that predict numbers."""
    run, frame = subject.run, subject.held.frame
    if run is None or frame is None or subject.task != "regression":
        return
    found = answer(run, frame)
    answers = answers_of(run.decoder, found.outputs, found.frame)
    if not isinstance(answers, NumberAnswers):
        return
    for column, name in enumerate(answers.names[:2]):
        truth, said = answers.truth[:, column], answers.predicted[:, column]
        yield Chart(
            charts.scatter_chart(
                truth,
                said,
                title=f"Said and true: {name}",
                x_title="true",
                y_title="said",
                diagonal=True,
            ),
            "A dot is a row; on the diagonal what was said is true.",
        )
        title = f"Errors: {name} said, less true"
        yield Chart(
            charts.histogram({"rows": said - truth}, title=title, x_title="error"),
            "Errors should lie around 0; a lean to one side is a bias.",
        )


def _of_forecasts(subject: Subject) -> Iterator[Block]:
    """Forecasts beside what came, from some moments, and how errors grow with the distance."""
    held = subject.held
    found = held.forecasts
    if found is None or held.series is None:
        return
    task, horizon = found.task, held.series.rows.windows.form.horizon
    frame = task.decode(found.outputs).frame()
    name = "prediction" if "prediction" in frame.columns else frame.columns[0]
    target = task.targets[0]
    said = frame[name].to_numpy().reshape(-1, horizon)
    truth = found.truth[:, 0].reshape(-1, horizon)
    ends = [column for column in frame.columns if column.startswith(f"{name}_")]
    places = np.linspace(0, len(said) - 1, min(MOST_FORECASTS, len(said))).round().astype(int)
    steps = list(range(1, horizon + 1))
    for number, place in enumerate(dict.fromkeys(places.tolist()), 1):
        bands = []
        if len(ends) >= 2:
            low, high = (
                frame[one].to_numpy().reshape(-1, horizon)[place] for one in (ends[0], ends[-1])
            )
            label = " to ".join(one.rpartition("_")[2] for one in (ends[0], ends[-1]))
            bands = [charts.Band(steps, low, high, f"quantiles {label}")]
        drawn = charts.line_chart(
            [
                charts.Line("what came", steps, truth[place]),
                charts.Line("forecast", steps, said[place], dashed=True),
            ],
            title=f"A forecast of {target}, {number} of {len(set(places.tolist()))}",
            x_title="steps ahead",
            y_title=target,
            bands=bands,
            log_y=False,
        )
        yield Chart(drawn, "")
    errors = np.nanmean(np.abs(said - truth), axis=0) if len(said) else []
    naive = np.abs(found.naive[:, 0].reshape(-1, horizon) - truth)
    yield lines(
        {"forecast": (steps, list(errors)), "last season again": (steps, list(naive.mean(axis=0)))},
        title="How errors grow with the distance",
        x="steps ahead",
        y="mean absolute error",
        log_y=False,
    )


def _classes(result: dict[str, Any]) -> list[Block]:
    each = result["details"].get("classes") or result["details"].get("labels")
    if not each:
        return []
    names = [name for name in each[0] if any(one[name] is not None for one in each)]
    rows = [[one[name] for name in names] for one in each[:100]]
    heads = [name.replace("_", " ") for name in names]
    return [Fold("Class by class", [Table(heads, rows, "How good each class is told")])]


def _folds(subject: Subject) -> list[Block]:
    run = subject.run
    if run is None or not run.members:
        return []
    rows = [[name, one["mean"], one["std"]] for name, one in run.spread.get("val", {}).items()][
        :MOST_METRICS
    ]
    caption = "Mean and standard deviation over the networks, on the rows each was validated by"
    table = Table(["metric", "mean", "deviation"], rows, caption)
    return [Fold("How much the networks differ", [table])]
