"""What a remedy is given: a finding, what was seen, and the source that it was seen of."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from glial.core.findings import Finding, Place
from glial.doctor.evidence import (
    Evidence,
    LayerSeen,
    LoaderSeen,
    LossSeen,
    ModelSeen,
    OptimizerSeen,
)
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Source, last_name
from glial.doctor.remedies.program.sources import Sources

_PARAMETERS = ("parameters", "named_parameters")


@dataclass(frozen=True)
class Found:
    """A piece of source, and the file it stands in."""

    source: Source
    node: ast.AST

    @property
    def code(self) -> str:
        """Its text."""
        return self.source.code(self.node)


@dataclass(frozen=True)
class Case:
    """One finding that is to be mended in the source.

    Attributes:
        finding: It.
        evidence: What was seen of the training.
        sources: The program's files.

    Example:
        >>> finding = Finding("missing-step", "error", None, {}, "It.", "Do.")
        >>> Case(finding, Evidence(), Sources()).model is None
        True
    """

    finding: Finding
    evidence: Evidence
    sources: Sources = field(default_factory=Sources)

    # -- what the finding is about

    @cached_property
    def model(self) -> ModelSeen | None:
        """The network: the one that the finding names, else the largest that is trained."""
        where = self.finding.where or ""
        for model in self.evidence.models:
            if where == model.name or where.startswith(f"{model.name}."):
                return model
        if where and (held := [m for m in self.evidence.models if self._layer_in(m)]):
            return held[0]
        trained = [m for m in self.evidence.models if m.calls.get("train")]
        return max(trained or self.evidence.models, key=lambda m: m.size, default=None)

    @property
    def path(self) -> str:
        """Where in the network the finding is, as in ``named_modules()``; "" for the whole."""
        where, model = self.finding.where or "", self.model
        if model is not None and where == model.name:
            return ""
        if model is not None and where.startswith(f"{model.name}."):
            return where.removeprefix(f"{model.name}.")
        return where

    @cached_property
    def layer(self) -> LayerSeen | None:
        """The layer that the finding is about; None where it is about none."""
        return None if self.model is None else self._layer_in(self.model)

    def _layer_in(self, model: ModelSeen) -> LayerSeen | None:
        where = (self.finding.where or "").removeprefix(f"{model.name}.")
        return next((layer for layer in model.layers if layer.name == where), None)

    @cached_property
    def optimizer(self) -> OptimizerSeen | None:
        """The optimiser that the finding names, or that of its network, else the busiest."""
        seen, at = self.evidence.optimizers, self.finding.at
        if at is not None and (near := [o for o in seen if at in (o.at, o.made_at)]):
            seen = near
        named = [o for o in seen if o.name == self.finding.where]
        of_model = [o for o in seen if self.model is not None and o.model == self.model.name]
        return max(named or of_model or seen, key=lambda o: o.steps, default=None)

    @cached_property
    def loss(self) -> LossSeen | None:
        """The loss: the one at the finding's line, or that of its network, else the first."""
        at = self.finding.at
        near = [x for x in self.evidence.losses if at is not None and at in (x.at, x.made_at)]
        of_model = [
            x for x in self.evidence.losses if self.model is not None and x.model == self.model.name
        ]
        return next(iter(near or of_model or self.evidence.losses), None)

    @cached_property
    def loader(self) -> LoaderSeen | None:
        """The loader that training reads from."""
        return next((x for x in self.evidence.loaders if x.training), None)

    # -- where that stands in the source

    @cached_property
    def files(self) -> list[Source]:
        """The program's files that something was seen to happen in."""
        seen = self.evidence
        places = [self.finding.at]
        places += [p for o in seen.optimizers for p in (o.made_at, o.at, o.scheduler_at)]
        places += [p for x in seen.losses for p in (x.at, x.made_at, x.backward_at)]
        places += [p for m in seen.models for p in (m.at, *(layer.at for layer in m.layers))]
        places += [loader.at for loader in seen.loaders]
        found = [self.sources.of(place) for place in dict.fromkeys(places)]
        return list({one.path: one for one in found if one is not None}.values())

    def call(self, place: Place | None, *names: str) -> Found | None:
        """The innermost call of one of some names that holds a line."""
        return next(self.calls(place, *names), None)

    def calls(self, place: Place | None, *names: str) -> Iterator[Found]:
        """Calls of some names (of all without) that hold a line, the innermost first."""
        source = self.sources.of(place)
        if source is not None and place is not None:
            for call in source.calls_at(place.line, *names):
                yield Found(source, call)

    def statement(self, place: Place | None) -> Found | None:
        """The innermost statement that holds a line."""
        source = self.sources.of(place)
        if source is None or place is None:
            return None
        found = source.statements_at(place.line)
        return Found(source, found[0]) if found else None

    @property
    def optimizer_call(self) -> Found | None:
        """Where the optimiser is made, whatever its class is called there."""
        return None if self.optimizer is None else self.making_of(self.optimizer)

    def making_of(self, optimizer: OptimizerSeen) -> Found | None:
        """The call that makes an optimiser, whatever its class is called there."""
        named = self.call(optimizer.made_at, optimizer.kind)
        return named or next(
            (
                one
                for one in self.calls(optimizer.made_at)
                if isinstance(one.node, ast.Call) and _is_given_parameters(one.node)
            ),
            None,
        )

    @property
    def step(self) -> Found | None:
        """Where the optimiser steps: the call of ``step``."""
        seen = self.optimizer
        return None if seen is None else self.call(seen.at, "step")

    @property
    def backward(self) -> Found | None:
        """Where gradients are taken: the call of ``backward``."""
        place = self.loss.backward_at if self.loss else None
        place = place or (self.optimizer.backward_at if self.optimizer else None)
        return self.call(place, "backward")

    @property
    def loss_call(self) -> Found | None:
        """Where the loss is computed: a call that is given outputs and targets."""
        seen = self.loss
        if seen is None:
            return None
        found = [
            one
            for one in self.calls(seen.at)
            if isinstance(one.node, ast.Call) and len(one.node.args) + len(one.node.keywords) > 1
        ]
        named = [one for one in found if last_name(getattr(one.node, "func", None)) == seen.name]
        if not named and seen.name != "hand-written":
            found.reverse()  # a module is given what other calls made: it stands outside of them
        return next(iter(named or found), None)

    @property
    def loss_statement(self) -> Found | None:
        """Where the loss is computed, also one that is only known by its gradient being taken."""
        found = self.statement(self.loss.at if self.loss is not None else None)
        value = getattr(found.node, "value", None) if found is not None else None
        if found is None or not isinstance(value, ast.Call) or last_name(value.func) != "backward":
            return found
        return _computed(found.source, value) or found

    @property
    def descended(self) -> Found | None:
        """Where what the gradient is taken of is assigned last: ``loss = ...``."""
        found = self.backward
        call = found.node if found is not None else None
        return _computed(found.source, call) if found and isinstance(call, ast.Call) else None

    @property
    def loss_module(self) -> Found | None:
        """Where the loss was made, if it is a module: of several made in one line, its own."""
        if self.loss is None:
            return None
        found = list(self.calls(self.loss.made_at))
        names = [last_name(getattr(one.node, "func", None)) for one in found]
        own = [x for x, name in zip(found, names, strict=True) if _is_loss(name, self.loss.name)]
        several = [x for x, name in zip(found, names, strict=True) if name.endswith("Loss")]
        return next(iter(own or several or found), None)

    @property
    def layer_call(self) -> Found | None:
        """Where the layer was made."""
        return None if self.layer is None else self.maker(self.layer)

    def maker(self, layer: LayerSeen) -> Found | None:
        """Where a layer was made, or, of a function, where it is called."""
        found = list(self.calls(layer.at, layer.kind, layer.kind.lower()))
        found.sort(key=lambda one: one.source.span(one.node))
        above, _, last = layer.name.rpartition(".")
        placed = [one for one in found if str(one.source.index(one.node)) == last]
        if len(found) < 2 or placed:
            return next(iter(placed or found), None)
        alike = [
            other.name
            for model in self.evidence.models
            for other in model.layers
            if (other.at, other.kind, other.name.rpartition(".")[0])
            == (layer.at, layer.kind, above)
        ]
        several = len(alike) == len(found) and layer.name in alike
        return found[alike.index(layer.name) if several else 0]


def _computed(source: Source, backward: ast.Call) -> Found | None:
    """The last assignment, in its function, of what a call of ``backward`` is made of."""
    owner = getattr(backward.func, "value", None)
    before = [
        one
        for one in source.assignments(source.code(owner) if owner is not None else "")
        if isinstance(one, ast.Assign)
        and one.lineno <= backward.lineno
        and source.function_of(one) is source.function_of(backward)
    ]
    return Found(source, before[-1]) if before else None


def _is_given_parameters(call: ast.Call) -> bool:
    """Whether a call's first argument is that of an optimiser: ``net.parameters()``."""
    first = call.args[0] if call.args else None
    return isinstance(first, ast.Call) and last_name(first.func) in _PARAMETERS


Remedy = Callable[[Case], Iterator[Change]]


_MODULES = {
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
}


def _is_loss(module: str, function: str) -> bool:
    """Whether a class is torch's module of a loss function.

    Example:
        >>> _is_loss("MSELoss", "mse_loss"), _is_loss("NLLLoss", "mse_loss")
        (True, False)
    """
    plain = function.replace("_", "").removesuffix("loss")
    named = _MODULES.get(function, f"{plain}loss").lower()
    return module.lower() == named
