"""What pages ask of the playground: read from requests and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from glial.core.errors import InputError, unknown_name
from glial.serving.playground.knobs import Knobs


def read_knobs(values: object) -> Knobs:
    """Knobs from plain values; those left out are as at first.

    Args:
        values: Values by the names of knobs.

    Raises:
        InputError: If there is no such knob, or a value is outside its range.

    Example:
        >>> read_knobs({"lr": 0.5}).lr
        0.5
        >>> read_knobs({"lr": -1})
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: Learning rate (lr) cannot be -1. Expected: ...
    """
    if not isinstance(values, Mapping):
        raise InputError("these are no knobs", expected="an object", got=type(values).__name__)
    for name in values:
        if name not in Knobs.model_fields:
            raise unknown_name("knob", str(name)[:80], Knobs.model_fields)
    try:
        return Knobs.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        title, got = Knobs.model_fields[name].title, repr(first["input"])[:80]
        raise InputError(
            f"{title} ({name}) cannot be {got}",
            expected=first["msg"].removeprefix("Input should be "),
            got=got,
            do="choose a value in that range",
        ) from error


def read_number(values: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """A whole number of at least 0.

    Raises:
        InputError: If it is none, or too large.

    Example:
        >>> read_number({"steps": 3}, "steps", 1, 10)
        3
    """
    value = values.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InputError(
            f"{name} cannot be {value!r:.80}", expected=f"a whole number from 0 to {most}"
        )
    return value
