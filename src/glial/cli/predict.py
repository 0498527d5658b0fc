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
        "--hand-over", metavar="FILE", help="write refused rows, for a person to answer"
    )
    parser.add_argument("--answers", metavar="FILE", help="take a person's answers from this file")
    parser.add_argument(
        "--pictures", metavar="FILE", help="draw the most anomalous images into this .png file"
    )
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="a .csv, .parquet or .jsonl file"
    )


def run(options: argparse.Namespace) -> int:
    """Write the predictions whole or not at all."""
    from glial.data import check_table_ending, write_table
    from glial.runs import hand_over, load, predict

    out, over = Path(options.out), Path(options.hand_over or options.out)
    check_table_ending(out)
    check_table_ending(over)
    run = load(options.run)
    if options.set:
        from glial.runs.writing import written_otherwise

        run = written_otherwise(run, set_changes(options.set))
    frame = predict(
        run,
        options.source,
        uncertainty=options.uncertainty,
        draws=options.draws,
        answers=options.answers,
    )
    told = {"predictions": str(out), "rows": frame.height}
    if options.hand_over:
        refused = hand_over(run, options.source)
        write_table(refused, over)
        told |= {"handed_over": str(over), "rows_handed_over": refused.height}
    if options.pictures:
        from glial.core.files import write_atomic
        from glial.runs.anomaly.pictures import draw_anomalies

        write_atomic(Path(options.pictures), draw_anomalies(run, options.source))
        told["pictures"] = options.pictures
    write_table(frame, out)
    if options.json:
        print_json(told)
    else:
        print(f"wrote {frame.height:,} rows to {out}")
        if options.hand_over:
            print(f"wrote {refused.height:,} refused rows to {over}: fill in the column answer")
    return 0
