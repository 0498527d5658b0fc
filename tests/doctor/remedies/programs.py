"""Cases by hand: a program's text, with places named by a piece of their line."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Mapping
from typing import Any

from glial.core.findings import Finding, Place
from glial.doctor.evidence import (
    Evidence,
    LayerSeen,
    LoaderSeen,
    LossSeen,
    ModelSeen,
    OptimizerSeen,
    ParameterSeen,
    TensorSeen,
)
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
        places = ("at", "made_at", "backward_at", "cleared_at", "cut_at", "eval_at", "train_at")
        made = {k: self.at(v) if k in places else v for k, v in values.items()}
        for name in ("outputs", "target"):
            if name in made:
                made[name] = TensorSeen(**made[name])
        if "functions_at" in made:
            made["functions_at"] = [self.at(piece) for piece in made["functions_at"]]
        return made

    def model(self, name: str, **values: Any) -> Program:
        self.evidence.models.append(ModelSeen(name, "Module", **self._placed(values)))
        return self

    def layer(self, name: str, kind: str, at: str, **values: Any) -> Program:
        """A layer of the last network."""
        seen = LayerSeen(name, kind, at=self.at(at), **values)
        self.evidence.models[-1].layers.append(seen)
        return self

    def parameter(self, name: str, at: str | None = None, **values: Any) -> Program:
        """A parameter of the last network."""
        layer = name.rpartition(".")[0]
        seen = ParameterSeen(name, layer, [2, 2], at=self.at(at), **values)
        self.evidence.models[-1].parameters.append(seen)
        return self

    def optimizer(self, name: str = "opt", kind: str = "SGD", **values: Any) -> Program:
        self.evidence.optimizers.append(OptimizerSeen(name, kind, **self._placed(values)))
        return self

    def loss(self, name: str = "cross_entropy", **values: Any) -> Program:
        self.evidence.losses.append(LossSeen(name, **self._placed(values)))
        return self

    def loader(self, at: str) -> Program:
        self.evidence.loaders.append(LoaderSeen("loader", at=self.at(at), training=True))
        return self

    def mended(
        self,
        problem: str,
        *,
        at: str | None = None,
        where: str | None = None,
        numbers: Mapping[str, int | float] | None = None,
        means: str = "",
    ) -> list[str]:
        """The text after each change, the likeliest first."""
        place, seen = self.at(at), dict(numbers or {})
        finding = Finding(problem, "error", where, seen, means, "", at=place)
        sources = Sources({FILE: self.text})
        found = changes(Case(finding, self.evidence, sources))
        return [texts_after([change], sources)[FILE] for change in found]

    def first(self, problem: str, **options: Any) -> list[str]:
        """The lines that the first change takes and brings, with a sign before each."""
        after = self.mended(problem, **options)
        return self.difference(after[0]) if after else []

    def all(self, problem: str, **options: Any) -> list[list[str]]:
        """Those lines of every change."""
        return [self.difference(text) for text in self.mended(problem, **options)]

    def difference(self, after: str) -> list[str]:
        """The lines that differ, without their margins."""
        told = difflib.ndiff(self.text.splitlines(), after.splitlines())
        return [f"{line[0]} {line[2:].strip()}" for line in told if line[0] in "+-"]
