"""What went wrong in steps of a training, what was done about it, and how that went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glial.core.findings import Finding

SKIP, HALVE, SPLIT, AGAIN = "skip-batch", "halve-rate", "split-batch", "try-again"
NEAR = 16  # batches that are left out for one fault lie so near to each other

_DONE = {
    SKIP: "the batch was left out",
    HALVE: "the rate was halved for a while",
    SPLIT: "batches are computed in parts since",
    AGAIN: "the step was made again",
    "": "nothing helped",
}
_SEEN = {
    "loss-not-finite": "the loss or a weight was NaN or infinite",
    "loss-spike": "the loss jumped far above what it was before, and stayed higher",
    "out-of-memory": "memory ran out",
}
_DO = {
    SKIP: "look at the rows of the batch: inputs and targets that are not finite, or of a scale "
    "of their own",
    HALVE: "train with the lower rate from the start, or with a limit on the gradient "
    "(train.clip_norm)",
    SPLIT: "compute batches in parts from the start",
    AGAIN: "leave more of the memory to the training; nothing else was lost",
    "": "look at the data first, then train with a rate ten times lower",
}
_SOURCE = {
    "out-of-memory": "PyTorch documentation, FAQ: my model reports out of memory",
}
_USUAL_SOURCE = (
    "Chowdhery et al. (2022), PaLM, arXiv 2204.02311, section 5.1: spikes are met by going back "
    "and leaving batches out"
)


@dataclass(frozen=True)
class Fault:
    """Something that went wrong in a step, and what became of it.

    Attributes:
        problem: ``loss-not-finite``, ``loss-spike`` or ``out-of-memory``.
        remedy: What was done: ``skip-batch``, ``halve-rate``, ``split-batch`` or ``try-again``;
            empty where nothing helped.
        step: The step, from 1.
        epoch: Its epoch, from 1.
        batch: Its batch of the epoch, from 1.
        count: Batches that were left out, or parts that batches are computed in.
        rate: The learning rate there.

    Example:
        >>> Fault("loss-spike", "skip-batch", 7, 1, 7).healed
        True
    """

    problem: str
    remedy: str
    step: int
    epoch: int
    batch: int
    count: int = 1
    rate: float | None = None

    @property
    def healed(self) -> bool:
        """Whether training went on well."""
        return bool(self.remedy)

    @property
    def steps(self) -> range:
        """The steps, from 1, in which what was met may have been seen."""
        return range(self.step, self.step + NEAR * self.count)

    def __str__(self) -> str:
        where = f"step {self.step} (batch {self.batch} of epoch {self.epoch})"
        done = _DONE[self.remedy]
        if self.remedy == SKIP and self.count > 1:
            done = f"{self.count} batches were left out"
        return f"{where}: {_SEEN[self.problem]}; {done}"


def fault_findings(faults: Sequence[Fault], steps: int) -> list[Finding]:
    """What was met in a training, a finding for each problem and what was done about it.

    Args:
        faults: In the order in which they were met.
        steps: Steps of the training.

    Returns:
        Notes; warnings where one batch in a hundred or more was left out, or nothing helped.

    Example:
        >>> [found] = fault_findings([Fault("loss-not-finite", "skip-batch", 7, 1, 7)], 200)
        >>> found.severity, found.since_step, found.evidence["left_out"]
        ('note', 7, 1)
    """
    alike: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults:
        alike.setdefault((fault.problem, fault.remedy), []).append(fault)
    return [_finding(group, steps) for group in alike.values()]


def _finding(group: Sequence[Fault], steps: int) -> Finding:
    first = group[0]
    left_out = sum(fault.count for fault in group) if first.remedy == SKIP else 0
    harms = not first.healed or first.remedy == HALVE or 100 * left_out > steps
    times = f", {len(group)} times in all" if len(group) > 1 else ""
    evidence: dict[str, int | float] = {
        "step": first.step,
        "epoch": first.epoch,
        "batch": first.batch,
        "met": len(group),
        "healed": sum(fault.healed for fault in group),
    }
    if first.remedy == SKIP:
        evidence["left_out"] = left_out
    if first.remedy == SPLIT:
        evidence["parts"] = group[-1].count
    return Finding(
        first.problem,
        "warning" if harms else "note",
        None,
        evidence,
        f"{first}{times}",
        _DO[first.remedy],
        remedy=_remedy(group),
        source=_SOURCE.get(first.problem, _USUAL_SOURCE),
        since_step=first.step,
    )


def _remedy(group: Sequence[Fault]) -> dict[str, Any] | None:
    """What of the plan would have prevented it."""
    last = group[-1]
    if last.remedy == SPLIT:
        return {"set": {"train.accumulate": last.count}}
    if last.remedy in (HALVE, "") and last.rate and last.problem != "out-of-memory":
        return {"set": {"train.lr": last.rate / (2 if last.remedy else 10)}}
    return None
