"""Remedies of findings that knobs are: what a plan's remedy would change, if a knob can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from glial.core.findings import Finding
from glial.runs.plan import Plan
from glial.runs.remedies import plan_changes
from glial.serving.playground.knobs import Knobs


def plan_of(knobs: Knobs) -> Plan:
    """The plan that says the same as the knobs, as far as a plan can.

    Example:
        >>> plan_of(Knobs(lr=0.5)).train.lr
        0.5
    """
    values: dict[str, Any] = {"task": {"name": knobs.task}, "model": {"name": "mlp"}, "train": {}}
    for key, name in _knobs_of_keys(knobs).items():
        part, _, rest = key.partition(".")
        value = getattr(knobs, name)
        if value or name not in ("clip_norm", "clip_value", "patience"):
            values[part][rest] = value
    return Plan.from_values(values)


def with_knob_remedies(findings: Iterable[Finding], knobs: Knobs) -> list[Finding]:
    """Findings, each with the first change of a plan that is a turn of knobs.

    Args:
        findings: What was found.
        knobs: What the playground is set to.

    Example:
        >>> found = Finding("learning-rate-too-high", "error", None, {}, "It.", "Do.")
        >>> with_knob_remedies([found], Knobs(lr=10.0))[0].remedy
        {'set': {'train.lr': 1.0}}
    """
    findings = list(findings)
    if not findings:
        return []
    plan, names = plan_of(knobs), _knobs_of_keys(knobs)
    told = []
    for finding in findings:
        changes = [dict(change.set) for change in plan_changes(finding, plan, plan)]
        possible = [change for change in changes if _is_turn(change, names, knobs)]
        remedy = {"set": possible[0]} if possible else None
        told.append(replace(finding, remedy=remedy))
    return told


def _knobs_of_keys(knobs: Knobs) -> dict[str, str]:
    """The knob of each key of a plan, those of the task alone."""
    found = {}
    for name, field in Knobs.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "plan" in extra and extra.get("task") in (None, knobs.task):
            found[str(extra["plan"])] = name
    return found


def _is_turn(change: dict[str, Any], names: dict[str, str], knobs: Knobs) -> bool:
    """Whether a change of a plan is one that knobs can make, and have not made."""
    if not change.keys() <= names.keys():
        return False
    wished = knobs.model_dump() | {names[key]: value for key, value in change.items()}
    try:
        return Knobs.model_validate(wished) != knobs
    except ValidationError:
        return False
