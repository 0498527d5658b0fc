"""Watches every training that happens in this process, and changes nothing of it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from glial.core.memory import used_memory
from glial.doctor.evidence import Evidence
from glial.doctor.journal import Journal
from glial.doctor.probes.rounds import AT_ONCE, RoundProbes
from glial.doctor.watching.by_hand import HandUpdate, weights_behind
from glial.doctor.watching.collapses import Collapses
from glial.doctor.watching.evaluations import Evaluations
from glial.doctor.watching.graphs import Graphs
from glial.doctor.watching.guarding import Faults, Home, guarded
from glial.doctor.watching.hooks import Hooks
from glial.doctor.watching.layers import ACTIVATIONS
from glial.doctor.watching.loaders import LoaderWatch
from glial.doctor.watching.losses import LOSSES, Losses, is_loss, network_of
from glial.doctor.watching.networks import Networks, NetworkWatch, is_network
from glial.doctor.watching.optimizers import Optimizers
from glial.doctor.watching.places import place_of, site_of, user_frame, user_place
from glial.doctor.watching.rounds import Round, Schedule
from glial.doctor.watching.rows import RowStore
from glial.doctor.watching.seeds import Seeds
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, as_answered, tensors_in

PREFLIGHT_SECONDS = 10.0


class Watcher:
    """Sees networks, losses, optimisers and loaders at work, and keeps what it saw as evidence.

    Every round, from one step of the first optimiser to its next, is looked at closely at first,
    then ever fewer.

    Args:
        folder: Where ``evidence.json`` is written while the training runs, and at the end.
        most_steps: Updates after which the training is ended; None lets it run.
        preflight: Whether it is ended as soon as the early tests have been made.
        budget: The share of the time that probes may take.
        floor: Seconds that probes may take in any case.

    Example:
        >>> model, watcher = nn.Linear(2, 1), Watcher()
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> watcher.begin()
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     nn.functional.mse_loss(model(torch.ones(4, 2)), torch.ones(4, 1)).backward()
        ...     optimizer.step()
        >>> evidence = watcher.end()
        >>> evidence.steps, evidence.losses[0].name, len(evidence.models[0].parameters)
        (3, 'mse_loss', 2)
    """

    def __init__(
        self,
        folder: Path | None = None,
        most_steps: int | None = None,
        preflight: bool = False,
        budget: float = 0.1,
        floor: float = 2.0,
    ) -> None:
        self.listens = self.dozes = False
        self._journal = Journal(folder, most_steps, preflight=preflight)
        self._evidence, self._round = Evidence(), Round()
        self._networks, self._losses = Networks(), Losses()
        self._hooks, self._collapses = Hooks(self), Collapses(self._networks)
        self._optimizers = Optimizers(self._networks)
        self._by_hand, self._loaders = HandUpdate(), LoaderWatch(tests=True)
        self._rows = RowStore(self._loaders)
        self._seeds, self._graphs = Seeds(fresh=folder is not None), Graphs()
        self._evaluations, self._schedule = Evaluations(self._rows), Schedule()
        floor, once = (PREFLIGHT_SECONDS,) * 2 if preflight else (floor, AT_ONCE)
        names = self._networks.name
        self._probes = RoundProbes(self._evidence, budget, floor, at_once=once, names=names)
        self._stack: list[nn.Module] = []
        self._called: NetworkWatch | None = None
        self._inner: list[Entry] = []
        self._trained: set[int] = set()
        self._stepping = self._active = self._busy = False
        self._faults, self._passes, self._began = Faults(), 0, 0.0

    def begin(self) -> None:
        """Put the hooks in place."""
        self._active, self._began = True, time.perf_counter()
        self._home = Home()
        self._hooks.put()
        self._loaders.put(self)
        self._seeds.put()
        self._begin_round()

    def end(self) -> Evidence:
        """Take the hooks away; the evidence of the whole."""
        if self._active and self._home.is_process():
            for placed in (self._hooks, self._loaders, self._seeds):
                placed.take_away()
            self.listens = self.dozes = False
            self._probes.end()
            self._networks.end_round()
        # What takes seconds, and libraries of its own, is left to whoever reads the journal.
        evidence = self.evidence(whole=not self._journal.is_kept)
        self._active = False
        self._journal.write(evidence, self._rows)
        return evidence

    def evidence(self, *, whole: bool = False) -> Evidence:
        """What was seen so far.

        Args:
            whole: Whether rows are compared with each other as well, which may take seconds.
        """
        found = self._evidence
        with torch._C.DisableTorchFunction(), torch.no_grad():
            found.seconds = time.perf_counter() - self._began
            found.models = self._networks.seen()
            found.optimizers = [watch.summary() for watch in self._optimizers if watch.is_known]
            found.losses = [watch.summary() for watch in self._losses]
            found.loaders, found.unseeded = self._loaders.seen(), self._seeds.unseeded()
            self._collapses.tell(found)
            if whole:
                found.rows = self._rows.examine()
        return found

    def _mine(self) -> bool:
        """Whether what happens now is to be watched."""
        return self._active and not self._busy and self._home.is_here()

    def _fault(self, where: str, error: Exception) -> None:
        if self._faults.are_too_many(where, error, self._evidence):
            self._active = False
            self._hooks.take_away()

    def function(self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call of one of torch's functions, and note it."""
        try:
            result = call(*args, **kwargs)
        except Exception:
            if self._mine() and is_loss(call):
                self._note_refusal(call, args, kwargs)
            raise
        if self._mine():
            self._note_function(call, args, kwargs, result)
        return result

    @guarded
    def _note_refusal(self, call: Any, args: Any, kwargs: Any) -> None:
        entry = Entry(call, args, kwargs, None, user_place(), self._networks.criterion_at)
        self._losses.refused(entry, self._called, self._step)

    @guarded
    def _note_function(self, call: Any, args: Any, kwargs: Any, result: Any) -> None:
        entry = Entry(call, args, kwargs, result, None)
        name = entry.name
        self._collapses.function(entry, self._round.tape, self._called, self._step)
        if self._stack and self._called is not None:
            if name in ACTIVATIONS:
                self._called.function(self._stack[-1], entry, self._step)
            elif name in LOSSES:
                entry.place = user_place()
                self._inner.append(entry)
            return
        if next(tensors_in(result), None) is None and not entry.writes:
            return
        if self._by_hand.is_used_in(entry):
            self._look_for_update()
        entry.place = user_place()
        if name in LOSSES:
            entry.made_at = self._networks.criterion_at
        self._round.tape.add(entry)
        self._evaluations.note(entry, self._round.tape, self._losses, self._step)

    @guarded
    def enter(self, module: nn.Module) -> None:
        """A module is about to be called."""
        if not self._stack:
            if not is_network(module):
                self._networks.enter_criterion(module)
                return
            if self._look_for_update() and not self.listens:
                return
            self._called = self._networks.of(module, user_frame())
            self._called.begin_call()
        self._stack.append(module)

    @guarded
    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """A module was called."""
        network = self._called
        if network is None or module not in self._stack:
            self._networks.leave_criterion()
            return
        while self._stack.pop() is not module:
            pass  # an exception left it without our knowing
        network.layer(module, args, output, self._step)
        if self._stack:
            return
        frame = user_frame()
        trained = not self._trained.isdisjoint(network.parameters)
        learns = torch.is_grad_enabled() and any(t.requires_grad for t in tensors_in(output))
        if not learns and trained:
            at = place_of(frame), site_of(frame)
            network.asked(args, kwargs, *at, training=module.training)
            network.called(args, kwargs, output, "eval")
            self._evaluations.add(args, kwargs, output, self._round.tape, at[1])
            self._round.tape.add(Entry(as_answered, (output,), {}, output, at[0]))
            if self._evaluations.had_enough and not self._schedule.is_due:
                self._rest()
            return
        if learns:
            self._networks.may_learn(network, (args, kwargs, output), frame)
        self._round.tape.add(Entry(module, args, kwargs, output, place_of(frame)))

    @guarded
    def made(self, made: nn.Module | torch.optim.Optimizer | LRScheduler) -> None:
        """A module, an optimiser or a scheduler is being made."""
        self._networks.made(made, user_place())

    @guarded
    def cleared(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser's gradients are being cleared."""
        if self.listens_to_rounds:
            self._networks.cleared.keep(optimizer, user_place())

    def wake(self) -> None:
        """An evaluation may begin: look, the first times."""
        if self.listens or self._stepping or not self._trained or not self._mine():
            return
        self._look_for_update()
        site, waits = site_of(user_frame()), self._by_hand.is_awaited
        if not waits and self._evaluations.begin(self._evidence.steps, site):
            self._round, self.dozes = Round(), False
            self._alert()

    @guarded
    def before_backward(self, roots: Any) -> None:
        """Gradients are about to be taken: where the loss comes from, and what lies there."""
        root = roots if isinstance(roots, Tensor) else next(tensors_in(roots), None)
        if root is None or not is_plain(root):
            return
        self._look_for_update()
        place = user_place()
        looks = self.listens_to_rounds
        network = network_of(self._round.tape, root, self._networks) if looks else None
        watch = self._losses.at(place, network)
        if watch is None:
            return
        if looks:
            self._networks.learn(self._round.tape, root)
            for optimizer in self._optimizers:
                optimizer.before_backward()
            watch.describe(self._round.tape, root, self._inner, network, self._step)
            self._graphs.mark(root, self._schedule.rounds)
            self._inner = []
            self._round.take(root, watch)
            self._rows.add_round(self._round.tape, root, watch)
            self._collapses.note(self._round.tape, root, self._step)
        watch.value(root, self._step)
        value = watch.seen.value.last
        if not math.isfinite(value) and self._evidence.loss_not_finite is None:
            self._evidence.loss_not_finite = self._step
        self._loaders.used()

    def is_descent(self, inputs: list[Any]) -> bool:
        """Whether gradients with respect to some tensors are those to learn by."""
        return self._mine() and self._by_hand.takes_gradients_of(inputs)

    @guarded
    def after_backward(self, roots: Any, inputs: Any = (), gradients: Any = ()) -> None:
        """Gradients were taken: whose they are. Without an optimiser, an update may follow."""
        looks, update, seen = self.listens_to_rounds, self._by_hand, self._round
        update.give(inputs, gradients)
        for optimizer in self._optimizers if looks else ():
            optimizer.after_backward(user_place())
        self._passes += 1
        if not update.is_possible:
            return
        update.await_change_of(weights_behind(seen.tape, seen.roots) if looks else [])
        watch = self._optimizers.of(update, user_frame()) if update.is_awaited else None
        if watch is not None and looks:
            self._networks.note_bare(update.param_groups[0]["params"], user_frame())
            watch.await_update(update)
        if self._schedule.rounds + 1 >= self._schedule.due:
            self._alert()  # the next round begins where its weights are first used
        self._keep_journal()

    def _look_for_update(self) -> bool:
        """Whether weights were changed by hand since gradients were taken: a step was made."""
        update, watch = self._by_hand, self._optimizers.find(self._by_hand)
        if watch is None or not update.was_made():
            return False
        self._evidence.steps += 1
        watch.was_updated(update, self._evidence.steps, looks=self.listens_to_rounds)
        self._trained |= update.ids
        self._round.steps.append(watch)
        self._end_round()
        self._keep_journal()
        return True

    def before_step(self, optimizer: torch.optim.Optimizer, closure: Any) -> None:
        """An optimiser is about to step; the first thread that does so is the one to watch."""
        if not self._evidence.steps and self._home.is_process():
            self._home = Home()
        self._note_coming_step(optimizer, closure)

    @guarded
    def _note_coming_step(self, optimizer: torch.optim.Optimizer, closure: Any) -> None:
        if self._by_hand.is_possible:
            self._by_hand.is_ruled_out()
            self._optimizers.forget(self._by_hand)
        watch = self._optimizers.of(optimizer, user_frame())
        if watch is None:
            return
        self._trained |= watch.holds
        self._schedule.follow(optimizer)
        self._stepping, self._round.is_stepping = True, bool(closure)
        watch.before_step(self._step, looks=self.listens_to_rounds, closure=bool(closure))

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser stepped, in whichever thread."""
        if not self._active or not self._home.is_process():
            return
        if not self._evidence.stopped:
            self._evidence.steps += 1
            if self.dozes:
                self.dozes = self._optimizers.count(optimizer) and self._schedule.count(optimizer)
                return
            self._note_step(optimizer)
        self._keep_journal()

    def _keep_journal(self) -> None:
        """Write what is due, and stop where that was asked for."""
        counts = self._evidence.steps, self._schedule.rounds, self._passes
        self._journal.keep(self.evidence, self._rows, *counts)

    @guarded
    def _note_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._stepping = False
        watch = self._optimizers.find(optimizer)
        if watch is None:
            return
        watch.after_step(self._evidence.steps, looks=self.listens_to_rounds)
        self._round.steps.append(watch)
        if self._schedule.ends_with(optimizer, self._round.steps.count(watch)):
            if self._schedule.begins_anew:
                self._probes.begin_again(self._schedule.rounds + 1)
            self._end_round()

    @property
    def _step(self) -> int:
        return self._evidence.steps + 1

    @property
    def listens_to_rounds(self) -> bool:
        """Whether this round is looked at from its beginning."""
        return self._hooks.is_alert and self._round.is_close

    def _begin_round(self) -> None:
        self._round = Round()
        self._networks.begin_round()
        self._evaluations.forget()
        self._inner, self._stack = [], []
        self._round.is_close = self._alert()
        if self._round.is_close:
            self._probes.before_round(self._round, self._schedule.rounds)

    def _end_round(self) -> None:
        self._networks.end_round()
        if self.listens_to_rounds:
            self._evidence.sampled += 1
            self._evidence.memory.add(self._evidence.steps, used_memory() / 1e6)
            self._graphs.look(self._evidence, self._round.tape, self._schedule.rounds)
            self._probes.after_round(self._round, self._schedule.rounds, self._evidence.steps)
        seconds = time.perf_counter() - self._began
        watching = self._evidence.watching
        self._schedule.next(watching / max(1e-9, seconds), watching)
        if self._schedule.is_due or self._probes.needs(self._schedule.rounds):
            self._begin_round()
        else:
            self._rest()
            self._round = Round()
            is_exact = self._by_hand.is_possible or self._journal.is_limited
            self.dozes = not is_exact and self._schedule.doze(seconds, self._probes.due)

    def _alert(self) -> bool:
        self.listens = self._hooks.alert()
        return self.listens

    def _rest(self) -> None:
        self._hooks.rest()
        self.listens = False
