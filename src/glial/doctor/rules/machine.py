"""The machine: waiting for data, memory, number formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LoaderSeen
from glial.doctor.measures import main_loss, suffers, trained_models
from glial.doctor.rules.outputs import wrong_output_width

OLD = 4  # of the losses looked at last, whose graphs a loop may well hold
_LOW = ("float16", "bfloat16")


def data_stall(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Training waits for batches most of the time."""
    lines: dict[str, list[LoaderSeen]] = {}
    for loader in evidence.loaders:  # one that is made anew each epoch is told once
        if loader.training:
            lines.setdefault(str(loader.at), []).append(loader)
    for loaders in lines.values():
        loader, wait = loaders[0], sum(loader.wait for loader in loaders)
        total = wait + sum(loader.work for loader in loaders)
        if total > 2 and wait > 0.6 * total / sensitivity:
            yield Finding(
                "data-stall",
                "warning" if wait > 0.75 * total and total > 4 else "note",
                None,
                {"share_of_time_waiting": wait / total, "workers": loader.workers},
                f"training waits for {loader.name} {wait / total:.0%} of the time",
                "use more workers, or prepare the data once and keep it in memory",
                at=loader.at,
                source="Mohan et al. (2021), on data stalls in training, VLDB",
            )


def memory_growth(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Memory that grows step by step, or graphs of old losses that are kept."""
    kept, loss = evidence.graphs.last, main_loss(evidence)
    if kept >= 10 / sensitivity and kept >= 0.9 * (evidence.graphs_marked - OLD):
        yield Finding(
            "memory-growth",
            "warning",
            None,
            {"graphs_kept": kept, "graphs_looked_at": evidence.graphs_marked},
            f"the graphs of {kept:.0f} of {evidence.graphs_marked} losses that were looked at "
            "still exist: something that was computed from every loss is kept",
            "keep numbers, not graphs: use loss.item() or loss.detach() in what you collect",
            at=evidence.graphs_at or (loss.backward_at if loss else None),
            since_step=int(evidence.graphs.steps[0]),
            source="PyTorch documentation, FAQ: my model reports out of memory",
        )
        return
    series = evidence.memory
    if len(series) < 20 or evidence.steps < 200:
        return
    late = [(step, value) for step, value in series if step > 0.3 * evidence.steps]
    if len(late) < 6:
        return
    growth = late[-1][1] - late[0][1]
    rising = sum(b[1] > a[1] for a, b in pairwise(late)) / (len(late) - 1)
    if growth > 50 / sensitivity and growth > 0.1 * late[0][1] and rising > 0.7:
        yield Finding(
            "memory-growth",
            "warning",
            None,
            {"megabytes": growth, "steps": late[-1][0] - late[0][0]},
            f"memory grew by {growth:.0f} MB over {late[-1][0] - late[0][0]} steps",
            "keep numbers, not graphs: use loss.item() or loss.detach() in what you collect",
            since_step=late[0][0],
            source="PyTorch documentation, FAQ: my model reports out of memory",
        )


def out_of_memory(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """The machine ran out of memory."""
    text = evidence.error or ""
    if evidence.ended in ("OutOfMemoryError", "MemoryError") or "out of memory" in text.lower():
        yield Finding(
            "out-of-memory",
            "error",
            None,
            {"steps": evidence.steps},
            "the training ended because memory ran out",
            "use smaller batches with accumulation, lower precision or checkpointed activations",
            at=evidence.error_at,
            since_step=evidence.steps + 1,
            source="PyTorch documentation, torch.cuda memory management",
        )


def low_precision(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Updates that are rounded away in the number format of the weights."""
    for model in trained_models(evidence):
        for parameter in model.parameters:
            if parameter.dtype not in _LOW or len(parameter.update) < 5:
                continue
            still = sum(value == 0 for value in parameter.update.values) / len(parameter.update)
            pulled = sum(value > 0 for value in parameter.gradient.values)
            if (still > 0.5 / sensitivity and pulled >= 5) or suffers(evidence):
                yield Finding(
                    "low-precision",
                    "warning",
                    parameter.layer or model.name,
                    {"share_of_steps_without_change": still},
                    f"{parameter.name} is kept in {parameter.dtype}, where small updates round to "
                    "nothing",
                    "keep weights in float32 and use autocast for the forward pass",
                    at=parameter.at,
                    source="Micikevicius et al. (2018), Mixed precision training",
                )
                return


def failed_call(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """What the message of the error that ended the script says of its cause."""
    text = evidence.error or ""
    width = re.search(r"Target (-?\d+) is out of bounds", text)
    if width and not any(wrong_output_width(evidence, sensitivity)):
        yield Finding(
            "wrong-output-width",
            "error",
            None,
            {"target": int(width[1])},
            f"there is a class {width[1]}, and the last layer has no output for it",
            "give the last layer an output for each class, numbered from 0",
            at=evidence.error_at,
            since_step=evidence.steps + 1,
            source="PyTorch documentation, cross_entropy",
        )
