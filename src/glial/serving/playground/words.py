"""What each picture of the playground shows, in words: for those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

VANISHING, EXPLODING = 1e-3, 1e3


def words_of(frame: Mapping[str, Any]) -> dict[str, str]:
    """A sentence or two for each picture of a frame.

    Args:
        frame: What :func:`glial.serving.playground.frames.frame_of` tells.

    Returns:
        Texts for ``boundary``, ``network``, ``curves``, ``flow`` and ``outputs``.

    Example:
        >>> from glial.serving.playground.frames import frame_of
        >>> from glial.serving.playground.knobs import Knobs
        >>> from glial.serving.playground.session import Session
        >>> words_of(frame_of(Session(Knobs())))["network"]
        'Hidden layers of 6, 4 units.'
    """
    layers = frame["layers"]
    return {
        "boundary": _boundary(frame),
        "network": _network(layers),
        "curves": _curves(frame),
        "flow": flow_words([layer["gradient"] for layer in layers], frame["step"]),
        "outputs": _outputs(layers),
    }


def number(value: float | None) -> str:
    """A number as people read it.

    Example:
        >>> number(0.012345), number(12345.6), number(None)
        ('0.0123', '1.23e+04', 'no number')
    """
    return "no number" if value is None else f"{value:.3g}"


def _score(value: float | None, task: str) -> str:
    if value is None:
        return "no number"
    return f"{value:.0%} right" if task == "classification" else f"R2 {value:.2f}"


def _boundary(frame: Mapping[str, Any]) -> str:
    task = frame["task"]
    train, test = (_score(frame[part]["score"], task) for part in ("train", "test"))
    asked = "classes" if task == "classification" else "heights"
    return f"Of the training points the {asked} are {train}, of the test points {test}."


def _network(layers: Sequence[Mapping[str, Any]]) -> str:
    hidden = layers[:-1]
    sizes = ", ".join(str(len(layer["units"])) for layer in hidden)
    shape = f"Hidden layers of {sizes} units." if hidden else "No hidden layer: a linear model."
    twins = sum(len(layer["units"]) - layer["distinct"] for layer in hidden)
    silent = sum(layer["silent"] for layer in hidden)
    told = [shape]
    if silent:
        told.append(f"{_units(silent)} the same whatever the point.")
    if twins > max(0, silent - 1):
        total = sum(len(layer["units"]) for layer in hidden)
        told.append(f"Of {total} hidden units {twins} are copies of others.")
    return " ".join(told)


def _units(count: int) -> str:
    return "1 unit says" if count == 1 else f"{count} units say"


def _curves(frame: Mapping[str, Any]) -> str:
    train, test = frame["train"]["loss"], frame["test"]["loss"]
    told = f"Loss {number(train)} on the training points, {number(test)} on the test points."
    losses = [value for value in frame["history"]["test_loss"] if value is not None]
    if train is None or test is None or not losses:
        return told
    best = min(losses)
    if len(losses) > 5 and test > 1.2 * best and test > 1.5 * train:
        told += f" The test loss was {number(best)} before: the network is overfitting."
    return told


def flow_words(gradients: Sequence[float | None], step: int = 1) -> str:
    """What gradients of layers, from the input on, say together.

    Args:
        gradients: Root mean square of each layer's gradient.
        step: Steps made.

    Example:
        >>> flow_words([1e-8, 1e-5, 1e-1])
        'The first layer gets 1e-07 of the gradient of the last: gradients vanish on the way back.'
    """
    if not step:
        return "No step was made yet."
    if any(value is None or not math.isfinite(value) for value in gradients):
        return "Some gradients are no numbers any more."
    known = [value for value in gradients if value is not None]
    first, last = known[0], known[-1]
    if not any(known):
        return "All gradients are zero: nothing is learnt."
    if not first and len(known) > 1:
        return "The first layer gets no gradient at all: it learns nothing."
    if len(known) == 1 or not last:
        return f"The gradient of the first layer is {number(first)}."
    ratio = first / last
    told = f"The first layer gets {number(ratio)} of the gradient of the last"
    if ratio < VANISHING:
        return f"{told}: gradients vanish on the way back."
    if ratio > EXPLODING:
        return f"{told}: gradients explode on the way back."
    return f"{told}: gradients reach every layer."


def _outputs(layers: Sequence[Mapping[str, Any]]) -> str:
    told = []
    for layer in layers:
        seen = layer["outputs"]
        text = f"{layer['name'].capitalize()}: mean {number(seen['mean'])}, "
        text += f"spread {number(seen['std'])}"
        if layer["saturated"] is not None and layer["saturated"] > 0.2:
            text += f", {layer['saturated']:.0%} saturated"
        told.append(text)
    return ". ".join(told) + "."
