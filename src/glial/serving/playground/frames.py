"""What the page draws of a playground at a moment, as plain values."""

from __future__ import annotations

import base64
import math
from typing import Any

import torch
from torch import Tensor

from glial.core.seeds import seeded
from glial.nn.landscape import loss_surface, on_plane, path_directions, random_directions
from glial.nn.summary import evaluating
from glial.serving.playground.network import dense_layers, loss_of, probabilities
from glial.serving.playground.session import Session
from glial.serving.playground.toys import EXTENT, features_of, grid_of
from glial.serving.playground.words import words_of

GRID, SMALL = 50, 25
BINS = 24
SURFACE_SIDE = 31
TALLEST = 1.5
COPIES_DECIMALS = 5


def frame_of(session: Session, *, data: bool = True) -> dict[str, Any]:
    """Everything that changes while the network learns.

    Args:
        session: The playground.
        data: Whether the points are told too.

    Returns:
        JSON values; maps are base64 of a byte a cell, row by row from the top left, and numbers
        that are not finite are None.

    Example:
        >>> from glial.serving.playground.knobs import Knobs
        >>> frame = frame_of(Session(Knobs(hidden_sizes=[2])))
        >>> frame["step"], [len(layer["units"]) for layer in frame["layers"]]
        (0, [2, 1])
    """
    train, test = session.measure(session.train_rows), session.measure(session.test_rows)
    frame: dict[str, Any] = {
        "step": session.step,
        "epoch": session.epoch,
        "rate": session.rate if session.step else None,
        "finished": session.finished,
        "note": session.note,
        "task": session.knobs.task,
        "classes": session.toy.num_classes,
        "train": train._asdict(),
        "test": test._asdict(),
        "boundary": _boundary(session),
        "layers": _layers(session),
        "history": _history(session),
        "findings": [finding.to_dict() for finding in session.findings],
        "data_version": session.data_version,
    }
    frame = finite(frame)
    frame["words"] = words_of(frame)
    if data:
        frame["points"] = _points(session)
    return frame


def _points(session: Session) -> dict[str, Any]:
    """The points: places, classes or heights, and which are learnt from."""
    toy = session.toy
    return {
        "x": _rounded(toy.places[:, 0]),
        "y": _rounded(toy.places[:, 1]),
        "target": _rounded(toy.target),
        "train": toy.is_train.tolist(),
        "extent": EXTENT,
    }


def _boundary(session: Session) -> dict[str, Any]:
    """What the network says of every place of the square.

    Returns:
        ``said``: the likeliest class, or a height from -1.5 (0) to 1.5 (255); and ``sure``: its
        probability from 0 to 255, of classes alone.
    """
    outputs = _outputs(session, features_of(grid_of(GRID), session.knobs.features))[-1]
    if session.knobs.task == "regression":
        height = (outputs[:, 0] / TALLEST).clamp(-1, 1)
        return {"side": GRID, "said": _bytes((height + 1) / 2), "sure": None}
    sure, said = probabilities(outputs, session.knobs).nan_to_num().max(dim=1)
    return {"side": GRID, "said": _bytes(said / 255), "sure": _bytes(sure)}


def _layers(session: Session) -> list[dict[str, Any]]:
    """Each layer from the input on: its units' maps, weights, gradient and outputs."""
    knobs = session.knobs
    maps = _outputs(session, features_of(grid_of(SMALL), knobs.features))
    outputs = _outputs(session, session.train_rows.inputs[0])
    layers = []
    for number, layer in enumerate(dense_layers(session.network)):
        values, on_grid = outputs[number], maps[number]
        is_hidden = number < len(outputs) - 1
        tone = _spread if is_hidden else _signed
        bias = layer.bias
        layers.append(
            {
                "name": f"hidden {number + 1}" if is_hidden else "output",
                "units": [_bytes(tone(unit)) for unit in on_grid.unbind(1)],
                "weights": [_rounded(row) for row in layer.weight.detach()],
                "biases": [] if bias is None else _rounded(bias.detach()),
                "gradient": session.gradients()[number],
                "outputs": histogram_of(values),
                "silent": _silent(values),
                "distinct": len(torch.unique(_comparable(values), dim=1).T),
                "saturated": _saturated(values, knobs.activation)
                if is_hidden and not knobs.skip
                else None,
            }
        )
    return layers


def histogram_of(values: Tensor) -> dict[str, Any]:
    """How often outputs lie where, in 24 bins from the least to the largest.

    Example:
        >>> histogram_of(torch.tensor([0.0, 1.0, 1.0]))["counts"][-1]
        2
    """
    known = values[values.isfinite()]
    if not len(known):
        return {"low": None, "high": None, "counts": [], "mean": None, "std": None}
    low, high = float(known.min()), float(known.max())
    counts = torch.histc(known.float(), BINS, low - 1e-6, high + 1e-6)
    mean, std = float(known.mean()), float(known.std(correction=0))
    return {"low": low, "high": high, "counts": counts.int().tolist(), "mean": mean, "std": std}


def _history(session: Session) -> dict[str, list[Any]]:
    """The numbers at the ends of epochs, thinned."""
    entries = session.history.entries
    names = ("epoch", "train_loss", "test_loss", "train_score", "test_score", "lr")
    told: dict[str, list[Any]] = {name: [getattr(e, name) for e in entries] for name in names}
    told["gradients"] = [[float(f"{g:.3g}") for g in entry.gradients] for entry in entries]
    return told


def landscape_of(session: Session, kind: str, seed: int = 0) -> dict[str, Any]:
    """The loss of the training points around the weights, and how training came there.

    Args:
        session: The playground.
        kind: ``random`` for two random directions, normalised filter by filter, or ``path`` for
            the two principal components of the way that training went.
        seed: Of random directions.

    Returns:
        ``x`` and ``y``, the ``values`` [y][x], the ``path`` as pairs (it ends at 0, 0),
        the ``shares`` of the path's variance, for ``path`` alone, and the ``least`` and ``most``.

    Raises:
        InputError: If there is no path yet.

    Example:
        >>> from glial.serving.playground.knobs import Knobs
        >>> told = landscape_of(Session(Knobs(hidden_sizes=[2])), "random")
        >>> len(told["values"]), told["x"][0], told["path"]
        (31, -1.0, [[0.0, 0.0]])
    """
    network, knobs = session.network, session.knobs
    path = torch.stack(session.path.entries)
    here = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    shares: list[float] | None = None
    if kind == "path":
        directions, kept = path_directions(torch.cat([path, here[None]]))
        shares = kept.tolist()
    else:
        directions = random_directions(network, seed=seed)
    flat = not bool(directions.any())
    way = torch.zeros(len(path), 2) if flat else on_plane(path, here, directions)
    x, y = (_reach(way[:, axis], kind) for axis in (0, 1))
    loss, rows = loss_of(knobs), session.train_rows
    with torch.no_grad(), evaluating(network), seeded(0, "landscape"):
        values = loss_surface(
            network, lambda: loss(network(*rows.inputs), rows.target, None), directions, x, y
        )
    told = {
        "kind": kind,
        "step": session.step,
        "x": x,
        "y": y,
        "values": values.tolist(),
        "path": way.tolist(),
    }
    least, most = float(values.min()), float(values.max())
    whole: dict[str, Any] = finite({**told, "shares": shares, "least": least, "most": most})
    return whole


def _reach(way: Tensor, kind: str) -> list[float]:
    low, high = (-1.0, 1.0)
    if kind == "path":
        low, high = float(way.min()), float(way.max())
        margin = 0.25 * max(high - low, 1e-3)
        low, high = low - margin, high + margin
    return [low + (high - low) * n / (SURFACE_SIDE - 1) for n in range(SURFACE_SIDE)]


def _outputs(session: Session, features: Tensor) -> list[Tensor]:
    """Outputs of each hidden layer and of the network."""
    network = session.network
    with torch.no_grad(), evaluating(network):
        values = [features]
        for block in network.blocks:
            values.append(block(values[-1]))
        return [*values[1:], network.output_activation(network.head(values[-1]))]


def _comparable(values: Tensor) -> Tensor:
    """Outputs of units in their own size, so that copies are equal but for rounding."""
    size = values.abs().amax().clamp_min(torch.finfo(values.dtype).tiny)
    return (values / size).nan_to_num().round(decimals=COPIES_DECIMALS)


def _silent(values: Tensor) -> int:
    """Units that say the same of every point."""
    spread = values.amax(dim=0) - values.amin(dim=0)
    return int((spread <= 1e-6 * values.abs().amax(dim=0).clamp_min(1e-6)).sum())


def _saturated(values: Tensor, activation: str) -> float | None:
    """The share of outputs within a fiftieth of the ends of a bounded activation."""
    if activation == "tanh":
        return float((values.abs() > 0.96).float().mean())
    if activation == "sigmoid":
        return float(((values < 0.02) | (values > 0.98)).float().mean())
    return None


def _signed(values: Tensor) -> Tensor:
    """Values so that zero lies in the middle, from 0 to 1."""
    values = values.nan_to_num()
    most = values.abs().amax().clamp_min(torch.finfo(values.dtype).tiny)
    return (values / most + 1) / 2


def _spread(values: Tensor) -> Tensor:
    """Values from their least, 0, to their largest, 1; nearly equal ones stay near the middle."""
    values = values.nan_to_num()
    low, high = values.amin(), values.amax()
    least = 0.02 * values.abs().amax().clamp_min(torch.finfo(values.dtype).tiny)
    return (values - (low + high) / 2) / torch.maximum((high - low), least) + 0.5


def _bytes(shares: Tensor) -> str:
    cells = (shares.nan_to_num() * 255).round().clamp(0, 255).to(torch.uint8)
    return base64.b64encode(bytes(cells.tolist())).decode()


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]


def finite(value: Any) -> Any:
    """Nested values with None for numbers that are not finite, as JSON wants them.

    Example:
        >>> finite({"loss": [float("nan"), 1.0]})
        {'loss': [None, 1.0]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
