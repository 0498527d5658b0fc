"""The run: what everything after training takes, in memory or as a folder without code."""

from __future__ import annotations

import csv
import io
import math
import signal as signals
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import safetensors.torch
from torch import Tensor, nn

from glial.core.files import to_json, write_atomic
from glial.core.findings import Finding
from glial.data import Encoding
from glial.doctor.evidence import Evidence
from glial.doctor.evidence.table import EVIDENCE, save_evidence
from glial.nn.summary import evaluating
from glial.runs.plan import Plan
from glial.tasks import Task
from glial.training.inference import Mode, joined, outputs_of
from glial.training.snapshots import Weights

FORMAT = 1
ROWS_AT_ONCE = 50_000  # so many are held as inputs
BYTES_AT_ONCE = 1 << 28  # of their images
LOADER = "loader"  # the source of a run whose rows came in batches, in model.json
ENVIRONMENT = "environment.json"
HEALING = "healing.json"
MEMBERS = "members"  # the folder with the runs of single networks, and its key in metrics.json


@dataclass
class Run:
    """A trained network, or several whose average predicts, with all that is needed to use it.

    Attributes:
        path: The run's folder; None for a run kept in memory.
        plan: The plan, with every choice that was made; of several networks, with the choices
            that were the same for all.
        model: The network, in evaluation mode; several are a list, which cannot be called.
        encoding: How a table becomes the network's inputs; of several networks, the first's.
        decoder: What the network's outputs mean, or the average's.
        metrics: ``val``, ``test`` and ``baseline`` (the trivial predictor on the test rows). Of
            several networks, ``val`` scores each row by those that it validated, and ``test``
            the average of all.
        history: One row an epoch.
        findings: What the doctor found, the one to mend first at the front.
        evidence: What that rests on; None where nothing was watched.
        status: ``finished`` or ``interrupted``.
        ended_by: What ended training, such as ``epochs`` or ``patience``; ``several`` where
            networks ended differently.
        epochs: Epochs run, by all networks together.
        seconds: Training time.
        samples_per_second: Training rows learnt from in a second.
        sizes: What ``model.json`` holds of one network.
        snapshots: Weights at several moments of its training, where the run is in memory and the
            plan asks for some; a folder has them as files.
        members: The runs of each network where there are several; see ``data.split.folds``.
        asked: The plan that was asked for, before anything was chosen.
        healing: What healing tried and kept, as JSON; None where nobody asked for it.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> run.task, run.epochs, run.path is None
        ('classification', 2, True)
    """

    path: Path | None
    plan: Plan
    model: nn.Module
    encoding: Encoding
    decoder: Task
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    history: list[dict[str, float | int]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    evidence: Evidence | None = None
    status: str = "finished"
    ended_by: str = "epochs"
    epochs: int = 0
    seconds: float = 0.0
    samples_per_second: float = 0.0
    sizes: dict[str, Any] = field(default_factory=dict)
    snapshots: list[Weights] = field(default_factory=list)
    members: list[Run] = field(default_factory=list)
    asked: Plan | None = None
    healing: dict[str, Any] | None = None

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.decoder.name

    @property
    def takes_batches(self) -> bool:
        """Whether the network was trained on a loader, and so takes batches and no table."""
        return self.sizes.get("source") == LOADER

    @property
    def spread(self) -> dict[str, dict[str, dict[str, float]]]:
        """Mean and standard deviation over members of each metric of ``val`` and ``test``."""
        parts = ("val", "test") if self.members else ()
        return {
            part: _spread([run.metrics.get(part, {}) for run in self.members]) for part in parts
        }

    def outputs(
        self, frame: pl.DataFrame, *, notice: bool = True, mode: Mode = evaluating
    ) -> Tensor:
        """Outputs for the rows of a table, in the decoder's terms; members are averaged.

        Args:
            frame: The rows, with the columns that training used.
            notice: Whether cells that are taken as missing are noticed.
            mode: What a single network is in meanwhile: evaluated, or with its dropout on.

        Returns:
            Outputs, [row, output], [row, member, output] or [row, position, output].
        """
        if self.members:
            return self.decoder.pool(self.votes(frame, notice=notice))
        if notice:
            self.encoding.notice_unread(frame)
        parts = []
        encoding = self.encoding
        height = max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // max(1, encoding.image_bytes)))
        for rows in frame.iter_slices(height):
            inputs = encoding.arguments(encoding.transform(rows, notice=False))
            groups = encoding.groups(inputs)
            parts.append(outputs_of(self.model, inputs, encoding.finish, groups, mode))
        return joined(parts)

    def votes(self, frame: pl.DataFrame, *, notice: bool = True) -> list[tuple[Task, Tensor]]:
        """The task and the outputs of each member, or of the one network, for a table's rows."""
        members = self.members or [self]
        return [(run.decoder, run.outputs(frame, notice=notice)) for run in members]

    def to_dict(self) -> dict[str, Any]:
        """The result as the JSON that ``glial train`` prints."""
        return {
            "run": None if self.path is None else str(self.path),
            "task": self.task,
            "model": self.plan.model["name"],
            "metrics": self.metrics,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "samples_per_second": self.samples_per_second,
            "findings": [finding.to_dict() for finding in self.findings],
            "status": self.status,
            "ended_by": self.ended_by,
            "members": [
                {"run": None if run.path is None else str(run.path), "metrics": run.metrics}
                for run in self.members
            ],
            "spread": self.spread,
            **({} if self.healing is None else {"healing": self.healing}),
        }

    def save(self) -> None:
        """Write the finished parts of the folder; ``metrics.json``, written last, completes it.

        Raises:
            ValueError: If the run is kept in memory.
        """
        if self.path is None:
            raise ValueError("a run kept in memory has no folder")
        if not self.members:
            self._save_network(self.path)
        write_atomic(self.path / "decoding.json", to_json(self.decoder.state()))
        figures = self.to_dict()
        write_atomic(self.path / "findings.json", to_json(figures["findings"]))
        if self.evidence is not None:
            save_evidence(self.evidence, self.path / EVIDENCE)
        kept = ["metrics", "epochs", "seconds", "samples_per_second", "status", "ended_by"]
        figures = {"format": FORMAT} | {key: figures[key] for key in kept}
        if self.members:
            numbered = enumerate(self.members, 1)
            told = [{"run": f"{MEMBERS}/{n}", "metrics": run.metrics} for n, run in numbered]
            figures |= {MEMBERS: told, "spread": self.spread}
        write_atomic(self.path / "metrics.json", to_json(figures))

    def _save_network(self, folder: Path) -> None:
        write_atomic(folder / "model.json", to_json({"format": FORMAT, **self.sizes}))
        # Copies: a file takes no two names for one tensor, as tied weights have.
        held = self.model.state_dict().items()
        weights = {name: value.detach().cpu().contiguous().clone() for name, value in held}
        write_atomic(folder / "model.safetensors", safetensors.torch.save(weights))
        write_atomic(folder / "history.csv", history_text(self.history))


class TrainingInterrupted(KeyboardInterrupt):
    """Training was asked to stop; the run it leaves is whole and can go on.

    Attributes:
        run: The run, with the best weights so far.
        signal: Number of the signal that asked.

    Example:
        >>> issubclass(TrainingInterrupted, KeyboardInterrupt)
        True
    """

    def __init__(self, run: Run, signal: int) -> None:
        super().__init__(f"stopped by {signals.Signals(signal).name}")
        self.run = run
        self.signal = signal


def _spread(metrics: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each metric over those for which it is a number."""
    result = {}
    for name in dict.fromkeys(name for figures in metrics for name in figures):
        told = [figures.get(name) for figures in metrics]
        values = [value for value in told if value is not None and math.isfinite(value)]
        result[name] = {
            "mean": statistics.fmean(values) if values else math.nan,
            "std": statistics.stdev(values) if len(values) > 1 else 0.0,
        }
    return result


def history_text(history: list[dict[str, float | int]]) -> str:
    """The history as CSV text.

    Example:
        >>> history_text([{"epoch": 1, "train_loss": 0.5}]).splitlines()
        ['epoch,train_loss', '1,0.5']
    """
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()
