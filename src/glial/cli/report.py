"""``glial report``: one page about a run, for people; or the same as Markdown or JSON."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json
from glial.core.errors import InputError

ENDINGS = {"html": ".html", "markdown": ".md", "json": ".json"}
NAME = "report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    add("run", metavar="RUN", help="the run's folder")
    add(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="rows with their targets, where the run's own source cannot be read, or new ones",
    )
    add(
        "--out",
        action="append",
        default=[],
        metavar="FILE",
        help="a file that ends in .html, .md or .json; may be repeated (RUN/report.html)",
    )
    add(
        "--format",
        action="append",
        default=[],
        choices=list(ENDINGS),
        help="what is written into the run's folder; may be repeated (html)",
    )
    add("--no-data", action="store_true", help="read no rows, and show none")
    add("--rows", type=number(int), metavar="N", help="rows that judge the run at most (20000)")
    add("--seconds", type=number(float), metavar="S", help="what one part may take (120)")
    add("--seed", type=number(int), default=0, metavar="S", help="seed of what is drawn (0)")


def run(options: argparse.Namespace) -> int:
    """Write the report, and say what it says at its top."""
    from glial.core.files import make_folder, to_json, write_atomic
    from glial.reports import report

    files = _files(options)
    asked: dict[str, Any] = {"seed": options.seed, "use_data": not options.no_data}
    asked |= {
        name: getattr(options, name) for name in ("rows", "seconds") if getattr(options, name)
    }
    made = report(options.run, options.source, **asked)
    told = made.to_dict()
    for path in files:
        make_folder(path.parent)
        kind = path.suffix.lower()
        if kind == ".md":
            write_atomic(path, made.to_markdown())
        elif kind == ".json":
            write_atomic(path, to_json(told))
        else:
            write_atomic(path, made.to_html())
    if options.json:
        print_json({"files": [str(path) for path in files], **told, "run": str(options.run)})
    else:
        for name, answer in told["sections"]["summary"].get("answers", {}).items():
            print(f"{name}: {answer}")
        print("report: " + ", ".join(map(str, files)))
    return 0


def _files(options: argparse.Namespace) -> list[Path]:
    """Where the report is written."""
    files = [Path(name) for name in options.out]
    for path in files:
        if path.suffix.lower() not in ENDINGS.values():
            raise InputError(
                f"--out {path} names no kind of report",
                expected="a file that ends in .html, .md or .json",
                got=path.suffix or "no ending",
                do="name a file such as report.html",
            )
        if path.is_dir():
            raise InputError(
                f"--out {path} is a folder", expected="a file", got="a folder", do="name a file"
            )
    folder = Path(options.run)
    wanted = options.format or ([] if files else ["html"])
    return [*files, *(folder / f"{NAME}{ENDINGS[kind]}" for kind in wanted)]
