"""``glial calibrate``: what a run decides by, fitted anew on rows that it was not trained on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from glial.cli.arguments import set_changes
from glial.cli.main import print_json

if TYPE_CHECKING:
    from glial.runs import Answered


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder, which is changed")
    parser.add_argument("source", metavar="SOURCE", help="rows with their targets, kept back")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="task.x=y",
        help="calibration, threshold, coverage, conformal, refuse or risk",
    )


def run(options: argparse.Namespace) -> int:
    """Print figures before and after."""
    from glial.cli.tables import print_table
    from glial.runs import calibrate

    found = calibrate(options.run, options.source, set=set_changes(options.set))
    metrics, judged = found.metrics, found.after.frame.height
    for when, said in (("before", found.before), ("after", found.after)):
        metrics[when] |= _calibration_error(said)
    on = "held-out half" if found.held_out else "fitted rows"
    if options.json:
        told = {"run": str(found.run.path), "rows": found.rows, "judged_on": on, "judged": judged}
        print_json(told | metrics)
        return 0
    names = list(dict.fromkeys([*metrics["before"], *metrics["after"]]))
    rows = [[name, *(metrics[when].get(name) for when in ("before", "after"))] for name in names]
    print_table(["metric", "before", "after"], rows)
    if found.held_out:
        print(f"of {judged:,} rows that chose nothing; the run is now fitted on all {found.rows:,}")
    else:
        print(f"of the {judged:,} fitted rows themselves: too few to keep a half back")
    return 0


def _calibration_error(said: Answered) -> dict[str, float]:
    """How far probabilities are from shares, where the task says any."""
    import numpy as np

    from glial.evaluation.metrics.answers import ClassAnswers, LabelAnswers, answers_of
    from glial.evaluation.probabilities.calibration import calibration_measures

    answers = answers_of(said.run.decoder, said.outputs, said.frame)
    if not isinstance(answers, (ClassAnswers, LabelAnswers)):
        return {}
    name = "expected_calibration_error"
    told = calibration_measures(answers)[name](np.ones((1, said.frame.height)))
    return {name: float(told[0])}
