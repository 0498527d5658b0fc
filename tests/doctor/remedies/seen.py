"""Programs as text, and evidence of them as a watcher would have left it."""

from __future__ import annotations

import ast

from glial.core.findings import Finding, Place
from glial.doctor.evidence import (
    Evidence,
    LayerSeen,
    LossSeen,
    ModelSeen,
    OptimizerSeen,
    ParameterSeen,
    Series,
)
from glial.doctor.remedies import Case, Change, Sources, changes, texts_after

PATH = "/scripts/train.py"


def place(text: str, part: str | None) -> Place | None:
    """The line that holds a part of a program."""
    if part is None:
        return None
    lines = text.splitlines()
    return Place(PATH, next(n for n, line in enumerate(lines, 1) if part in line))


def optimizer_in(text: str, kind: str = "SGD", **more: object) -> OptimizerSeen:
    """An optimiser that a program makes; the parts of lines name where."""
    parts = {name: more.pop(name, None) for name in ("made_at", "at", "scheduler_at")}
    parts["at"] = parts["at"] or (".step()" if ".step()" in text else None)
    rate = more.pop("lr", 0.1)
    settings = {"lr": rate, **more.pop("settings", {})}  # type: ignore[dict-item]
    return OptimizerSeen(
        "optimizer",
        kind,
        settings,  # type: ignore[arg-type]
        steps=more.pop("steps", 300),  # type: ignore[arg-type]
        lr=more.pop("rates", Series([1, 300], [rate, rate])),  # type: ignore[arg-type,list-item]
        model=more.pop("model", "net"),  # type: ignore[arg-type]
        **{name: place(text, part) for name, part in parts.items()},  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def network(
    *layers: LayerSeen, parameters: list[ParameterSeen] | None = None, kind: str = "Sequential"
) -> ModelSeen:
    """A network of some layers that is trained."""
    return ModelSeen(
        "net", kind, layers=list(layers), parameters=parameters or [], calls={"train": 9}
    )


def stride(update: float, weight: float = 1.0) -> ParameterSeen:
    """A weight and the size of its steps."""
    return ParameterSeen(
        "0.weight",
        "0",
        [4, 4],
        optimizer="optimizer",
        weight=Series([1], [weight]),
        update=Series([1, 2, 3], [update] * 3),
    )


def chain(*kinds: str, at: list[Place | None] | None = None, width: int = 8) -> list[LayerSeen]:
    """Layers of which each takes what the one before gives; names are numbers."""
    made: list[LayerSeen] = []
    for number, kind in enumerate(kinds):
        makers = [[one.name, one.kind] for one in reversed(made)][:4]
        made.append(
            LayerSeen(
                str(number),
                kind,
                number,
                after=made[-1].name if made else None,
                history=makers,
                at=at[number] if at else None,
                input_shape=[4, width],
                output_shape=[4, width],
            )
        )
    return made


def case_of(
    text: str,
    problem: str,
    *optimizers: OptimizerSeen,
    models: list[ModelSeen] | None = None,
    losses: list[LossSeen] | None = None,
    where: str | None = None,
    at: str | None = None,
    evidence: dict[str, int | float] | None = None,
    **more: object,
) -> Case:
    """A finding about a program."""
    finding = Finding(problem, "error", where, evidence or {}, "It.", "Do.", at=place(text, at))
    seen = Evidence(
        steps=300,
        optimizers=list(optimizers),
        models=models or [],
        losses=losses or [],
        **more,  # type: ignore[arg-type]
    )
    return Case(finding, seen, Sources({PATH: text}))


def proposed(case: Case) -> dict[str, str]:
    """The program after each change that is proposed, by the remedy's name; each is Python."""
    found = {}
    for change in changes(case):
        text = after(case, change)
        ast.parse(text)
        found[change.name] = text
    return found


def after(case: Case, change: Change) -> str:
    """The program after a change."""
    return texts_after([change], case.sources)[PATH]


def lines_changed(before: str, text: str) -> list[str]:
    """The lines of a changed program that were not there before."""
    return [line.strip() for line in text.splitlines() if line not in before.splitlines()]
