"""What the loop does about steps that go wrong: back to a good state, and on in another way.

Losses are read back many at a time, so a fault is known some steps late. Then training goes back
to a state that was good and makes the steps again, which gives the same bits, until the step that
went wrong; from there remedies are tried one after the other.
"""

from __future__ import annotations

import gc
import logging
import math
import statistics
import time
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from glial.core.devices import is_out_of_memory
from glial.training.faults import AGAIN, HALVE, NEAR, SKIP, SPLIT, Fault
from glial.training.incidents import Incident, Kept
from glial.training.spikes import FACTOR, LEAST_RECENT, goes_better, is_flooded, spike_limit
from glial.training.state import TrainingState

logger = logging.getLogger(__name__)

WINDOW = 64  # losses that are read back together, and by which a spike is one
FIRST = 16  # losses of which that is so in the first window
SPACE = 400  # a state is held at most this share of the time
CALM = NEAR  # steps after which it is seen how a remedy went
LEAST_CALM = 2  # where the epoch ends before
DAMPED = 100  # steps with half the rate
MOST_SKIPPED = 3  # batches of one fault; of the whole training, this and a tenth


class Recovery:
    """Meets faults of single steps: losses that are not finite, spikes, and a lack of memory.

    A batch is left out, or the rate halved for a while; where memory ran out the step is made
    again. Spikes are met only where training surely goes better for it, in the losses of the same
    batches; otherwise it goes on as if nothing had been tried. What cannot be met, or comes again
    and again, ends the training as it would without.

    Args:
        state: The training's state.
        batches: Batches of an epoch.
        on: Whether anything is done.

    Attributes:
        faults: What was met.
        suspected: Spikes of which it was tried whether training goes better without.

    Source:
        Chowdhery et al. (2022), "PaLM", arXiv 2204.02311, section 5.1.

    Example:
        >>> from glial.data import Batch, TensorBatches
        >>> from glial.training import Descent, Loop, TrainSettings
        >>> model, rows = torch.nn.Linear(1, 1), torch.tensor([[1.0], [2.0], [math.inf], [3.0]])
        >>> squared = lambda outputs, target, weight: (outputs - target).square().mean()
        >>> settings = TrainSettings(epochs=1)
        >>> descent = Descent(model, squared, settings, lr=0.1)
        >>> batches = TensorBatches(Batch((rows,), rows), 1, seed=0)
        >>> loop = Loop(model, descent, batches, settings)
        >>> loop.run(), [fault.remedy for fault in loop.recovery.faults]
        ('epochs', ['skip-batch'])
    """

    def __init__(self, state: TrainingState, batches: int, *, on: bool) -> None:
        self.faults: list[Fault] = []
        self.suspected = 0
        self._state, self._progress, self._on = state, state.progress, on
        self._places = torch.zeros(WINDOW, device=state.device).unbind()
        self._rows: list[int] = []
        self._recent: list[float] = []
        self._limit = math.inf
        self._scale, self._factor = 0.0, FACTOR
        self._suspect: int | None = None
        self._after: list[float] = []
        self._incident: Incident | None = None
        self._good, self._before = Kept(), Kept()
        self._next_hold = 0.0
        self._damped_until, self._damping = 0, 1.0
        self._remedies = [SKIP] if batches != 1 else []
        self._remedies += [HALVE] if hasattr(state.objective, "damp") else []
        self._sees_spikes = getattr(state.objective, "descends", False)
        self._parts = 1

    def begin(self) -> None:
        """Training begins, or goes on from a checkpoint."""
        self._parts = getattr(self._state.objective, "parts", 1)
        if self._on and not self._state.is_finite():
            self._on = False
        if self._on:
            self._hold()

    @property
    def is_settled(self) -> bool:
        """Whether all steps so far are known to be good, so that the state may be saved."""
        return self._incident is None and self._suspect is None

    def prepare(self) -> bool:
        """A step is about to be made; returns whether it is to be."""
        incident, step = self._incident, self._progress.step
        if incident is not None:
            if incident.phase == "replay" and step == incident.start:
                incident.origin = self._keep(Kept())
                self._set_up(incident)
            if step in incident.skipped:
                return False
            if incident.phase != "replay":
                self._before = self._keep(self._before)
        damping = 0.5 if step < self._damped_until else 1.0
        if damping != self._damping:
            self._state.objective.damp(damping)  # type: ignore[attr-defined]
            self._damping = damping
        return True

    def made(self, loss: Tensor, rows: int) -> bool:
        """A step was made; returns whether training goes on from another state."""
        self._places[len(self._rows)].copy_(loss)
        self._rows.append(rows)
        if self._incident is not None:
            return self._go_through(self._incident)
        return (len(self._rows) == WINDOW or self._is_at_mark()) and self.settle()

    def settle(self, *, epoch_ends: bool = False, sure: bool = False) -> bool:
        """Look at the losses since the last look; returns whether to go on from another state.

        Args:
            epoch_ends: Whether the epoch is over.
            sure: Whether weights must be looked at too, as they are to be saved.
        """
        if self._incident is not None:
            return epoch_ends and self._end_epoch(self._incident)
        losses = self._read()
        for step, (loss, rows) in enumerate(losses, self._progress.step - len(losses)):
            if self._on and not math.isfinite(loss):
                return self._start("loss-not-finite")
            if self._suspect is not None:
                self._after.append(loss)
            elif self._on and self._sees_spikes and loss > self._limit:
                self._suspect = step
            self._take(loss, rows)
        if not self._on:
            return False
        if len(self._after) >= CALM or (epoch_ends and len(self._after) >= LEAST_CALM):
            return self._start("loss-spike")
        if epoch_ends:
            self._clear()
        self._set_limit(epoch_ends=epoch_ends)
        parts = getattr(self._state.objective, "parts", 1)
        if parts > self._parts:
            self._parts, sure = parts, True
            self._note("out-of-memory", SPLIT, vars(self._progress), parts)
        if self._suspect is None and (sure or time.monotonic() >= self._next_hold):
            return self._hold()
        return False

    def is_lost(self) -> bool:
        """Whether weights are not finite though no loss said so; training then goes back."""
        if not self._on or self._incident is not None or self._state.is_finite():
            return False
        return self._start("loss-not-finite")

    def leave(self) -> None:
        """Training ends in mid-epoch: with the last state that is known to be good."""
        again = self.settle()
        if not self._on:
            return
        if again or not self.is_settled or not self._state.is_finite():
            self._incident = None
            self._return_to(self._good)

    def meets(self, error: BaseException) -> bool:
        """Whether training goes on, from another state, though a step raised an error."""
        if not self._on or not is_out_of_memory(error):
            return False
        incident, step = self._incident, self._progress.step
        if incident is None:
            remedies = [AGAIN, *(one for one in self._remedies if one == SKIP)]
            self._incident = Incident("out-of-memory", "replay", step, step, remedies)
            return self._return_to(self._good)
        if incident.problem != "out-of-memory" or incident.phase != "attempt":
            return False
        self._try_next(incident)
        return self._on

    def counted(self, epoch: int) -> dict[str, int]:
        """How many faults were met in an epoch, as a column of the history; nothing for none."""
        count = sum(fault.epoch == epoch for fault in self.faults)
        return {"faults": count} if count else {}

    def numbers(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {
            "on": self._on,
            "faults": [asdict(fault) for fault in self.faults],
            "recent": self._recent,
            "limit": None if math.isinf(self._limit) else self._limit,
            "scale": self._scale,
            "factor": self._factor,
            "damped_until": self._damped_until,
        }

    def load(self, numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._on = self._on and numbers["on"]
        self.faults = [Fault(**fault) for fault in numbers["faults"]]
        self._recent = list(numbers["recent"])
        self._limit = math.inf if numbers["limit"] is None else numbers["limit"]
        self._scale, self._factor = numbers["scale"], numbers["factor"]
        self._damped_until = numbers["damped_until"]

    # What the losses say.

    def _read(self) -> list[tuple[float, int]]:
        """The losses that were not looked at yet, read back together, and their rows."""
        count = len(self._rows)
        if not count:
            return []
        losses = torch.stack(self._places[:count]).tolist() if count > 1 else [self._places[0]]
        rows, self._rows = self._rows, []
        return list(zip(map(float, losses), rows, strict=True))

    def _take(self, loss: float, rows: int) -> None:
        self._state.loss += loss * rows
        self._state.rows += rows
        if loss <= self._limit:
            self._recent.append(loss)

    def _is_at_mark(self) -> bool:
        step, batch = self._progress.step, self._progress.batch
        return not batch % WINDOW or (step <= WINDOW and not step % FIRST)

    def _set_limit(self, *, epoch_ends: bool = False) -> None:
        """At fixed places of the epoch, so that it does not matter when losses are read back."""
        if not (self._on and (epoch_ends or self._is_at_mark())):
            return
        self._recent = self._recent[-WINDOW:]
        if not self._scale and len(self._recent) >= LEAST_RECENT:
            self._scale = abs(statistics.median(self._recent))
        self._limit = spike_limit(self._recent, self._factor, self._scale)

    # States.

    def _keep(self, into: Kept) -> Kept:
        held = self._state.hold(into.held)
        return Kept(held, [*self._recent], self._limit, self._damped_until)

    def _return_to(self, kept: Kept) -> bool:
        self._state.put_back(kept.held)
        self._recent, self._limit = [*kept.recent], kept.limit
        self._damped_until = kept.damped_until
        self._rows = []
        self._clear()
        return True

    def _clear(self) -> None:
        self._suspect, self._after = None, []

    def _hold(self) -> bool:
        """Hold the state to go back to; returns whether to go on from another: it is not good."""
        begin = time.monotonic()
        if not self._state.is_finite():
            return self._start("loss-not-finite")
        self._good = self._keep(self._good)
        now = time.monotonic()
        self._next_hold = now + SPACE * (now - begin)
        return False

    # Faults.

    def _start(self, problem: str) -> bool:
        """Go back to a good state, to find the step that went wrong, or to make it otherwise."""
        now = self._progress.step
        if self._suspect is None:
            self._incident = Incident(problem, "search", -1, now, [*self._remedies])
        else:
            self.suspected += 1
            lost = problem == "loss-not-finite"
            after = self._after + [math.inf] * (CALM if lost else 0)
            incident = Incident("loss-spike", "replay", self._suspect, now, [*self._remedies])
            incident.after = after[: max(CALM, len(self._after))]
            if not lost:
                incident.present = self._keep(Kept())
            self._incident = incident
        return self._return_to(self._good)

    def _go_through(self, incident: Incident) -> bool:
        """A step of an incident was made; returns whether to go on from another state."""
        step = self._progress.step - 1
        [(loss, rows)] = self._read()
        replays = incident.phase == "replay"
        bad = not replays and not (math.isfinite(loss) and self._state.is_finite())
        if bad and incident.phase == "search":
            incident.start, incident.phase = step, "attempt"
            incident.origin, self._before = self._before, Kept()
            left_out = sum(fault.count for fault in self.faults if fault.remedy == SKIP)
            if left_out > MOST_SKIPPED + 0.1 * step:
                incident.remedies = []
            return self._try_next(incident)
        leaps = incident.problem == "loss-spike" and loss > self._limit and step > incident.start
        skips = incident.phase == "attempt" and incident.remedy == SKIP
        if (bad or leaps) and skips and len(incident.skipped) < MOST_SKIPPED:
            incident.skipped.add(step)
            incident.calm = 0
            return self._return_to(self._before)
        if bad or (leaps and skips):
            return self._try_next(incident)
        self._take(loss, rows)
        self._set_limit()
        if incident.phase == "search" and self._progress.step >= incident.until:
            incident.start, incident.remedies, incident.number = incident.until - 1, [AGAIN], 0
            return self._resolve(incident)
        if incident.phase != "attempt":
            return False
        incident.found[step] = loss
        incident.calm += 1
        return self._is_over(incident) and self._judge(incident)

    def _is_over(self, incident: Incident) -> bool:
        if incident.problem == "out-of-memory":
            return True
        if incident.problem == "loss-spike":
            return self._progress.step > incident.start + len(incident.after)
        return incident.calm >= CALM

    def _end_epoch(self, incident: Incident) -> bool:
        """The epoch ends in the middle of an incident."""
        self._set_limit(epoch_ends=True)
        return incident.phase == "attempt" and self._judge(incident)

    def _judge(self, incident: Incident) -> bool:
        """See how a remedy went; returns whether to go on from another state."""
        if incident.problem == "loss-spike":
            after = dict(enumerate(incident.after, incident.start + 1))
            both = [step for step in after if step in incident.found]
            without, with_ = [incident.found[n] for n in both], [after[n] for n in both]
            calm = bool(both) and without[-1] <= self._limit
            stalled = incident.present is not None and is_flooded(
                incident.origin.held.tensors, incident.present.held.tensors
            )
            recent = incident.origin.recent
            if not (calm and goes_better(without, with_, recent, stalled=stalled)):
                return self._try_next(incident)
        return self._resolve(incident)

    def _set_up(self, incident: Incident) -> None:
        """The next remedy, from the state before the step that went wrong."""
        incident.phase, incident.calm, incident.found = "attempt", 0, {}
        incident.number += 1
        incident.skipped = {incident.start} if incident.remedy == SKIP else set()
        if incident.remedy == HALVE:
            self._damped_until = incident.start + DAMPED
        if incident.remedy == AGAIN:
            gc.collect()
            if torch.accelerator.is_available():
                torch.accelerator.empty_cache()

    def _try_next(self, incident: Incident) -> bool:
        """Go back to before the step that went wrong, for the next remedy."""
        self._return_to(incident.origin)
        self._set_up(incident)
        return True if incident.remedy else self._give_up(incident)

    def _give_up(self, incident: Incident) -> bool:
        """Nothing helped: training goes on as if nothing had been tried."""
        self._incident = None
        if incident.present is not None:
            self._return_to(incident.present)
            self._factor *= 2
            self._hold()
        else:
            self._note(incident.problem, "", self._progress_at(incident))
            self._on = False
        return True

    def _resolve(self, incident: Incident) -> bool:
        """A remedy helped: training goes on from here."""
        count = max(1, len(incident.skipped))
        self._note(incident.problem, incident.remedy, self._progress_at(incident), count)
        self._incident = None
        return self._hold()

    def _progress_at(self, incident: Incident) -> dict[str, Any]:
        """Where training stood before the step that went wrong."""
        return incident.origin.held.progress or vars(self._progress)

    def _note(self, problem: str, remedy: str, at: dict[str, Any], count: int = 1) -> None:
        place = (at["step"] + 1, at["epoch"] + 1, at["batch"] + 1)
        rate = self._state.objective.rate() / self._damping
        self.faults.append(Fault(problem, remedy, *place, count, rate))
        logger.warning("%s", self.faults[-1])
