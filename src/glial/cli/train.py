"""``glial train``: from a source or a plan to a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from glial.cli.arguments import add_experiment_arguments, experiment_changes
from glial.cli.healing import add_healing_arguments, healing_options
from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument(
        "source", metavar="SOURCE_OR_PLAN", help="file, glob pattern, data set, plan or run folder"
    )
    add_experiment_arguments(parser)
    parser.add_argument("--out", metavar="DIR", help="the run's folder (runs/<name>-<n>)")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    parser.add_argument(
        "--report-to",
        action="append",
        metavar="NAME",
        help="also tell tensorboard, wandb or mlflow of it; may be repeated",
    )
    add_healing_arguments(parser, "the plan")


def run(options: argparse.Namespace) -> int:
    """Train, show progress, print the result beside the trivial baseline."""
    from glial.cli.healing import healing_text
    from glial.cli.progress import ProgressBar
    from glial.cli.verdicts import findings_text
    from glial.healing import train
    from glial.runs import Run, TrainingInterrupted

    heals = healing_options(options)
    told = {"train.report_to": options.report_to} if options.report_to else {}
    changes = told | experiment_changes(options)
    bar = [] if options.quiet else [ProgressBar()]
    status = 0
    try:
        result: Run = train(
            options.source,
            set=changes,
            out=options.out,
            resume=options.resume,
            callbacks=bar,
            **heals,
        )
    except TrainingInterrupted as stopped:
        result, status = stopped.run, 128 + stopped.signal
        several = f" of {len(result.members)} networks" if result.members else ""
        print(
            f"stopped after {result.epochs} epochs{several}; the run is usable as it is. "
            f"Go on with: glial train {result.path} --resume{' --heal' if options.heal else ''}",
            file=sys.stderr,
        )
    if options.json:
        print_json(result.to_dict())
    else:
        _show(result.to_dict(), Path(str(result.path)))
        for line in findings_text(result.findings):
            print(line)
        for line in healing_text(result.healing):
            print(line)
    return status


def _show(result: dict[str, object], path: Path) -> None:
    from glial.cli.tables import print_metrics

    metrics: Any = result["metrics"]
    members: Any = result["members"]
    print_metrics(metrics, result["spread"])  # type: ignore[arg-type]
    several = f" in {len(members)} networks, whose average predicts:" if members else ":"
    print(
        f"{result['model']}, {result['task']}{several} {result['epochs']} epochs in "
        f"{result['seconds']:.1f} s ({result['samples_per_second']:,.0f} rows a second), "
        f"ended by {result['ended_by']}"
    )
    print(f"run: {path}")
    print("next: " + next_command(str(result["task"]), str(result["model"]), path))


def next_command(task: str, model: str, path: Path) -> str:
    """What one is likely to do next with a run of this task.

    Example:
        >>> next_command("language-modelling", "gpt2", Path("runs/book-1"))
        'glial generate runs/book-1 --prompt TEXT'
    """
    if task == "language-modelling":
        return f"glial generate {path} --prompt TEXT"
    if task == "generate":
        return f"glial generate {path} --n 64 --out samples"
    if task == "cluster":
        return f"glial predict {path} SOURCE --out clusters.csv"
    if task == "pretrain":
        return f"glial train SOURCE --target COL --weights {path}"
    if task == "embedding":
        from glial.models import MODELS

        words = model in MODELS and getattr(MODELS.resolve(model), "way", None) == "word-vectors"
        return f"glial embed {path} " + ("--words WORD" if words else "SOURCE --near 5")
    return f"glial predict {path} SOURCE --out predictions.csv"
