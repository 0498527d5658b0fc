"""Where the rows of a run lie now: its plan keeps paths as they were given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glial.core.errors import InputError
from glial.core.files import read_json
from glial.data import known_dataset
from glial.data.sources import files_of
from glial.runs.plan import Plan
from glial.runs.run import ENVIRONMENT

ROWS = ("source", "val", "test")


def plans_found(plan: Plan, folder: Path | None) -> Iterator[Plan]:
    """A run's plan with the paths of its rows as they lead there now, the likeliest first.

    Relative paths are tried in the working folder, in the folder where training was started, and
    in those above the run; nothing is read.

    Args:
        plan: The run's plan.
        folder: The run's folder; None of a run in memory.

    Yields:
        The plan for each folder in which all its files lie; as it is where they lie in none.

    Example:
        >>> plan = Plan.from_values({"data": {"source": "iris"}})
        >>> [found.data.source for found in plans_found(plan, None)]
        ['iris']
    """
    given = {name: getattr(plan.data, name) for name in ROWS if getattr(plan.data, name)}
    tried: list[dict[str, Any]] = [given]
    if folder is not None:
        starts = [_started_in(folder), *folder.resolve().parents]
        tried += [
            {name: _below(start, value) for name, value in given.items()}
            for start in dict.fromkeys(starts)
            if start is not None and start != Path.cwd()
        ]
    there = [paths for paths in tried if all(map(_lie, paths.values()))]
    for number, paths in enumerate(there or [given]):
        if not number or paths != given:
            yield plan.model_copy(update={"data": plan.data.model_copy(update=paths)})


def _started_in(folder: Path) -> Path | None:
    path = folder / ENVIRONMENT
    content = read_json(path) if path.exists() else None
    told = content.get("started_in") if isinstance(content, dict) else None
    return Path(told) if isinstance(told, str) and told else None


def _below(start: Path, value: Any) -> Any:
    """What a plan names, where its paths begin in another folder."""
    if isinstance(value, list):
        return [_below(start, one) for one in value]
    return value if known_dataset(value) else str(start / value)


def _lie(value: Any) -> bool:
    try:
        return all(path.exists() for path in files_of(value))
    except (InputError, OSError):
        return False
