"""A network as a picture that can be read: layers as boxes, what repeats told once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from glial.charts import Box, flow_diagram
from glial.charts.diagram import BoxKind
from glial.nn.dataflow import Step, follow

MOST = 18  # boxes, about, before blocks are drawn as one box
MOST_SHOWN = 60  # boxes of a picture, of whatever network
MOST_INSIDES = 4
LONGEST = 4  # parts of what is repeated


@dataclass
class Unit:
    """What is drawn as one box: a step, or a block with all its steps.

    Attributes:
        name: A step's name, or a block's path.
        steps: In the order in which they are done.
        inputs: Names of the units whose results it takes.
        times: How many of it follow one another.
        others: Units that follow it within one of its times.
    """

    name: str
    steps: list[Step]
    inputs: list[str] = field(default_factory=list)
    times: int = 1
    others: list[Unit] = field(default_factory=list)


def network_diagrams(
    model: nn.Module, inputs: tuple[Any, ...], *, title: str = "The network"
) -> list[str]:
    """Pictures of a network: one of the whole, and one of the inside of each kind of block in it.

    Args:
        model: The network, run once in evaluation mode and left as it was.
        inputs: What it is called with.
        title: What the first picture is called.

    Returns:
        The texts of SVGs; at most four insides. Where the network cannot be followed, one picture
        of its parts as they are defined, without arrows, which says so.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> [picture[:4] for picture in network_diagrams(network, (torch.zeros(2, 4),))]
        ['<svg']
    """
    try:
        steps = follow(model, inputs)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's network raises
        return [draw_parts(model, title, why=f"{type(error).__name__}")]
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    units = fold(group(steps, _open_paths(model), kinds))
    whole = sum(parameter.numel() for parameter in model.parameters())
    pictures = [_drawn(units, kinds, title, whole)]
    shown: set[tuple[Any, ...]] = set()
    for unit in (each for whole in units for each in (whole, *whole.others)):
        make = _make(unit, kinds)
        if len(unit.steps) < 2 or make in shown or len(pictures) > MOST_INSIDES:
            continue
        shown.add(make)
        inside = fold(group(_within(unit), {*_parents(unit.name)}, kinds))
        kind = kinds.get(unit.name, unit.name).strip("_")
        pictures.append(_drawn(inside, kinds, f"Inside {kind} ({unit.name})"))
    return pictures


def network_diagram(
    model: nn.Module, inputs: tuple[Any, ...], *, title: str = "The network"
) -> str:
    """The picture of a whole network, the first of `network_diagrams`.

    Args:
        model: The network, run once in evaluation mode and left as it was.
        inputs: What it is called with.
        title: What the picture is called.

    Example:
        >>> import torch
        >>> network_diagram(nn.Sequential(nn.Linear(4, 3)), (torch.zeros(2, 4),))[:4]
        '<svg'
    """
    return network_diagrams(model, inputs, title=title)[0]


def draw_parts(model: nn.Module, title: str, *, why: str = "") -> str:
    """The parts of a network as they are defined, without arrows.

    Args:
        model: The network.
        title: What the picture is called.
        why: Why the flow through it is not drawn.

    Example:
        >>> draw_parts(nn.Sequential(nn.ReLU()), "Parts")[:4]
        '<svg'
    """
    parts = list(model.named_children()) or [("", model)]
    boxes = []
    for name, module in parts[:MOST_SHOWN]:
        own = sum(parameter.numel() for parameter in module.parameters())
        told = ", ".join(filter(None, [name, _count(own)]))
        boxes.append(Box(name, type(module).__name__, told, "weights" if own else "layer"))
    under = "Its parts as they are defined; which leads to which could not be followed"
    edges: list[tuple[str, str]] = []
    return flow_diagram(boxes, edges, title=title, under=f"{under}{f' ({why})' if why else ''}.")


def _open_paths(model: nn.Module) -> set[str]:
    """Paths that are never one box: the network itself, and lists of modules."""
    lists = (nn.ModuleList, nn.ModuleDict)
    return {"", *(name for name, module in model.named_modules() if isinstance(module, lists))}


def _parents(path: str) -> list[str]:
    parts = path.split(".")
    return ["", *(".".join(parts[: n + 1]) for n in range(len(parts)))]


def group(steps: Sequence[Step], opened: set[str], kinds: dict[str, str]) -> list[Unit]:
    """Steps gathered into blocks, so that few enough boxes are left.

    Args:
        steps: The steps of a network, each after those whose results it takes.
        opened: Paths of blocks that are not one box; blocks are opened from the outside inwards,
            all of one class at once, as long as the boxes are few.
        kinds: The class of each path.

    Returns:
        Units, each after those whose results it takes.

    Example:
        >>> steps = [Step("input", "input", "input"), Step("a.b", "layer", "ReLU", None, 0)]
        >>> [unit.name for unit in group(steps, {""}, {})]
        ['input', 'a.b']
    """
    opened = set(opened)
    while (units := _units(steps, opened)) is None:
        opened |= _outermost(steps, opened)
    refused: set[str] = set()
    while True:
        blocks = [u.name for u in units if len(u.steps) > 1 or u.name != u.steps[0].name]
        closed = [name for name in blocks if kinds.get(name, name) not in refused]
        if not closed:
            return units
        kind = kinds.get(closed[0], closed[0])
        wider = opened | {name for name in closed if kinds.get(name, name) == kind}
        tried = _units(steps, wider)
        if tried is not None and len(fold(tried)) <= MOST:
            opened, units = wider, tried
        else:
            refused.add(kind)


def _outermost(steps: Sequence[Step], opened: set[str]) -> set[str]:
    return {_unit_of(step, opened) for step in steps} - {step.name for step in steps}


def _unit_of(step: Step, opened: set[str]) -> str:
    if step.kind in ("input", "output"):
        return step.name
    return next((path for path in _parents(step.name)[1:] if path not in opened), step.name)


def _units(steps: Sequence[Step], opened: set[str]) -> list[Unit] | None:
    """The steps gathered; None where two blocks would each need the other first."""
    of = {step.name: _unit_of(step, opened) for step in steps}
    units: dict[str, Unit] = {}
    for step in steps:
        unit = units.setdefault(of[step.name], Unit(of[step.name], []))
        unit.steps.append(step)
        for each in step.inputs:
            name = of.get(each)
            if name is not None and name != unit.name and name not in unit.inputs:
                unit.inputs.append(name)
    ordered: dict[str, Unit] = {}
    while len(ordered) < len(units):
        ready = [
            name
            for name, unit in units.items()
            if name not in ordered and all(each in ordered for each in unit.inputs)
        ]
        if not ready:
            return None
        ordered |= {name: units[name] for name in ready}
    return (
        [unit for unit in units.values() if unit.name in ordered]
        if _sorted(units)
        else [*ordered.values()]
    )


def _sorted(units: dict[str, Unit]) -> bool:
    place = {name: n for n, name in enumerate(units)}
    return all(place[each] < place[name] for name, unit in units.items() for each in unit.inputs)


def _make(unit: Unit, kinds: dict[str, str]) -> tuple[Any, ...]:
    """What two blocks have in common that are built alike, of whatever sizes."""
    place = {step.name: n for n, step in enumerate(unit.steps)}
    steps = ((s.kind, s.label, *(place.get(each, -1) for each in s.inputs)) for s in unit.steps)
    return kinds.get(unit.name, ""), *steps


def _look(unit: Unit) -> tuple[Any, ...]:
    """What two units have in common that are drawn as one: all but their names."""
    sizes = ((tuple(step.shape or ()), step.num_parameters) for step in unit.steps)
    return *_make(unit, {}), *sizes


def fold(units: Sequence[Unit]) -> list[Unit]:
    """Units with what repeats, one after another in a chain, told once.

    Example:
        >>> def layer(name, before):
        ...     return Unit(name, [Step(name, "layer", "Linear", [2, 3], 12, [before])], [before])
        >>> [(unit.name, unit.times) for unit in fold([layer("a", "x"), layer("b", "a")])]
        [('a', 2)]
    """
    after: dict[str, int] = {}
    for unit in units:
        for each in unit.inputs:
            after[each] = after.get(each, 0) + 1
    looks = [_look(unit) for unit in units]
    linked = [
        n > 0 and unit.inputs == [units[n - 1].name] and after[units[n - 1].name] == 1
        for n, unit in enumerate(units)
    ]
    folded: list[Unit] = []
    renamed: dict[str, str] = {}
    n = 0
    while n < len(units):
        size, times = _repeats(looks, linked, n)
        first = replace(
            units[n], times=times, others=list(units[n + 1 : n + size]) if times > 1 else []
        )
        first.inputs = list(dict.fromkeys(renamed.get(each, each) for each in first.inputs))
        folded.append(first)
        length = size * times if times > 1 else 1
        renamed |= {units[n + m].name: first.name for m in range(length)}
        n += length
    return folded


def _repeats(looks: list[Any], linked: list[bool], start: int) -> tuple[int, int]:
    """The shortest stretch of a chain that repeats from a place on, and how often."""
    for size in range(1, LONGEST + 1):
        times = 1
        while True:
            here = start + size * times
            stretch = range(here, here + size)
            if here + size > len(looks) or not all(linked[n] for n in stretch):
                break
            if not all(linked[start + n] for n in range(1, size)):
                break
            if any(looks[n] != looks[start + (n - here)] for n in stretch):
                break
            times += 1
        if times > (1 if size == 1 else 2):
            return size, times
    return 1, 1


def _within(unit: Unit) -> list[Step]:
    """The steps of a block, between what comes into it and what leaves it."""
    inside = {step.name for step in unit.steps}
    outside = list(
        dict.fromkeys(each for step in unit.steps for each in step.inputs if each not in inside)
    )
    names = {each: f"input{f' {n + 1}' if n else ''}" for n, each in enumerate(outside)}
    steps = [Step(name, "input", name) for name in names.values()]
    steps += [
        replace(step, inputs=[names.get(each, each) for each in step.inputs]) for step in unit.steps
    ]
    used = {each for step in steps for each in step.inputs}
    last = [step.name for step in unit.steps if step.name not in used]
    return [*steps, Step("output", "output", "output", unit.steps[-1].shape, 0, last)]


def _drawn(
    units: Sequence[Unit], kinds: dict[str, str], title: str, whole: int | None = None
) -> str:
    shown = list(units)[:MOST_SHOWN]
    boxes = [_box(unit, kinds) for unit in shown]
    edges = [(each, unit.name) for unit in shown for each in unit.inputs]
    total = sum(
        unit.times
        * sum(step.num_parameters for part in (unit, *unit.others) for step in part.steps)
        for unit in units
    )
    more = 0 if whole is None else whole - total
    under = f"{total or whole or 0:,} parameters"
    if whole is not None and total and more > 0:
        under += f" in these layers and {more:,} outside them, {whole:,} together"
    elif whole is not None and more < 0:
        under = f"{whole:,} parameters, some of them used in several places"
    under += "; shapes are without the batch"
    if len(units) > len(shown):
        under += f"; the first {MOST_SHOWN} of {len(units)} parts"
    return flow_diagram(boxes, edges, title=title, under=under)


def _box(unit: Unit, kinds: dict[str, str]) -> Box:
    parts = [unit, *unit.others]
    labels = [
        part.steps[0].label
        if len(part.steps) == 1 and part.name == part.steps[0].name
        else kinds.get(part.name, part.name)
        for part in parts
    ]
    steps = [step for part in parts for step in part.steps]
    own = sum(step.num_parameters for step in steps)
    last = steps[-1]
    shape = "×".join(map(str, (last.shape or [])[1:]))
    if last.kind == "join" and len(steps) == 1:
        return Box(unit.name, labels[0], "", "join", tip=f"{unit.name}: {shape}")
    kind: BoxKind = "end" if last.kind in ("input", "output") else "weights" if own else "layer"
    detail = ", ".join(filter(None, [shape, _count(own)]))
    tip = f"{unit.name}: {', '.join(labels)}, {own:,} parameters"
    return Box(unit.name, ", ".join(_short(labels)), detail, kind, unit.times, tip)


def _short(labels: Iterable[str]) -> list[str]:
    """Classes without what the box says anyway."""
    plain = [label.strip("_") or label for label in labels]
    return [each if each == "Layer" else each.removesuffix("Layer") for each in plain]


def _count(parameters: int) -> str:
    """How many parameters, in few letters."""
    if not parameters:
        return ""
    if parameters < 10_000:
        return f"{parameters:,} weights"
    thousands = parameters / 1000
    return f"{thousands / 1000:.1f}M weights" if thousands >= 999.5 else f"{thousands:.0f}k weights"
