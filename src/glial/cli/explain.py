"""``glial explain``: why a run says what it says, and whether the explanation can be believed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json
from glial.core.errors import InputError

OPTIONS = ("layer", "unit", "train", "concept", "by", "wanted", "fixed")
MOST_ROWS = 30  # of a table that is printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    add("run", metavar="RUN", nargs="?", help="the run's folder")
    add("source", metavar="SOURCE", nargs="?", help="rows to explain, or to explain by")
    add(
        "--method",
        action="append",
        metavar="NAME",
        help="an explainer; may be repeated (by default one that suits the run)",
    )
    add("--methods", action="store_true", help="list the explainers")
    add("--rows", metavar="0,3-5", help="which rows, counted from 0 (the first five)")
    add("--target", metavar="NAME", help="the class or target to explain (each row's likeliest)")
    add("--background", metavar="SOURCE", help="rows that stand for what may come (SOURCE)")
    add("--check", action="store_true", help="check the methods too: can they be believed?")
    add("--out", metavar="FOLDER", help="write index.html, explanation.json and pictures there")
    add("--layer", metavar="NAME", help="a layer, for maximization, maps, embedding and concepts")
    add("--unit", type=number(int), help="an output or channel, for maximization")
    add("--train", metavar="SOURCE", help="the training rows, for influence and neighbours")
    add("--concept", metavar="SOURCE", help="examples of a concept, for concepts")
    add("--by", choices=("tsne", "pca"), help="how rows are laid out, for embedding (tsne)")
    add("--wanted", metavar="CLASS", help="what counterfactuals are to lead to (any other class)")
    add(
        "--fixed",
        action="append",
        metavar="COL",
        help="a column that counterfactuals may not change",
    )
    add("--seed", type=number(int), default=0, help="seed of everything that is drawn (0)")


def run(options: argparse.Namespace) -> int:
    """Explain, print what was found, and write the page."""
    from glial.explanation import EXPLAINERS, explain

    if options.methods:
        return _list(EXPLAINERS, as_json=options.json)
    if options.run is None or options.source is None:
        raise InputError(
            "a run and rows are needed",
            expected="glial explain RUN SOURCE",
            got=options.run or "neither",
            do="name both, or list the explainers with --methods",
        )
    out = None if options.out is None else _folder(Path(options.out))
    own = {name: getattr(options, name) for name in OPTIONS}
    found = explain(
        options.run,
        options.source,
        method=options.method,
        rows=None if options.rows is None else _rows(options.rows),
        target=options.target,
        background=options.background,
        check=options.check,
        seed=options.seed,
        **{name: value for name, value in own.items() if value is not None},
    )
    files = [] if out is None else _write(out, found, options.run)
    if options.json:
        told = [one.to_dict() for one in found]
        print_json({"run": options.run, "explanations": told, "files": files})
    else:
        _print(found)
        for file in files:
            print(file)
    failed = any(one.checks and not one.checks["looks_at_the_network"] for one in found)
    return 1 if options.strict and failed else 0


def _list(table: Any, *, as_json: bool) -> int:
    parts = [table.resolve(name) for name in table]
    if as_json:
        rows = [{"name": p.name, "about": p.about, "description": p.description} for p in parts]
        print_json({"explainers": rows})
        return 0
    from glial.cli.tables import print_table

    print_table(["explainer", "about", ""], [[p.name, p.about, p.description] for p in parts])
    return 0


def _rows(text: str) -> list[int]:
    """The numbers in ``0,3-5``."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            found += range(int(first), int(last) + 1) if dash else [int(first)]
    except ValueError:
        found = []
    if not found:
        raise InputError(
            "--rows cannot be read",
            expected="numbers and ranges, such as 0,3-5",
            got=repr(text),
        )
    return found


def _folder(path: Path) -> Path:
    from glial.core.files import make_folder

    if path.exists() and not path.is_dir():
        raise InputError(
            "--out is a folder",
            expected="a new folder, or one that is there",
            got=f"the file {path}",
            do="name another",
        )
    make_folder(path)
    return path


def _write(folder: Path, found: list[Any], title: str) -> list[str]:
    from glial.core.files import to_json, write_atomic
    from glial.explanation.page import page

    files = {"index.html": page(found, f"why {title} says what it says").encode()}
    told = to_json({"run": title, "explanations": [one.to_dict() for one in found]})
    files["explanation.json"] = told.encode() if isinstance(told, str) else told
    for one in found:
        files |= one.pictures
    for name, content in files.items():
        write_atomic(folder / name, content)
    return [str(folder / name) for name in files]


def _print(found: list[Any]) -> None:
    from glial.cli.tables import print_table

    for one in found:
        for note in one.notes:
            print(f"note: {note}")
        for row in one.rows:
            where = f"row {row.row}" if row.path is None else row.path
            from_where = "" if row.reference is None else f" from {row.reference:.4g}"
            print(f"{where}: {row.answer} {row.output:.4g} {one.unit}{from_where} ({one.method})")
            print_table(["part", one.method], [[n, v] for n, v in row.strongest()])
        for table in one.tables.values():
            rows = [list(row) for row in table.head(MOST_ROWS).rows()]
            print_table(table.columns, rows)
        if one.checks is not None:
            print_table(
                [f"check of {one.method}", "value"], [[k, v] for k, v in one.checks.items()]
            )
