"""Texts written by a network that has learnt to translate: by beam search, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.settings import override
from glial.data.encoders import TensorEncoder
from glial.functional.decoding import beam_search
from glial.nn.summary import evaluating
from glial.runs.plan import Plan
from glial.runs.run import Run
from glial.tasks.translation import Translation

ROWS_AT_ONCE = 256
PLACES_AT_ONCE = 1 << 13  # places of sources, each as often as the beam is wide
WRITING = ("task.beam", "task.length_penalty", "task.best")


def cut(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Tokens of some rows, each side as long as its longest text.

    Example:
        >>> cut((torch.tensor([[3, 4, 0]]), torch.tensor([[2, 0]])))
        (tensor([[3, 4]]), tensor([[2]]))
    """
    longest = [max(1, int((part != 0).any(dim=0).sum())) for part in inputs]
    return tuple(part[:, :n].long() for part, n in zip(inputs, longest, strict=True))


@dataclass(frozen=True)
class Translated:
    """What a network writes for texts, a row each, the best first.

    Attributes:
        texts: [best][row].
        log_likelihoods: [best][row], the sum over tokens.

    Example:
        >>> Translated([["a"]], [[-0.5]]).frame()["prediction"].to_list()
        ['a']
    """

    texts: list[list[str]]
    log_likelihoods: list[list[float]]

    def frame(self) -> pl.DataFrame:
        """``prediction``; of several also ``prediction_2`` and so on, and how likely each is."""
        columns: dict[str, Any] = {"prediction": self.texts[0]}
        if len(self.texts) > 1:
            columns["log_likelihood"] = self.log_likelihoods[0]
            for number, texts in enumerate(self.texts[1:], 2):
                columns[f"prediction_{number}"] = texts
                columns[f"log_likelihood_{number}"] = self.log_likelihoods[number - 1]
        return pl.DataFrame(columns)


def translate(run: Run, texts: pl.Series) -> Translated:
    """What a network writes for texts, by beam search: see ``task.beam`` in the plan.

    Texts of similar length are decoded together, as many as memory bears; that changes no result.

    Args:
        run: The run.
        texts: What is translated.
    """
    encoder, task, settings = text_encoder(run), task_of(run), run.plan.task
    held = encoder.tensor(texts)
    network: Any = run.model
    device = next(network.parameters()).device
    lengths = (held != 0).sum(dim=1)
    order = lengths.argsort(stable=True)
    best = min(settings.best, settings.beam)
    impossible = torch.zeros(task.num_outputs, dtype=torch.bool, device=device)
    impossible[[0, 1, task.start]] = True  # padding and the unknown say nothing
    found: list[list[str]] = [[""] * len(held) for _ in range(best)]
    sums = [[0.0] * len(held) for _ in range(best)]
    places = max(1, int(lengths.max())) * settings.beam
    size = max(1, min(ROWS_AT_ONCE, PLACES_AT_ONCE // places))
    with evaluating(network), torch.inference_mode():
        for some in torch.split(order, size):
            (sources,) = cut((held[some].to(device),))
            decoded = beam_search(
                network,
                network.read(sources),
                torch.full((len(some),), task.start, device=device),
                end=task.end,
                max_length=task.longest,
                width=settings.beam,
                best=best,
                length_penalty=settings.length_penalty,
                allowed=lambda tokens: ~impossible.expand(len(tokens), -1),
            )
            for number in range(best):
                written = task.texts(decoded.tokens[:, number])
                told = decoded.log_likelihoods[:, number].tolist()
                for row, text, value in zip(some.tolist(), written, told, strict=True):
                    found[number][row], sums[number][row] = text, value
    return Translated(found, sums)


def written_otherwise(run: Run, changes: Mapping[str, Any]) -> Run:
    """The run with other settings of how texts are written.

    Args:
        run: A run of a translation.
        changes: ``task.beam``, ``task.length_penalty`` or ``task.best``.

    Raises:
        InputError: If there are others, or the run does not write texts.

    Example:
        >>> import glial
        >>> pairs = pl.DataFrame({"en": list("abcdefgh") * 5, "fr": list("bcdefgha") * 5})
        >>> options = {"epochs": 1, "out": False, "set": {"model.size": 4}}
        >>> run = glial.train(pairs, "fr", task="translation", **options)
        >>> glial.predict(written_otherwise(run, {"task.best": 2}), pairs[:1]).columns[2]
        'prediction_2'
    """
    wrong = [key for key in changes if key not in WRITING]
    if wrong or not isinstance(run.decoder, Translation):
        raise InputError(
            "this cannot be changed after training",
            expected=f"{', '.join(WRITING)} of a run that writes texts",
            got=f"{', '.join(wrong or changes)} of a run of the task {run.task}",
            do="leave it out, or train with it",
        )
    return replace(run, plan=Plan.from_values(override(run.plan.to_values(), changes)))


def task_of(run: Run) -> Translation:
    """What a run of a translation learnt.

    Args:
        run: The run.
    """
    task: Any = run.decoder
    found: Translation = task
    return found


def text_encoder(run: Run) -> TensorEncoder:
    """How a run's one column of texts becomes tokens.

    Args:
        run: The run.
    """
    (encoder,) = run.encoding.encoders.values()
    assert isinstance(encoder, TensorEncoder)  # noqa: S101 - narrows the type
    return encoder
