"""What a run's folder tells while it trains: how far it is, how it fares, what it says of rows."""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from glial.core.errors import InputError
from glial.core.files import finite_or_none, write_atomic
from glial.core.findings import Finding
from glial.core.memory import used_memory
from glial.doctor.evidence import Evidence, Series, layer_health
from glial.runs.run import history_text
from glial.runs.samples import Sample
from glial.runs.watching import TrainingWatch
from glial.training import TrainingView

logger = logging.getLogger(__name__)

LIVE, HISTORY, FORMAT = "live.json", "history.csv", 1
# A write is made this many seconds after the one before, and later where it took long: writing may
# cost this share of the time, and so may samples, and telling what is wrong so far.
EVERY_SECONDS, SHARE = 1.0, 0.003
DIGITS, MOST_LOADS = 5, 120
# Samples that are made up take at most this share of the training's seconds at its end, and are not
# tried for the first time after so few seconds.
MOST_AT_THE_END, LONG = 0.02, 20.0


class LiveRecord:
    """A callback that keeps ``history.csv`` and ``live.json`` of a folder up to date.

    It only watches: what it cannot write, or compute, it leaves out, and training goes on.

    Args:
        folder: The run's folder.
        watch: What the doctor sees of the training.
        history: The rows of the history so far.
        samples: What the network says of a few rows now; None where nothing can be shown.
        makes_up: Whether these are made up, which may take long.

    Example:
        >>> import tempfile
        >>> import glial
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> run = glial.train("iris", model="linear", epochs=2, out=folder)
        >>> told = json.loads((folder / "live.json").read_text())
        >>> told["status"], told["epoch"], len(told["samples"])
        ('finished', 2, 8)
    """

    def __init__(
        self,
        folder: Path,
        watch: TrainingWatch,
        history: Callable[[], list[dict[str, float | int]]],
        samples: Callable[[], list[Sample]] | None = None,
        *,
        makes_up: bool = False,
    ) -> None:
        self._makes_up = makes_up
        self._folder, self._watch, self._history = folder, watch, history
        self._make_samples = samples
        self._samples: list[Sample] = []
        self._sampling = 0.0
        self._loads = Loads()
        self._next = self._next_findings = self._next_samples = time.monotonic() + EVERY_SECONDS
        self._seen: set[tuple[str, str | None]] = set()
        self._findings: list[Finding] = []
        self._fails = False

    def on_tick(self, view: TrainingView) -> None:
        """Write, where that is due."""
        if time.monotonic() >= self._next:
            self._write(view, "training")

    def on_epoch_end(self, view: TrainingView) -> None:
        """Ask the network about the sample rows and write, where that is due."""
        now = time.monotonic()
        if now >= self._next_samples:
            self._sample()
            self._next_samples = _due(now)
        if now >= self._next:
            self._write(view, "training")

    def finish(self, view: TrainingView, status: str, findings: list[Finding]) -> None:
        """Write for the last time; the history is then the run's own to write.

        Args:
            view: Where training ended.
            status: ``finished`` or ``interrupted``.
            findings: What the doctor found in the end.
        """
        # Making up an image may take as long as a short training did.
        known = self._sampling > 0 or view.seconds > LONG
        if not self._makes_up or (known and self._sampling <= MOST_AT_THE_END * view.seconds):
            self._sample()
        self._findings = findings
        self._next_findings = float("inf")
        self._write(view, status)

    def _sample(self) -> None:
        if self._make_samples is None:
            return
        begin = time.monotonic()
        try:
            with torch.random.fork_rng(_gpus()):
                self._samples = self._make_samples()
        except Exception as error:  # noqa: BLE001 - what is only shown must not stop a training
            logger.debug("no samples are shown: %s: %s", type(error).__name__, error)
            self._make_samples = None
        self._sampling = time.monotonic() - begin

    def _write(self, view: TrainingView, status: str) -> None:
        if self._fails:
            return
        begin = time.monotonic()
        evidence = self._watch.evidence_so_far()
        if begin >= self._next_findings:
            self._diagnose()
        told = {
            "format": FORMAT,
            "status": status,
            "pid": os.getpid(),
            "epoch": view.epoch,
            "epochs": view.epochs,
            "step": view.step,
            "fraction": view.fraction if status == "training" else 1.0,
            "seconds": view.seconds,
            "best_epoch": view.best_epoch,
            "updated": time.time(),
            "findings": [finding.to_dict() for finding in self._findings],
            **_told(evidence),
            "samples": [sample.to_dict() for sample in self._samples],
            "hardware": self._loads.take(view.seconds),
        }
        try:
            if status == "training":
                write_atomic(self._folder / HISTORY, history_text(self._history()))
            content = json.dumps(finite_or_none(told), ensure_ascii=False, allow_nan=False)
            write_atomic(self._folder / LIVE, content)
        except InputError as error:
            logger.debug("what happens is not written any more: %s", error)
            self._fails = True
        self._next = _due(begin)

    def _diagnose(self) -> None:
        """Tell what is wrong so far: what is found twice in turn, as single looks may mislead."""
        begin = time.monotonic()
        found = self._watch.findings_so_far()
        seen = {(finding.problem, finding.where) for finding in found}
        self._findings = [f for f in found if (f.problem, f.where) in self._seen]
        self._seen = seen
        self._next_findings = _due(begin)


class Loads:
    """What a training takes of the machine, looked at now and then.

    Example:
        >>> loads = Loads()
        >>> loads.take(1.0)["memory_bytes"] > 0
        True
    """

    def __init__(self) -> None:
        self._wall, self._busy = time.monotonic(), time.process_time()
        self._series: dict[str, list[float]] = {
            "seconds": [],
            "cpu_percent": [],
            "memory_bytes": [],
        }

    def take(self, seconds: float) -> dict[str, Any]:
        """Numbers since the last time.

        Args:
            seconds: Training time so far.

        Returns:
            ``cpu_percent`` (100 is one core), ``memory_bytes`` and ``peak_memory_bytes`` of the
            process, ``threads``, ``gpu_percent`` and ``gpu_memory_bytes`` (None without a GPU, or
            where its driver does not tell), and the ``series`` of the first two over seconds.
        """
        wall, busy = time.monotonic(), time.process_time()
        share = (busy - self._busy) / max(1e-9, wall - self._wall)
        self._wall, self._busy = wall, busy
        now = {"seconds": seconds, "cpu_percent": 100 * share, "memory_bytes": used_memory()}
        for name, value in now.items():
            values = self._series[name]
            values.append(round(value, 1))
            if len(values) > MOST_LOADS:
                values[:] = [*values[:-1:2], values[-1]]
        return {
            "cpu_percent": round(now["cpu_percent"], 1),
            "memory_bytes": now["memory_bytes"],
            "peak_memory_bytes": _peak_memory(),
            "threads": torch.get_num_threads(),
            **_of_gpu(),
            "series": self._series,
        }


def _peak_memory() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _gpus() -> list[int]:
    """The GPUs, if this process uses any."""
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return list(range(torch.cuda.device_count())) if used else []


def _of_gpu() -> dict[str, float | None]:
    if not _gpus():
        return {"gpu_percent": None, "gpu_memory_bytes": None}
    try:
        busy: float | None = float(torch.cuda.utilization())
    except (ImportError, RuntimeError, OSError):  # needs the driver's Python package
        busy = None
    return {"gpu_percent": busy, "gpu_memory_bytes": float(torch.cuda.memory_reserved())}


def _due(begin: float) -> float:
    """When something that began then, and ends now, may be done again."""
    now = time.monotonic()
    return now + max(EVERY_SECONDS, (now - begin) / SHARE)


def _told(evidence: Evidence | None) -> dict[str, Any]:
    """Layers and losses as JSON, in few digits."""
    if evidence is None:
        return {"layers": [], "losses": None}
    layers = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "size": layer.size,
            "quantities": {key: _series(one) for key, one in layer.quantities.items()},
        }
        for layer in layer_health(evidence)
    ]
    losses = [_series(loss.value) for loss in evidence.losses if len(loss.value)]
    return {"layers": layers, "losses": losses[0] if losses else None}


def _series(series: Series) -> dict[str, list[float]]:
    values = [float(f"{value:.{DIGITS}g}") for value in series.values]
    return {"steps": list(series.steps), "values": values}


def read_live(folder: Path) -> dict[str, Any] | None:
    """What a folder's training told last; None where it told nothing that can be read.

    Args:
        folder: The run's folder.

    Example:
        >>> read_live(Path("no such folder")) is None
        True
    """
    try:
        found = json.loads((folder / LIVE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None
