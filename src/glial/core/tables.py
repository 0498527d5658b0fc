"""A table of parts: names, each the address of an object that is imported when asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

from glial.core.errors import InputError, unknown_name


class Table(Mapping[str, str]):
    """Names of one kind of part, resolved lazily, open to third parties by entry points.

    A package installed beside Glial adds a part with an entry point in the group
    ``glial.<group>``; it can add names and never replaces one of Glial's own.

    Args:
        kind: What one entry is called in messages, such as ``"model"``.
        group: Entry-point group after ``glial.``, such as ``"models"``.
        entries: Name to ``"package.module:attribute"``.

    Example:
        >>> table = Table("function", "functions", {"sqrt": "math:sqrt"})
        >>> table.resolve("sqrt")(4.0)
        2.0
    """

    def __init__(self, kind: str, group: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._own = dict(entries)

    def _all(self) -> dict[str, str]:
        found = importlib.metadata.entry_points(group=f"glial.{self.group}")
        return {**{point.name: point.value for point in found}, **self._own}

    def __getitem__(self, name: str) -> str:
        return self._own[name] if name in self._own else self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def check(self, name: str) -> str:
        """The name itself, when the table has it.

        Raises:
            InputError: If the table has no such name; the message suggests the nearest.
        """
        if not isinstance(name, str) or name not in self:
            raise unknown_name(self.kind, str(name), self)
        return name

    def resolve(self, name: str) -> Any:
        """The object behind a name, imported now.

        Raises:
            InputError: If the table has no such name, or the part needs a package that
                is not installed, or is not where the table says.
        """
        module_name, _, attribute = self[self.check(name)].partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise InputError(
                f"the {self.kind} {name!r} needs the package {error.name!r}",
                got="it is not installed",
                do=f"install {error.name}",
            ) from error
        if not hasattr(module, attribute):
            raise InputError(
                f"the {self.kind} {name!r} is broken",
                expected=f"{attribute} in {module_name}",
                got="no such name in it",
                do="mend or remove the package that adds it",
            )
        return getattr(module, attribute)
