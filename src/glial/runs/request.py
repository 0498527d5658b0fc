"""What was asked for: a source or a plan, and the changes to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from glial.core.files import read_json
from glial.core.settings import override
from glial.data import known_dataset
from glial.runs.plan import Plan
from glial.runs.preparation import source_name
from glial.tasks import JUDGED_BY_TARGET, WITHOUT_TARGET
from glial.tasks.task import Loss


@dataclass
class Request:
    """What was asked for: a plan, and the parts of it that are objects of the user's own."""

    plan: Plan
    source: Any = None
    model: nn.Module | None = None
    loss: Loss | None = None
    name: str = "table"
    folder: Path | None = None
    val: Any = None
    test: Any = None


def make_request(source: Any, changes: Mapping[str, Any]) -> Request:
    """What was asked for, from a source or plan and dotted changes.

    Args:
        source: As for :func:`train`.
        changes: Dotted keys of the plan and their values.

    Returns:
        The request.

    Raises:
        InputError: If the plan cannot be read, or a change names an unknown key.

    Example:
        >>> make_request("iris", {"train.epochs": 3}).plan.train.epochs
        3
    """
    folder = None
    if isinstance(source, Plan):
        values = source.to_values(given_only=True)
    elif isinstance(source, (str, Path)) and Path(source).suffix in (".yaml", ".yml"):
        values = Plan.from_file(Path(source)).to_values(given_only=True)
    elif isinstance(source, (str, Path)) and (Path(source) / "plan.yaml").exists():
        folder = Path(source)
        values = _asked_before(folder)
    else:
        named = isinstance(source, (str, Path)) or (
            isinstance(source, list) and all(isinstance(item, (str, Path)) for item in source)
        )
        first = [str(item) for item in source] if isinstance(source, list) and named else None
        values = {"data": {"source": first or str(source)}} if named else {}
        plan = Plan.from_values(_with_known_target(override(values, changes)))
        name = source_name(source)
        return Request(plan, None if named else source, name=name)
    plan = Plan.from_values(_with_known_target(override(values, changes)))
    return Request(plan, name=source_name(plan.data.source), folder=folder)


def _asked_before(folder: Path) -> dict[str, Any]:
    environment = folder / "environment.json"
    if environment.exists():
        asked = read_json(environment).get("asked")
        if isinstance(asked, dict):
            return asked
    return Plan.from_file(folder / "plan.yaml").to_values()


def _with_known_target(values: dict[str, Any]) -> dict[str, Any]:
    """The plan's values with the target and task of a data set that Glial knows."""
    data = values.get("data") or {}
    entry = known_dataset(data.get("source")) if isinstance(data, dict) else None
    task = (values.get("task") or {}).get("name")
    judged = task in JUDGED_BY_TARGET and entry is not None and entry.task == "classification"
    wanted = judged or task not in WITHOUT_TARGET
    if entry is not None and not data.get("target") and wanted:
        values = override(values, {"data.target": entry.target})
        if not task:
            values = override(values, {"task.name": entry.task})
    return values
