"""The run: what everything after training takes, in memory or as a folder without code."""

from __future__ import annotations

import copy
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

from glial.core.errors import InputError
from glial.core.files import read_json, to_json, write_atomic
from glial.data import Encoding
from glial.models import MODELS
from glial.runs.plan import Plan
from glial.runs.preparation import model_inputs
from glial.tasks import Task, load_task
from glial.training import outputs_of
from glial.training.checkpoints import load_checkpoint

FORMAT = 1
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
        findings: What the doctor found.
        status: ``finished`` or ``interrupted``.
        ended_by: What ended training, such as ``epochs`` or ``patience``; ``several`` where
            networks ended differently.
        epochs: Epochs run, by all networks together.
        seconds: Training time.
        samples_per_second: Training rows learnt from in a second.
        sizes: What ``model.json`` holds of one network.
        members: The runs of each network where there are several; see ``data.split.folds``.

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
    findings: list[dict[str, Any]] = field(default_factory=list)
    status: str = "finished"
    ended_by: str = "epochs"
    epochs: int = 0
    seconds: float = 0.0
    samples_per_second: float = 0.0
    sizes: dict[str, Any] = field(default_factory=dict)
    members: list[Run] = field(default_factory=list)

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.decoder.name

    @property
    def spread(self) -> dict[str, dict[str, dict[str, float]]]:
        """Mean and standard deviation over members of each metric of ``val`` and ``test``."""
        parts = ("val", "test") if self.members else ()
        return {
            part: _spread([run.metrics.get(part, {}) for run in self.members]) for part in parts
        }

    def outputs(self, frame: pl.DataFrame) -> Tensor:
        """Outputs for the rows of a table, in the decoder's terms; members are averaged.

        Args:
            frame: The rows, with the columns that training used.

        Returns:
            Outputs, [row, output] or [row, member, output].
        """
        if self.members:
            return self.decoder.pool(self.votes(frame))
        return outputs_of(self.model, model_inputs(self.encoding, frame))

    def votes(self, frame: pl.DataFrame) -> list[tuple[Task, Tensor]]:
        """The task and the outputs of each member, or of the one network, for a table's rows."""
        return [(run.decoder, run.outputs(frame)) for run in self.members or [self]]

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
            "findings": self.findings,
            "status": self.status,
            "ended_by": self.ended_by,
            "members": [
                {"run": None if run.path is None else str(run.path), "metrics": run.metrics}
                for run in self.members
            ],
            "spread": self.spread,
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
        write_atomic(self.path / "findings.json", to_json(self.findings))
        figures = self.to_dict()
        kept = ["metrics", "epochs", "seconds", "samples_per_second", "status", "ended_by"]
        figures = {"format": FORMAT} | {key: figures[key] for key in kept}
        if self.members:
            numbered = enumerate(self.members, 1)
            told = [{"run": f"{MEMBERS}/{n}", "metrics": run.metrics} for n, run in numbered]
            figures |= {MEMBERS: told, "spread": self.spread}
        write_atomic(self.path / "metrics.json", to_json(figures))

    def _save_network(self, folder: Path) -> None:
        write_atomic(folder / "model.json", to_json({"format": FORMAT, **self.sizes}))
        weights = {n: v.detach().cpu().contiguous() for n, v in self.model.state_dict().items()}
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


def read_history(path: Path) -> list[dict[str, float | int]]:
    """The rows of ``history.csv``; none where the file is missing.

    Raises:
        InputError: If the file is damaged.

    Example:
        >>> read_history(Path("no such file"))
        []
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                {key: float(value) for key, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is damaged",
        expected="a file as Glial wrote it",
        got=f"{type(error).__name__}: {error}",
        do="the file was changed or cut short: restore it, or train again",
    )


def check_run_folder(path: Path) -> None:
    """Refuse a folder that is not a run with a usable network.

    Raises:
        InputError: If the folder is missing, is no run, or its training has not yet ended.
    """
    if not path.is_dir():
        raise InputError(
            f"there is no run at {path}",
            expected="the folder of a run",
            got="a file" if path.exists() else "nothing",
            do="give the folder that glial train printed",
        )
    if not (path / "plan.yaml").exists():
        raise InputError(
            f"{path} is not a run",
            expected="a folder that glial train wrote",
            got="no plan.yaml in it",
            do="give the folder that glial train printed",
        )
    trained = (path / "model.safetensors").exists() or (path / MEMBERS).is_dir()
    if not trained or not (path / "metrics.json").exists():
        raise InputError(
            f"the run {path} has not finished",
            expected="a run with a trained network",
            got="training was cut off before its end",
            do=f"go on with: glial train {path} --resume",
        )


def load(path: str | Path, *, model: nn.Module | None = None) -> Run:
    """Open a run.

    Nothing in a run is code, so opening a stranger's is safe.

    Args:
        path: The run's folder.
        model: The network, for a run of the user's own module: its weights are loaded into it
            (into a copy for each network of several).

    Returns:
        The run, ready to predict.

    Raises:
        InputError: If the folder is no finished run, or was damaged.

    Example:
        >>> load("runs/no-such-run")
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: there is no run at runs/no-such-run. ...
    """
    folder = Path(path)
    check_run_folder(folder)
    figures = read_json(folder / "metrics.json")
    told = figures.get(MEMBERS) if isinstance(figures, dict) else None
    if not told:
        return _load_single(folder, model)
    if not isinstance(told, list):
        raise _damaged(folder / "metrics.json", TypeError("members is no list"))
    places = [folder / MEMBERS / str(number) for number in range(1, len(told) + 1)]
    for place in places:
        check_run_folder(place)
    members = [_load_single(place, copy.deepcopy(model)) for place in places]
    networks = nn.ModuleList([member.model for member in members])
    run = _assembled(folder, networks, members[0].encoding, members=members)
    _check_members(run)
    return run


def _load_single(folder: Path, model: nn.Module | None) -> Run:
    """The run of one network."""
    sizes = read_json(folder / "model.json")
    network = model if model is not None else _built(folder, sizes)
    weights, _ = load_checkpoint(folder / "model.safetensors")
    _load_weights(network, weights, folder)
    network.eval()
    sizes = {key: value for key, value in sizes.items() if key != "format"}
    history = read_history(folder / "history.csv")
    return _assembled(folder, network, Encoding.load(folder), sizes=sizes, history=history)


def _assembled(folder: Path, network: nn.Module, encoding: Encoding, **parts: Any) -> Run:
    """A run of these parts, with the plan, decoding and figures of its folder."""
    plan = Plan.from_file(folder / "plan.yaml")
    decoder = load_task(read_json(folder / "decoding.json"), plan.task)
    figures = read_json(folder / "metrics.json")
    findings = read_json(folder / "findings.json")
    try:
        return Run(
            folder,
            plan,
            network,
            encoding,
            decoder,
            metrics=dict(figures["metrics"]),
            findings=list(findings),
            status=figures["status"],
            ended_by=figures["ended_by"],
            epochs=figures["epochs"],
            seconds=figures["seconds"],
            samples_per_second=figures["samples_per_second"],
            **parts,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / "metrics.json", error) from error


def _check_members(run: Run) -> None:
    """Refuse members that were not trained for the run's own task."""
    wanted = (run.task, run.decoder.targets)
    for member in run.members:
        if (member.task, member.decoder.targets) != wanted:
            raise InputError(
                f"{member.path} does not belong to the run {run.path}",
                expected=f"a network for the task {run.task} of {', '.join(run.decoder.targets)}",
                got=f"{member.task} of {', '.join(member.decoder.targets)}",
                do="a file was changed: restore it, or train again",
            )


def _built(folder: Path, sizes: Any) -> nn.Module:
    """The network that ``model.json`` describes: a name of the table, and sizes."""
    if isinstance(sizes, dict) and sizes.get("name") == "custom":
        raise InputError(
            f"{folder} holds weights of a network that is not Glial's",
            expected="the network, given in Python: glial.load(path, model=network)",
            got="no network",
            do="open this run from Python with its model",
        )
    try:
        settings = MODELS.resolve(sizes["name"]).read(sizes["settings"], where="model.json")
        network: nn.Module = settings.build(
            int(sizes["num_inputs"]),
            int(sizes["num_outputs"]),
            [int(c) for c in sizes["cardinalities"]],
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise _damaged(folder / "model.json", error) from error
    return network


def _load_weights(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights of {folder} do not fit its model",
            expected="the weights that belong to model.json",
            got=" ".join(str(error).split())[:300],
            do="one of the two files was changed: restore it, or train again",
        ) from error
