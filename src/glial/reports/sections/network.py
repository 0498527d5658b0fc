"""The network: its layers, how data flows through them, and how large it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from glial.core.errors import GlialError
from glial.models import MODELS
from glial.nn.diagram import draw_parts, network_diagrams
from glial.nn.summary import Summary, summarize
from glial.reports.blocks import Block, Chart, Facts, Fold, Section, Table, Text
from glial.reports.numbers import bytes_told, counted, scaled
from glial.reports.subject import Subject
from glial.runs import Run

MOST_LAYERS = 300
TOKENS = 12


def network(subject: Subject) -> Section:
    """What the network is.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> network(Subject.of(run)).data["parameters"]
        15
    """
    section = Section("network", "")
    name = str(subject.plan.model.get("name"))
    described = MODELS.resolve(name).description if name in MODELS else ""
    kind = f"The network is of the kind “{name}”{f': {described}' if described else ''}."
    run = subject.run
    if run is None:
        section.says = [kind, subject.why_closed]
        section.data = {"model": name}
        return section
    runs = subject.members
    first = runs[0].model
    parameters = sum(p.numel() for p in first.parameters())
    section.says.append("The network is somebody's own." if name == "custom" else kind)
    inputs = example_inputs(subject)
    summary = _summary(first, inputs)
    section.data = {"model": name, "parameters": parameters, "networks": len(runs)}
    section.says.append(_size(first, parameters, summary, len(runs)))
    section.blocks.append(Facts(_facts(parameters, first, summary)))
    section.blocks += _pictures(first, inputs)
    if summary is not None:
        section.data |= {"flops": summary.flops, "layers": summary.to_dict()["layers"]}
    if summary is not None:
        section.blocks.append(_layers(summary))
    if summary is None:
        why = "No row could be put through the network here, so shapes and FLOPs are not told."
        section.blocks.append(Text(why, "muted"))
    source = MODELS.resolve(name).source if name in MODELS else ""
    if source:
        section.blocks.append(Text(f"Where it comes from: {source}", "muted"))
    return section


def _size(model: nn.Module, parameters: int, summary: Summary | None, networks: int) -> str:
    memory = bytes_told(sum(p.numel() * p.element_size() for p in model.parameters()))
    told = f"It has {counted(parameters, 'parameter')}, which take {memory}"
    if summary is not None and summary.flops:
        told += (
            f"; one row costs it {scaled(summary.flops)} arithmetic operations in matrix products, "
            "convolutions and attention (looking up a word or a category, and simple sums, are "
            "not counted)"
        )
    return f"{told}." + (
        f" There are {networks} such networks, which vote." if networks > 1 else ""
    )


def _facts(parameters: int, model: nn.Module, summary: Summary | None) -> list[tuple[str, Any]]:
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    facts: list[tuple[str, Any]] = [("Parameters", parameters)]
    if trained != parameters:
        facts.append(("Of these, trained", trained))
    if summary is not None:
        facts += [
            ("Layers that were called", len(summary.layers)),
            ("Arithmetic operations a row (FLOPs)", scaled(summary.flops)),
            ("Memory of all layers' outputs, a row", bytes_told(summary.activation_bytes)),
        ]
    return facts


def _summary(model: nn.Module, inputs: tuple[Any, ...] | None) -> Summary | None:
    if inputs is None:
        return None
    try:
        return summarize(model, inputs)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError):
        return None


def _pictures(model: nn.Module, inputs: tuple[Any, ...] | None) -> list[Block]:
    """The network from its input to its output, and the inside of each kind of block in it."""
    title = "The network, from what goes in to what comes out"
    if inputs is None:
        return [Chart(draw_parts(model, title), "")]
    whole, *insides = network_diagrams(model, inputs, title=title)
    says = "Read it from top to bottom. Boxes with a coloured edge have weights that are learnt."
    drawn: list[Block] = [Chart(whole, says)]
    return drawn + (
        [Fold("What is in a block", [Chart(each, "") for each in insides])] * bool(insides)
    )


def _layers(summary: Summary) -> Block:
    rows = [
        [one.name or "(whole)", one.kind, _shape(one.output_shape), one.num_parameters, one.flops]
        for one in summary.layers[:MOST_LAYERS]
    ]
    heads = ["layer", "kind", "gives", "parameters", "FLOPs"]
    return Fold("Every layer", [Table(heads, rows, "The layers in the order in which they run")])


def _shape(shape: list[int]) -> str:
    return " × ".join(map(str, shape[1:])) or "1"


def example_inputs(subject: Subject) -> tuple[Any, ...] | None:
    """One row as the network takes it: of the data, or of nothing; None where neither can be had.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> [part.shape for part in example_inputs(Subject.of(run))]
        [torch.Size([1, 4])]
    """
    run = subject.run
    if run is None:
        return None
    member = subject.members[0]
    held = subject.held
    if held.series is not None:
        moments = held.series.edges.moments("train", held.series.rows.windows.form)[:1]
        inputs = held.series.rows.windows.rows(moments).inputs
        return tuple(inputs) if len(moments) else None
    if held.frame is not None and held.frame.height and member.encoding.encoders:
        encoding = member.encoding
        try:
            made = encoding.transform(held.frame.head(1), notice=False)
            arguments = encoding.arguments(made)
            finish = encoding.finish
            return tuple(arguments if finish is None else finish(arguments))
        except (GlialError, RuntimeError, TypeError, ValueError):
            return _empty(member)
    return _empty(member)


def _empty(run: Run) -> tuple[Any, ...] | None:
    """A row that holds nothing, of the sizes that the network was built for."""
    sizes = run.sizes
    if sizes.get("name") == "custom" or "windows" in sizes or "num_inputs" not in sizes:
        return None
    parts = [torch.zeros(1, *size) for size in sizes.get("images", [])]
    parts += [torch.zeros(1, TOKENS, *size) for size in sizes.get("sequences", [])]
    parts += [torch.ones(1, TOKENS, dtype=torch.int64) for _ in sizes.get("vocabularies", [])]
    cardinalities = sizes.get("cardinalities") or []
    if cardinalities:
        parts = [torch.zeros(1, len(cardinalities), dtype=torch.int64), *parts]
    if sizes["num_inputs"] or cardinalities or not parts:
        parts = [torch.zeros(1, int(sizes["num_inputs"])), *parts]
    return tuple(parts)
