"""Where a trained network looks in a text: its attention, with the tokens it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError, unknown_name
from glial.functional.decoding import greedy
from glial.nn.attended import Attended, attended
from glial.runs.run import Run
from glial.tasks.translation import Translation


@dataclass(frozen=True)
class Looks:
    """Where layers of attention looked in a text.

    Attributes:
        layers: Each layer.
        rows: The tokens that looked.
        columns: The tokens that were looked at.

    Example:
        >>> Looks([], ["a"], ["b"]).rows
        ['a']
    """

    layers: list[Attended]
    rows: list[str]
    columns: list[str]


def attention_of(run: Run, text: str, layers: Sequence[str] | None = None) -> Looks:
    """Where a run's network looks in a text.

    Of a translation it is translated greedily, and what is told is where each token of the
    translation looked in the text; of other networks, where its tokens looked among themselves.

    Args:
        run: A run whose network reads one text; of several networks, the first.
        text: What it reads.
        layers: Paths of layers, as in ``named_modules()``; None is all.

    Raises:
        InputError: If the network reads no text, has no attention, or lacks a layer.

    Example:
        >>> import glial
        >>> pairs = pl.DataFrame({"en": list("abcdefgh") * 5, "fr": list("bcdefgha") * 5})
        >>> options = {"epochs": 1, "out": False, "set": {"model.size": 4}}
        >>> run = glial.train(pairs, "fr", task="translation", **options)
        >>> attention_of(run, "a").columns
        ['▁a']
    """
    one = (run.members or [run])[0]
    encoder = _encoder(one)
    if not text.strip():
        raise InputError(
            "there is no text to look at", expected="at least one word", got=repr(text)
        )
    column = pl.Series("text", [text])
    held = encoder.finish(encoder.tensor(column)).to(next(one.model.parameters()).device)
    columns = _spelt(encoder, held[0].tolist())
    task = one.decoder
    if isinstance(task, Translation):
        rows, written = _written(one, task, held)
        found = [layer for layer in attended(one.model, held, written) if layer.crosses]
    else:
        rows, found = columns, attended(one.model, held)
    if not found:
        raise InputError(
            "the network writes without looking at what it read",
            expected="a network with attention",
            got="model.attention: none",
            do="train one with model.attention=general",
        )
    known = [layer.layer for layer in found]
    for name in layers or []:
        if name not in known:
            raise unknown_name("layer of attention", name, known)
    return Looks([one for one in found if not layers or one.layer in layers], rows, columns)


def _written(run: Run, task: Translation, held: Tensor) -> tuple[list[str], Tensor]:
    """The tokens of a translation and the end, and what the network was given to write them."""
    network: Any = run.model
    start = torch.tensor([task.start], device=held.device)
    with torch.inference_mode():
        found = greedy(
            network, network.read(held), start, end=task.end, max_length=task.longest
        ).tokens[:, 0]
    tokens = found[0].tolist()
    rows = [_spelt(task.encoder, [t])[0] if t < task.start else "end" for t in tokens]
    return rows, torch.cat([start[:, None], found[:, :-1]], dim=1)


def _encoder(run: Run) -> Any:
    encoders = [e for e in run.encoding.encoders.values() if getattr(e, "modality", "") == "text"]
    if len(encoders) != 1 or len(run.encoding.encoders) != 1 or not hasattr(encoders[0], "spell"):
        raise InputError(
            "attention is drawn of networks that read one text",
            expected="a run of one column of texts as tokens",
            got=", ".join(run.encoding.columns) or "no columns",
        )
    return encoders[0]


def _spelt(encoder: Any, numbers: list[int]) -> list[str]:
    return [token or "unknown" for token in encoder.spell(numbers)]
