"""How training went: losses, score, rate, and the learning signal layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from glial import charts
from glial.doctor.evidence import Evidence, ModelSeen
from glial.reports.blocks import Block, Chart, Fold, Grid, Section, Table, Text
from glial.reports.drawings import lines
from glial.reports.numbers import counted, seconds_told, told
from glial.reports.subject import Subject
from glial.reports.words import metric_title

MOST_LAYERS = 40
MOST_STEPS = 60
ENDS = {
    "epochs": "all epochs of the plan were run",
    "patience": "it no longer got better",
    "time_limit": "its time was up",
    "interrupted": "somebody stopped it",
    "several": "its networks ended differently",
}
History = Sequence[dict[str, Any]]


def training(subject: Subject) -> Section:
    """How training went.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> training(Subject.of(run, use_data=False)).says[0][:27]
        'Training ran for 2 epochs i'
    """
    histories = _histories(subject)
    section = Section("training", "", [_how_long(subject)])
    section.data = {
        "status": subject.status,
        "ended_by": subject.ended_by,
        "epochs": subject.epochs,
        "seconds": subject.seconds,
        "history": [dict(row) for row in subject.history],
    }
    if subject.status == "unfinished":
        section.says.append("It has not finished: what follows is how far it came.")
    if not any(histories.values()):
        section.says.append("No epoch was written down, so there is no curve to show.")
    elif max(len(history) for history in histories.values()) < 2:
        section.says.append("After one epoch there is no curve to show.")
    else:
        section.says += _verdict(histories)
        section.blocks.append(Grid(list(_curves(histories))))
    section.blocks += _flow(subject, section.data)
    if subject.history:
        names = list(subject.history[-1])
        rows = [[row.get(name) for name in names] for row in subject.history[-50:]]
        caption = "The last epochs, a row each"
        section.blocks.append(Fold("The numbers behind the curves", [Table(names, rows, caption)]))
    return section


def _how_long(subject: Subject) -> str:
    epochs, seconds = counted(subject.epochs, "epoch"), seconds_told(subject.seconds)
    why = ENDS.get(subject.ended_by, "")
    networks = len(subject.members)
    of = f", {networks} networks together" if networks > 1 else ""
    return f"Training ran for {epochs} in {seconds}{of}{f': {why}' if why else ''}."


def _histories(subject: Subject) -> dict[str, History]:
    if subject.history or subject.run is None:
        return {"": subject.history}
    members = enumerate(subject.run.members, 1)
    return {f"network {number}": one.history for number, one in members}


def _verdict(histories: dict[str, History]) -> list[str]:
    """What the two losses say together."""
    if len(histories) > 1:
        return []
    history = next(iter(histories.values()))
    seen = {name: _series(history, name)[1] for name in ("train_loss", "val_loss")}
    train, val = seen["train_loss"], seen["val_loss"]
    if len(train) < 2:
        return []
    fell = f"The training loss went from {told(train[0])} to {told(train[-1])}."
    if not val:
        return [fell]
    best = min(range(len(val)), key=val.__getitem__)
    epoch = int(_series(history, "val_loss")[0][best])
    says = f"{fell} The validation loss was lowest, {told(val[best])}, after epoch {epoch}"
    rise = val[-1] - val[best]
    if best < len(val) - 3 and rise > 0.1 * max(abs(val[best]), 1e-12):
        says += (
            f" and had risen to {told(val[-1])} at the end: from there on the network learnt its "
            "training rows by heart. The weights of its best epoch are the ones that are used"
        )
    elif val[-1] < 0.8 * train[-1]:
        says += (
            ". That it is lower than the training loss is usual where training rows are made "
            "harder: by dropout, by changes at random, by softened targets"
        )
    else:
        says += ". The weights of that epoch are the ones that are used"
    return [f"{says}."]


def _series(history: History, name: str) -> tuple[list[float], list[float]]:
    rows = [
        (row.get("epoch", n), row[name])
        for n, row in enumerate(history, 1)
        if row.get(name) is not None and math.isfinite(row[name])
    ]
    return [x for x, _ in rows], [y for _, y in rows]


def _curves(histories: dict[str, History]) -> Iterator[Chart]:
    found = {name for history in histories.values() for row in history for name in row}
    losses = [name for name in ("train_loss", "val_loss") if name in found]
    words = {"train_loss": "training", "val_loss": "validation"}
    yield lines(
        {
            " ".join(filter(None, (words[name], of))): _series(history, name)
            for of, history in histories.items()
            for name in losses
        },
        title="The loss: what training makes smaller",
        x="epoch",
        y="loss",
        says="Lower is better. A gap that widens between the two is learning by heart.",
    )
    scores = sorted(name for name in found if name.startswith("val_") and name not in losses)
    for name in scores[:3]:
        title = metric_title(name.removeprefix("val_"))
        shown = {of or "validation": _series(rows, name) for of, rows in histories.items()}
        yield lines(shown, title=f"{title} on validation rows", x="epoch", y=title)
    if "lr" in found:
        shown = {of or "rate": _series(rows, "lr") for of, rows in histories.items()}
        yield lines(shown, title="The learning rate: how large steps are", x="epoch", y="rate")


def _flow(subject: Subject, data: dict[str, Any]) -> list[Block]:
    """The strength of the gradient of each layer over the steps."""
    blocks: list[Block] = []
    for evidence in subject.evidence[:1]:
        for model in evidence.models[:3]:
            layers, steps, values = gradient_table(evidence, model)
            if len(layers) < 1 or len(steps) < 2:
                continue
            verdict, ratio = charts.judge_flow(values)
            data.setdefault("gradient_flow", []).append(
                {"model": model.name, "layers": layers, "verdict": verdict, "ratio": ratio}
            )
            drawn = charts.gradient_flow(layers, steps, values)
            says = (
                "How to read it: a row is a layer, the input at the top, and time runs to the "
                "right. Colours that are alike from top to bottom are healthy; a fade towards "
                "the top means that the first layers hardly learn."
            )
            blocks.append(Chart(drawn, says))
    if not blocks and subject.status != "unfinished":
        blocks.append(
            Text("The gradients of this training were not followed over several steps.", "muted")
        )
    return blocks


def gradient_table(
    evidence: Evidence, model: ModelSeen
) -> tuple[list[str], list[int], list[list[float | None]]]:
    """The root mean square of each layer's gradient at some steps.

    Args:
        evidence: What was seen of the training.
        model: The network.

    Returns:
        The layers in the order in which they run, the steps, and [layer][step] the values,
        None where there is none.

    Example:
        >>> gradient_table(Evidence(), ModelSeen("net", "Net"))
        ([], [], [])
    """
    known = {layer.name: layer.order for layer in model.layers}
    order: dict[str, float] = {}
    found: dict[str, tuple[int, dict[int, float]]] = {}
    for parameter in model.parameters:
        before = next(reversed(order.values()), -1.0)
        order.setdefault(parameter.layer, known.get(parameter.layer, before))
        if not len(parameter.gradient):
            continue
        count, sums = found.setdefault(parameter.layer, (0, {}))
        for step, norm in parameter.gradient:
            sums[step] = sums.get(step, 0.0) + norm * norm
        found[parameter.layer] = (count + math.prod(parameter.shape), sums)
    names = sorted(found, key=order.__getitem__)
    if len(names) > MOST_LAYERS:
        names = [names[round(i * (len(names) - 1) / (MOST_LAYERS - 1))] for i in range(MOST_LAYERS)]
    steps = sorted({step for name in names for step in found[name][1]})
    if len(steps) > MOST_STEPS:
        steps = [steps[round(i * (len(steps) - 1) / (MOST_STEPS - 1))] for i in range(MOST_STEPS)]
    values = [
        [math.sqrt(sums[step] / max(1, count)) if step in sums else None for step in steps]
        for count, sums in (found[name] for name in names)
    ]
    return names, steps, values
