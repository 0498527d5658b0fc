"""``glial predict``: a row of predictions for each row of a source."""

from __future__ import annotations

import argparse
from pathlib import Path

from glial.cli.arguments import number, set_changes
from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument("source", metavar="SOURCE", help="rows to predict")
    parser.add_argument(
        "--set", action="append", default=[], metavar="task.beam=N", help="how texts are written"
    )
    parser.add_argument(
        "--uncertainty",
        metavar="HOW",
        help="add how unsure the run is, by its members, dropout or snapshots",
    )
    parser.add_argument(
        "--draws", type=number(int), metavar="N", help="how often dropout is drawn (30)"
    )
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="a .csv, .parquet or .jsonl file"
    )


def run(options: argparse.Namespace) -> int:
    """Write the predictions whole or not at all."""
    from glial.data import check_table_ending, write_table
    from glial.runs import load, predict

    out = Path(options.out)
    check_table_ending(out)
    run = load(options.run)
    if options.set:
        from glial.runs.writing import written_otherwise

        run = written_otherwise(run, set_changes(options.set))
    frame = predict(run, options.source, uncertainty=options.uncertainty, draws=options.draws)
    write_table(frame, out)
    if options.json:
        print_json({"predictions": str(out), "rows": frame.height})
    else:
        print(f"wrote {frame.height:,} rows to {out}")
    return 0
