"""How the run is used: commands and Python that work as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

from glial.reports.blocks import Block, Code, Section, Table, Text
from glial.reports.numbers import percent
from glial.reports.subject import Subject

PREDICTS = ("generate", "pretrain", "language-modelling")


def using(subject: Subject) -> Section:
    """How to use the run.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> using(Subject.of(run)).says[0]
        'The run was kept in memory: save it by training with out=FOLDER, then use it so.'
    """
    path = "RUN" if subject.folder is None else str(subject.folder)
    name = _new_rows(subject)
    says = [f"Put your own rows in the place of {name}: they must be of the same kind."]
    if subject.folder is None:
        says = ["The run was kept in memory: save it by training with out=FOLDER, then use it so."]
    if subject.run is None:
        says = [f"{subject.why_closed} Until then there is nothing to use."]
    commands = _commands(subject, path, name)
    blocks: list[Block] = [Text("On the command line:"), Code("\n".join(commands))]
    if subject.run is not None:
        blocks += [Text("In Python:"), Code(_python(subject, path, name))]
        blocks += _expects(subject)
    return Section("using", "", says, blocks, {"commands": commands})


def _new_rows(subject: Subject) -> str:
    source = str(subject.plan.data.source or "")
    kinds = set(subject.plan.data.types.values())
    if kinds == {"image"}:
        return "new-images"
    if subject.task == "language-modelling":
        return "new-texts.txt"
    ending = "".join(Path(source).suffixes[-2:]) if Path(source).suffix else ".csv"
    known = (".csv", ".csv.gz", ".tsv", ".parquet", ".jsonl")
    return f"new-rows{ending if ending in known else '.csv'}"


def _commands(subject: Subject, path: str, name: str) -> list[str]:
    run = shlex.quote(path)
    if subject.run is None:
        return [f"glial train {run} --resume"]
    if subject.task == "language-modelling":
        return [f"glial generate {run}", f"glial evaluate {run} {name}"]
    if subject.task == "generate":
        return [f"glial generate {run} --out made-up.csv"]
    lines = [
        f"glial predict {run} {name} --out predictions.csv",
        f"glial evaluate {run} {name}",
    ]
    if subject.task in ("classification", "regression"):
        lines.append(f"glial explain {run} {name}")
    return lines


def _python(subject: Subject, path: str, name: str) -> str:
    model = ", model=network" if subject.plan.model.get("name") == "custom" else ""
    lines = ["import glial", "", f"run = glial.load({path!r}{model})"]
    if subject.task in ("generate", "language-modelling"):
        lines.append("print(glial.generate(run))")
    else:
        lines.append(f"predictions = glial.predict(run, {name!r})")
    return "\n".join(lines)


def _expects(subject: Subject) -> list[Block]:
    run = subject.run
    assert run is not None  # noqa: S101 - narrows the type
    columns = {name: str(kind) for name, kind in subject.plan.data.types.items()}
    used = [name for name in run.encoding.columns if name in columns]
    if not used:
        return []
    rows = [[name, columns[name]] for name in used[:80]]
    blocks: list[Block] = [Table(["column", "kind"], rows, "What each row must have")]
    refuse = getattr(subject.plan.task, "refuse", None)
    if refuse:
        blocks.append(Text(f"It refuses the {percent(float(refuse))} least sure rows."))
    return blocks
