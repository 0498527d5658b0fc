"""Packages that only some parts need: imported when used, named with their extra when absent."""

from __future__ import annotations

import importlib
from types import ModuleType

from glial.core.errors import InputError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a package that belongs to an extra.

    Args:
        module: The module's name.
        extra: The extra of Glial that installs it.
        purpose: What it is needed for, in a few words.

    Raises:
        InputError: If the package is not installed; the message names the extra.

    Example:
        >>> require("math", extra="none", purpose="square roots").sqrt(4.0)
        2.0
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{purpose} needs the package {module.partition('.')[0]!r}",
            expected=f"Glial installed with its extra {extra!r}",
            got="the package is not installed",
            do=f"pip install 'glial[{extra}]'",
        ) from error
