"""What the run costs: time, memory, and an estimate of energy that says how it was made."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from glial.nn.summary import evaluating
from glial.reports.blocks import Block, Facts, Section, Text
from glial.reports.numbers import bytes_told, counted, seconds_told, told
from glial.reports.sections.network import example_inputs
from glial.reports.subject import Subject
from glial.runs import Run

# A core of a current processor under load, with its share of the machine, draws about so much;
# the ends are what laptops' and servers' processors draw for each core.
WATTS_PER_CORE = (3.0, 10.0, 20.0)
# Grams of carbon dioxide for each kilowatt-hour: about the world's mean in recent years.
GRID_GRAMS = 480.0
TRIES = 30


def cost(subject: Subject) -> Section:
    """What training and one prediction cost.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> cost(Subject.of(run)).data["energy"]["low_wh"] < 1
        True
    """
    threads = int(subject.environment.get("threads") or torch.get_num_threads())
    energy = energy_of(subject.seconds, threads)
    rate = subject.samples_per_second
    data: dict[str, Any] = {
        "seconds": subject.seconds,
        "samples_per_second": rate,
        "threads": threads,
        "energy": energy,
    }
    says = [
        f"Training took {seconds_told(subject.seconds)} on {counted(threads, 'processor thread')}."
    ]
    facts: list[tuple[str, Any]] = [("Training time", seconds_told(subject.seconds))]
    if rate:
        facts.append(("Rows learnt from in a second", f"{rate:,.0f}"))
    memory = _memory(subject)
    if memory:
        data["memory_bytes"] = memory
        facts.append(("Memory of the training process, at most", bytes_told(memory)))
    if subject.run is not None:
        weights = sum(p.numel() * p.element_size() for p in subject.run.model.parameters())
        data["weights_bytes"] = weights
        facts.append(("Size of the weights", bytes_told(weights)))
        data |= _measured(subject, facts, says)
    told_energy = " to ".join(energy_told(energy[name]) for name in ("low_wh", "high_wh"))
    told_energy = f"{energy_told(energy['wh'])} ({told_energy})"
    facts.append(("Energy of training, estimated", told_energy))
    low, middle, high = WATTS_PER_CORE
    grams = energy["wh"] / 1000 * GRID_GRAMS
    data["co2_grams"] = grams
    blocks: list[Block] = [Facts(facts)]
    blocks.append(
        Text(
            f"Energy was not measured. The estimate is time × threads × {middle:.0f} watts for "
            f"each, and lies between those for {low:.0f} and {high:.0f} watts; it leaves out other "
            f"parts of the machine, graphics processors and all trials before this run. With an "
            f"assumed {GRID_GRAMS:.0f} g of CO2 for each kWh of electricity this would be "
            f"{_grams(grams)} of CO2; where your electricity comes from decides the true figure.",
            "muted",
        )
    )
    return Section("cost", "", says, blocks, data)


def energy_of(seconds: float, threads: int) -> dict[str, float]:
    """What a computation took of electricity, estimated from its time alone, in watt-hours.

    Args:
        seconds: How long it ran.
        threads: On how many threads.

    Returns:
        ``wh``, and ``low_wh`` and ``high_wh``, between which it should lie.

    Example:
        >>> energy_of(3600.0, 2)
        {'low_wh': 6.0, 'wh': 20.0, 'high_wh': 40.0}
    """
    names = ("low_wh", "wh", "high_wh")
    watts = zip(names, WATTS_PER_CORE, strict=True)
    return {name: seconds * threads * each / 3600 for name, each in watts}


def energy_told(watt_hours: float) -> str:
    """An amount of energy, in the unit that suits it.

    Args:
        watt_hours: The amount.

    Example:
        >>> energy_told(0.001), energy_told(2.5), energy_told(1500.0)
        ('1 mWh', '2.5 Wh', '1.5 kWh')
    """
    if watt_hours < 1:
        return f"{1000 * watt_hours:.3g} mWh"
    return f"{watt_hours:.3g} Wh" if watt_hours < 1000 else f"{watt_hours / 1000:.3g} kWh"


def _grams(grams: float) -> str:
    return "less than 0.01 g" if grams < 0.01 else f"{told(grams)} g"


def _memory(subject: Subject) -> float:
    hardware = subject.live.get("hardware") or {}
    seen = [1e6 * value for one in subject.evidence for value in one.memory.values]
    told = hardware.get("memory_bytes") if isinstance(hardware, dict) else None
    return max([*seen, float(told or 0)], default=0.0)


def _measured(subject: Subject, facts: list[tuple[str, Any]], says: list[str]) -> dict[str, Any]:
    """The time of one prediction, measured here."""
    run, frame = subject.run, subject.held.frame
    inputs = example_inputs(subject)
    if run is None or inputs is None:
        return {}
    found: dict[str, Any] = {}
    try:
        found["forward_seconds"] = forward_seconds(subject.members[0], inputs)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return {}
    facts.append(("The network's answer for one row alone", seconds_told(found["forward_seconds"])))
    says.append(f"One answer of the network takes {seconds_told(found['forward_seconds'])} here.")
    if (
        frame is not None
        and frame.height
        and not run.takes_batches
        and subject.task != "translation"
    ):
        begun = time.perf_counter()
        rows = frame.head(1000)
        run.outputs(rows, notice=False)
        found["row_seconds"] = (time.perf_counter() - begun) / rows.height
        name = f"A row of {rows.height:,} that are answered at once, preparation included"
        facts.append((name, seconds_told(found["row_seconds"])))
    return found


def forward_seconds(run: Run, inputs: tuple[Any, ...]) -> float:
    """The median time of a network's answer for one row.

    Args:
        run: A run of one network.
        inputs: The row as the network takes it.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> 0 < forward_seconds(run, (torch.zeros(1, 4),)) < 1
        True
    """
    times = []
    with evaluating(run.model), torch.inference_mode():
        run.model(*inputs)
        ends = time.perf_counter() + 1.0
        for _ in range(TRIES):
            begun = time.perf_counter()
            run.model(*inputs)
            times.append(time.perf_counter() - begun)
            if time.perf_counter() > ends:
                break
    return statistics.median(times)
