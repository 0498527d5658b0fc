"""Networks: which there are, how they are called, and what their inputs and outputs are."""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from glial.core.findings import Place
from glial.doctor.evidence import AskedSeen, LayerSeen, ModelSeen, ParameterSeen, Phase
from glial.doctor.watching.layers import (
    MOST_LAYERS,
    LayerWatch,
    settings_of,
    settings_of_call,
    stale_share,
)
from glial.doctor.watching.parameters import describe_parameter, equal_units
from glial.doctor.watching.places import Places, Site, name_of, place_of, site_of, user_place
from glial.doctor.watching.statistics import Gathered, is_plain
from glial.doctor.watching.tape import Entry, Tape, tensors_in

_MODES_MATTER = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
CALLS_A_ROUND = 2
MOST_FUNCTIONS = 20
MOST_SITES = 4
MOST_MAKERS = 4
MOST_WAITING = 8

Call = tuple[Any, Any, Any]
Makers = list[tuple[str, str]]


def is_network(module: nn.Module) -> bool:
    """Whether a module has parameters, so that it is watched as a network.

    Example:
        >>> is_network(nn.Linear(1, 1)), is_network(nn.ReLU())
        (True, False)
    """
    return next(module.parameters(), None) is not None


def mode_matters(model: nn.Module) -> bool:
    """Whether a network works otherwise in evaluation mode.

    Example:
        >>> mode_matters(nn.Dropout(0.5)), mode_matters(nn.Dropout(0.0))
        (True, False)
    """
    for module in model.modules():
        if isinstance(module, _MODES_MATTER) and getattr(module, "track_running_stats", False):
            return True
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            return True
        dropout = getattr(module, "dropout", 0.0)
        if isinstance(dropout, float) and dropout > 0:
            return True
    return False


class NetworkWatch:
    """One network that the user's code calls.

    Args:
        model: It.
        name: What it is called.
        places: Where modules were made.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> watch = NetworkWatch(model, "net", Places())
        >>> [parameter.name for parameter in watch.seen.parameters]
        ['0.weight', '0.bias']
    """

    def __init__(self, model: nn.Module, name: str, places: Places) -> None:
        self.model = weakref.ref(model)
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.places = {path: places.get(module) for path, module in model.named_modules()}
        self.seen = ModelSeen(name=name, kind=type(model).__name__)
        self.parameters: dict[int, ParameterSeen] = {}
        self._describe_parameters(model)
        self.seen.size = sum(value.numel() for value in model.parameters())
        self.seen.at = self.places.get("")
        self.seen.mode_matters = mode_matters(model)
        self.seen.compiled = hasattr(model, "_orig_mod")
        self.layers: dict[str, LayerSeen] = {}
        self._measures = LayerWatch()
        self._inputs: dict[Phase, list[Gathered]] = {"train": [], "eval": []}
        self._outputs: dict[Phase, Gathered] = {"train": Gathered(), "eval": Gathered()}
        self._asked: dict[Site, tuple[Place | None, Gathered]] = {}
        self._calls: dict[str, int] = {}
        self._functions: dict[str, int] = {}
        self._made: dict[int, tuple[weakref.ref[Tensor], Makers]] = {}
        self.last_layer: tuple[str, str] | None = None

    def _describe_parameters(self, model: nn.Module) -> None:
        """Describe those that are new: a library may make a network's weights after it."""
        old, self.parameters = self.parameters, {}
        for path, value in model.named_parameters():
            kept = old.get(id(value)) or describe_parameter(path, value)
            kept.at = kept.at or self.places.get(kept.layer)
            self.parameters[id(value)] = kept
        self.seen.parameters = list(self.parameters.values())

    def begin_round(self) -> None:
        """Layers are measured anew."""
        self._calls.clear()
        self._made.clear()

    def begin_call(self) -> None:
        """It is about to be called from outside."""
        self._functions.clear()
        model = self.model()
        if model is not None and not self._calls:
            self._describe_parameters(model)

    def layer(self, module: nn.Module, inputs: Any, output: Any, step: int) -> None:
        """One of its layers was called."""
        path = self.paths.get(id(module))
        if path is None or next(module.children(), None) is not None:
            return
        self._measure(path, type(module).__name__, self.places.get(path), inputs, output, step)
        layer = self.layers.get(path)
        if layer is not None:
            layer.training = module.training
            layer.settings = layer.settings or settings_of(module)
            stale = stale_share(module, inputs) if self._calls[path] == 1 else None
            if stale is not None:
                layer.stale.add(step, stale)

    def function(self, module: nn.Module, entry: Entry, step: int) -> None:
        """One of its modules called a function that works as a layer."""
        path, name = self.paths.get(id(module)), entry.name
        if path is None or type(module).__module__.startswith("torch.nn"):
            return
        stem = f"{path}:{name}".lstrip(":")
        number = self._functions.get(stem, 0)
        self._functions[stem] = number + 1
        if number >= MOST_FUNCTIONS:
            return
        path = f"{stem}{number or ''}"
        self._measure(path, name.rstrip("_"), user_place(), entry.args, entry.result, step)
        if path in self.layers:
            self.layers[path].settings = settings_of_call(entry)

    def _measure(
        self, path: str, kind: str, place: Place | None, inputs: Any, output: Any, step: int
    ) -> None:
        calls = self._calls.get(path, 0)
        self._calls[path] = calls + 1
        before = self.makers(next(tensors_in(inputs), None))
        makers = [(path, kind), *before][:MOST_MAKERS]
        self._made |= {id(value): (weakref.ref(value), makers) for value in tensors_in(output)}
        if calls >= CALLS_A_ROUND:
            return
        layer = self.layers.get(path)
        if layer is None:
            if len(self.layers) >= MOST_LAYERS:
                return
            layer = self.layers[path] = LayerSeen(path, kind, len(self.layers), at=place)
        layer.after = before[0][0] if before else None
        layer.history = [list(maker) for maker in before]
        self._measures.measure(layer, inputs, output, step)

    def makers(self, value: Tensor | None) -> Makers:
        """Path and kind of the layers that made a tensor, the last first; none known of others."""
        # Identities are used again, so what is meant must still be there.
        made, makers = self._made.get(id(value), (None, []))
        return makers if made is not None and made() is value else []

    def asked(
        self, args: Any, kwargs: Any, place: Place | None, site: Site, *, training: bool
    ) -> None:
        """The network was called from outside, in a mode, and does not learn from it."""
        seen, model = self.seen, self.model()
        given = next((value for value in tensors_in((args, kwargs)) if is_plain(value)), None)
        if model is None:
            return
        seen.eval_at = place or seen.eval_at
        seen.training_mode_eval += training
        if given is None:
            return
        if given.dim():
            sizes = [*seen.eval_sizes, len(given)]
            seen.eval_sizes = [min(sizes), max(sizes)]
        if site in self._asked or len(self._asked) < MOST_SITES:
            self._asked.setdefault(site, (place, Gathered()))[1].add(given)

    def called(self, args: Any, kwargs: Any, output: Any, phase: Phase) -> None:
        """The network was called from outside."""
        model, seen = self.model(), self.seen
        if model is None:
            return
        seen.calls[phase] = seen.calls.get(phase, 0) + 1
        inputs = [value for value in tensors_in((args, kwargs)) if is_plain(value)]
        if phase == "train":
            seen.eval_mode_training += not model.training
        held = self._inputs[phase]
        for number, value in enumerate(inputs[:4]):
            if number == len(held):
                held.append(Gathered())
            held[number].add(value)
        outputs = [value for value in tensors_in(output) if is_plain(value)]
        if outputs:
            self._outputs[phase].add(outputs[0])
            self.last_layer = next(iter(self.makers(outputs[0])), None)

    def summary(self) -> ModelSeen:
        """What was seen so far."""
        seen, model = self.seen, self.model()
        seen.layers = list(self.layers.values())
        seen.asked = [AskedSeen(place, given.seen()) for place, given in self._asked.values()]
        for phase in ("train", "eval"):
            if self._inputs[phase]:
                seen.inputs[phase] = [gathered.seen() for gathered in self._inputs[phase]]
                seen.outputs[phase] = self._outputs[phase].seen()
        if model is not None:
            for value in model.parameters():
                kept = self.parameters.get(id(value))
                if kept is not None and is_plain(value):
                    kept.equal_units_last = equal_units(value)
        return seen


class Bare(nn.Module):
    """Stands for the network where weights are tensors that no module holds."""


class Networks:
    """All networks that were called, by identity.

    Attributes:
        places: Where modules and optimisers were made.
        schedules: Where the scheduler of an optimiser was made.
        cleared: Where an optimiser's gradients were last cleared.
        criterion_at: Where the module without weights that is being called by itself was made.

    Example:
        >>> networks = Networks()
        >>> model = nn.Linear(1, 1)
        >>> networks.of(model, None) is networks.of(model, None)
        True
    """

    def __init__(self) -> None:
        self.places = Places()
        self.schedules = Places()
        self.cleared = Places()
        self.criterion_at: Place | None = None
        self._watches: dict[int, NetworkWatch] = {}
        self._stand_in = Bare()
        self._bare = NetworkWatch(self._stand_in, "weights", self.places)
        self._gone: list[ModelSeen] = []
        self._waiting: list[tuple[NetworkWatch, Call, Place | None, Site]] = []

    def of(self, model: nn.Module, frame: FrameType | None) -> NetworkWatch:
        """What watches a network; it is named after the variable that holds it."""
        watch = self._watches.get(id(model))
        if watch is not None and watch.model() is model:
            return watch
        if watch is not None:
            self._gone.append(watch.summary())
        name = name_of(model, frame) or type(model).__name__
        taken = {other.seen.name for other in self._watches.values()}
        number, free = 2, name
        while free in taken:
            free, number = f"{name}-{number}", number + 1
        watch = NetworkWatch(model, free, self.places)
        watch.seen.at = watch.seen.at or place_of(frame)
        self._watches[id(model)] = watch
        return watch

    def name(self, model: nn.Module) -> str | None:
        """What a network is called; None of one that is not watched."""
        watch = self._watches.get(id(model))
        return watch.seen.name if watch is not None and watch.model() is model else None

    def note_bare(self, weights: list[Tensor], frame: FrameType | None) -> None:
        """Weights are learnt; those that no network has are named after their variables."""
        new = [weight for weight in weights if self.find(weight) is None]
        held, seen = self._bare.parameters, self._bare.seen
        if held or new:
            seen.calls["train"] = seen.calls.get("train", 0) + 1
        if not new:
            return
        self._watches[id(self._bare.model())] = self._bare
        for weight in new:
            name = name_of(weight, frame) or f"weight{len(held)}"
            held[id(weight)] = describe_parameter(name, weight)
        seen.parameters = list(held.values())
        seen.size += sum(weight.numel() for weight in new)
        seen.at = seen.at or place_of(frame)

    def made(
        self, made: nn.Module | torch.optim.Optimizer | LRScheduler, place: Place | None
    ) -> None:
        """A module, an optimiser or a scheduler is being made."""
        if isinstance(made, LRScheduler):
            self.schedules.keep(made.optimizer, place)
        else:
            self.places.keep(made, place)

    def enter_criterion(self, module: nn.Module) -> None:
        """A module without weights is called by itself."""
        self.criterion_at = self.places.get(module)

    def leave_criterion(self) -> None:
        """It was called."""
        self.criterion_at = None

    def find(self, parameter: Tensor) -> ParameterSeen | None:
        """What was seen of a parameter, whichever network has it."""
        for watch in self._watches.values():
            seen = watch.parameters.get(id(parameter))
            if seen is not None and watch.model() is not None:  # a number may be used again
                return seen
        return None

    def owner(self, parameters: list[Tensor]) -> str | None:
        """The network that has most of some parameters."""
        known = {id(parameter) for parameter in parameters}
        best, most = None, 0
        for watch in self._watches.values():
            shared = len(known & set(watch.parameters))
            if shared > most and watch.model() is not None:
                best, most = watch.seen.name, shared
        return best

    def may_learn(self, watch: NetworkWatch, call: Call, frame: FrameType | None) -> None:
        """A network was called with gradients switched on: it learns, or was not told otherwise.

        Args:
            watch: What watches it.
            call: Its arguments, by place and by name, and what it gave.
            frame: The user's frame that calls it.
        """
        model = watch.model()
        if model is None or model.training or not watch.seen.calls:
            self._learn(watch, call, place_of(frame))
            return
        self._waiting.append((watch, call, place_of(frame), site_of(frame)))
        if len(self._waiting) > MOST_WAITING:
            self.end_round()  # an evaluation with gradients switched on: nobody's memory is held

    def learn(self, tape: Tape, root: Tensor) -> None:
        """Gradients of a number are about to be taken: what it was computed from learns."""
        if not self._waiting:
            return
        behind = {id(entry.result) for entry in tape.slice_to(root)}
        waiting, self._waiting = self._waiting, []
        for watch, call, place, site in waiting:
            if id(call[2]) in behind:
                self._learn(watch, call, place)
            else:
                self._waiting.append((watch, call, place, site))

    def _learn(self, watch: NetworkWatch, call: Call, place: Place | None) -> None:
        watch.called(*call, "train")
        watch.seen.train_at = place or watch.seen.train_at
        given = next(tensors_in(call[0]), None)
        others = [other for other in self._watches.values() if other is not watch]
        found = next(([o.seen.name, made[0][0]] for o in others if (made := o.makers(given))), [])
        first = watch.seen.calls["train"] == 1
        watch.seen.follows = found if first or watch.seen.follows == found else []

    def end_round(self) -> None:
        """What was called in evaluation mode, and did not learn since, was evaluated."""
        for watch, call, place, site in self._waiting:
            watch.asked(*call[:2], place, site, training=False)
            watch.called(*call, "eval")
        self._waiting.clear()

    def begin_round(self) -> None:
        """A round begins that is looked at."""
        for watch in self._watches.values():
            watch.begin_round()

    def seen(self) -> list[ModelSeen]:
        """What was seen of each, the ones that are gone first."""
        return [*self._gone, *(watch.summary() for watch in self._watches.values())]
