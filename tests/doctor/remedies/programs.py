"""Cases by hand: a program's text, with places named by a piece of their line."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Mapping
from typing import Any

from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, LossSeen, ModelSeen, OptimizerSeen
from glial.doctor.remedies import Case, Sources, changes, texts_after

FILE = "/program/train.py"


class Program:
    """A program, and what was seen of it."""

    def __init__(self, text: str) -> None:
        self.text = textwrap.dedent(text).lstrip("\n")
        self.evidence = Evidence()

    def at(self, piece: str | None) -> Place | None:
        """The first line that holds a piece."""
        if piece is None:
            return None
        lines = self.text.splitlines()
        return Place(FILE, next(n for n, line in enumerate(lines, 1) if piece in line))

    def _placed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        places = ("at", "made_at", "backward_at", "cleared_at", "cut_at", "eval_at")
        return {k: self.at(v) if k in places else v for k, v in values.items()}

    def model(self, name: str, **values: Any) -> Program:
        self.evidence.models.append(ModelSeen(name, "Module", **self._placed(values)))
        return self

    def optimizer(self, name: str = "opt", kind: str = "SGD", **values: Any) -> Program:
        self.evidence.optimizers.append(OptimizerSeen(name, kind, **self._placed(values)))
        return self

    def loss(self, name: str = "cross_entropy", **values: Any) -> Program:
        self.evidence.losses.append(LossSeen(name, **self._placed(values)))
        return self

    def mended(
        self,
        problem: str,
        *,
        at: str | None = None,
        where: str | None = None,
        numbers: Mapping[str, int | float] | None = None,
    ) -> list[str]:
        """The text after each change, the likeliest first."""
        finding = Finding(problem, "error", where, dict(numbers or {}), "", "", at=self.at(at))
        sources = Sources({FILE: self.text})
        found = changes(Case(finding, self.evidence, sources))
        return [texts_after([change], sources)[FILE] for change in found]

    def first(self, problem: str, **options: Any) -> list[str]:
        """The lines that the first change takes and brings, with a sign before each."""
        after = self.mended(problem, **options)
        return self.difference(after[0]) if after else []

    def difference(self, after: str) -> list[str]:
        """The lines that differ, without their margins."""
        told = difflib.ndiff(self.text.splitlines(), after.splitlines())
        return [f"{line[0]} {line[2:].strip()}" for line in told if line[0] in "+-"]
