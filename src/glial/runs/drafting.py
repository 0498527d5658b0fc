"""A first plan for a source: everything that can be inferred, with every default written out."""

from __future__ import annotations

from typing import Any

from glial.runs.members import member_plans
from glial.runs.plan import Plan
from glial.runs.preparation import prepare
from glial.runs.request import make_request
from glial.runs.ways import TABLE, WAYS, way_name


def draft(source: Any, changes: dict[str, Any] | None = None) -> Plan:
    """The plan that training on a source would use, but for what is measured when it starts.

    Args:
        source: As for :func:`glial.train`.
        changes: Dotted keys and values that are asked for.

    Returns:
        The plan: column kinds, task, model with its capacity, and the model's own recipe.

    Raises:
        InputError: If the source or its target cannot be used.

    Example:
        >>> draft("iris").task.name
        'classification'
    """
    request = make_request(source, changes or {})
    asked = request.plan
    way = way_name(request, asked)
    if way != TABLE:
        return Plan.from_values(WAYS.resolve(way).make_ready(request, asked).plan.to_values())
    # The first network of several stands for all.
    plan = prepare([*member_plans(asked), asked][0], request.source).plan
    split = plan.data.split.model_copy(update={"fold": asked.data.split.fold})
    changed = {"split": split, "imputation": asked.data.imputation}
    return plan.model_copy(update={"data": plan.data.model_copy(update=changed)})
