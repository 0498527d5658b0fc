"""What a report is about: a run, finished or not, and what its folder tells of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from glial.core.errors import InputError
from glial.core.files import read_json
from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.evidence.table import evidence_files, load_evidence
from glial.reports.held import Held, hold
from glial.reports.words import TASKS
from glial.runs import Plan, Run, load
from glial.runs.loading import check_run_folder, read_history
from glial.runs.run import ENVIRONMENT, MEMBERS

logger = logging.getLogger(__name__)

LIVE = "live.json"
MOST_ROWS = 20_000
MOST_NAMED = 4  # classes in a sentence
# What a row is, where it is one thing.
NOUNS = {"image": "an image", "text": "a text", "sound": "a sound", "sequence": "a series"}


@dataclass
class Subject:
    """A run as its report sees it.

    Attributes:
        plan: The plan.
        folder: Where the run lies; None of a run in memory.
        run: The run with its network; None where it cannot be opened.
        why_closed: Why not.
        metrics: As in ``metrics.json``.
        history: One row an epoch.
        findings: What the doctor found.
        status: ``finished``, ``interrupted`` or ``unfinished``.
        epochs: Epochs run.
        seconds: Training time.
        samples_per_second: Rows learnt from in a second.
        ended_by: What ended training.
        source: Rows that were given for the report.
        use_data: Whether rows are looked at.
        most_rows: Rows that are judged at most.
        seed: Of everything that is drawn.
        evaluation: What judging the rows gave, once that is done.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> Subject.of(run).name
        'iris'
    """

    plan: Plan
    folder: Path | None
    run: Run | None
    why_closed: str = ""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    history: list[dict[str, float | int]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    status: str = "finished"
    epochs: int = 0
    seconds: float = 0.0
    samples_per_second: float = 0.0
    ended_by: str = ""
    source: Any = None
    use_data: bool = True
    most_rows: int = MOST_ROWS
    seed: int = 0
    evaluation: dict[str, Any] | None = None

    @classmethod
    def of(cls, run: Run | str | Path, **asked: Any) -> Subject:
        """What a report of a run is about.

        Args:
            run: The run, or its folder.
            asked: ``source``, ``use_data``, ``most_rows`` and ``seed``.

        Raises:
            InputError: If there is no run.
        """
        if isinstance(run, Run):
            return cls(run.plan, run.path, run, **_told_by(run), **asked)
        folder = Path(run)
        try:
            opened = load(folder)
        except InputError as error:
            return _closed(folder, error, asked)
        return cls(opened.plan, folder, opened, **_told_by(opened), **asked)

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.plan.task.name if self.run is None else self.run.task)

    @property
    def name(self) -> str:
        """What the run is called: its folder's name, or its source's."""
        if self.folder is not None:
            return self.folder.resolve().name
        return self.source_name

    @property
    def source_name(self) -> str:
        """What the data is called."""
        source = self.plan.data.source
        first = source[0] if isinstance(source, list) else source
        return Path(str(first)).name if first else "data given in Python"

    @property
    def targets(self) -> list[str]:
        """What is predicted."""
        if self.run is not None:
            return list(self.run.decoder.targets)
        target = self.plan.data.target
        return [target] if isinstance(target, str) else list(target or [])

    @property
    def goal(self) -> str:
        """What the run does, as the end of "was trained to ..."."""
        goal = TASKS.get(self.task, f"do the task {self.task}")
        labels = getattr(self.run and self.run.decoder, "labels", None)
        names = list(getattr(labels, "names", []))
        told = ", ".join(self.targets) or "no target"
        if 2 <= len(names) <= MOST_NAMED:
            told += f": {', '.join(names[:-1])} or {names[-1]}"
        elif names:
            told += f", {len(names)} classes"
        kinds = set(self.plan.data.types.values())
        noun = NOUNS.get(next(iter(kinds)), "a row") if len(kinds) == 1 else "a row"
        return goal.replace("{target}", told).replace("a row ", f"{noun} ")

    @property
    def members(self) -> list[Run]:
        """The single networks of the run."""
        return [] if self.run is None else self.run.members or [self.run]

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What the run was trained on: versions, platform, a fingerprint of the data."""
        path = None if self.folder is None else self.folder / ENVIRONMENT
        told = {} if path is None or not path.exists() else read_json(path)
        return told if isinstance(told, dict) else {}

    @cached_property
    def live(self) -> dict[str, Any]:
        """What the run wrote while it trained; nothing where it did not."""
        if self.folder is None or not (self.folder / LIVE).exists():
            return {}
        told = read_json(self.folder / LIVE)
        return told if isinstance(told, dict) else {}

    @cached_property
    def evidence(self) -> list[Evidence]:
        """What the doctor saw, of each network."""
        if self.run is not None:
            seen = [one.evidence for one in self.members if one.evidence is not None]
            if seen:
                return seen
        return [] if self.folder is None else list(map(load_evidence, evidence_files(self.folder)))

    @cached_property
    def held(self) -> Held:
        """The rows by which the run is judged, and those it learnt from."""
        if not self.use_data:
            return Held(why="Rows were not looked at, because that was asked for (--no-data).")
        return hold(
            self.run,
            self.plan,
            self.source,
            folder=self.folder,
            fingerprint=self.environment.get("data"),
            most=self.most_rows,
            seed=self.seed,
        )


def _told_by(run: Run) -> dict[str, Any]:
    names = ("metrics", "history", "findings", "status", "epochs", "seconds")
    more = ("samples_per_second", "ended_by")
    told = {name: getattr(run, name) for name in (*names, *more)}
    if run.members and not run.history:
        told["history"] = []
    return told


def _closed(folder: Path, error: InputError, asked: dict[str, Any]) -> Subject:
    """A run whose network cannot be opened: its folder tells the rest."""
    if not (folder / "plan.yaml").exists():
        raise error
    plan = Plan.from_file(folder / "plan.yaml")
    figures = _dictionary(folder / "metrics.json")
    live = _dictionary(folder / LIVE)
    unfinished = not figures
    history = read_history(folder / "history.csv")
    found = _findings(folder / "findings.json", live)
    last: dict[str, Any] = dict(history[-1]) if history else {}
    if unfinished and (folder / MEMBERS).is_dir():
        why = "Training was cut off before all its networks were ready."
    elif unfinished:
        why = "Training has not finished, so there is no network yet that could be judged."
    else:
        why = f"The network cannot be opened here: {error.args[0] if error.args else error}."
    try:
        check_run_folder(folder)
    except InputError as reason:
        if not unfinished:
            raise reason from error
    return Subject(
        plan,
        folder,
        None,
        why,
        metrics=figures.get("metrics") or {},
        history=history,
        findings=found,
        status="unfinished" if unfinished else str(figures.get("status", "finished")),
        epochs=int(figures.get("epochs") or last.get("epoch") or 0),
        seconds=float(figures.get("seconds") or last.get("seconds") or live.get("seconds") or 0),
        samples_per_second=float(figures.get("samples_per_second") or 0),
        ended_by=str(figures.get("ended_by") or ""),
        **asked,
    )


def _dictionary(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    told = read_json(path)
    return told if isinstance(told, dict) else {}


def _findings(path: Path, live: dict[str, Any]) -> list[Finding]:
    told = read_json(path) if path.exists() else live.get("findings") or []
    try:
        return TypeAdapter(list[Finding]).validate_python(told)
    except ValidationError:
        logger.warning("the findings of %s cannot be read: they are left out", path.parent)
        return []
