"""A run's network as methods for networks take it: inputs with names, and a score an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.errors import InputError, unknown_name
from glial.data.encoders import ImageEncoder, SequenceEncoder, TensorEncoder
from glial.runs.run import Run
from glial.tasks.classification import Classification

TASKS = ("classification", "multilabel", "regression")


class Scored(nn.Module):
    """A network whose outputs are a score for each answer, members averaged.

    Args:
        network: The network.
        two_classes: Whether its one output speaks for the second of two classes, and its negative
            for the first.
        fixed_inputs: Inputs that are never explained by, such as masks.

    Example:
        >>> Scored(nn.Linear(2, 1), two_classes=True)(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self, network: nn.Module, *, two_classes: bool = False, fixed_inputs: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.network = network
        self.two_classes = two_classes
        self.fixed_inputs = fixed_inputs

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scores, [row, answer]."""
        outputs: Tensor = self.network(*inputs)
        if outputs.ndim > 2:
            outputs = outputs.flatten(1, -2).mean(dim=1)
        if self.two_classes and outputs.shape[1] == 1:
            outputs = torch.cat([-outputs, outputs], dim=1)
        return outputs


@dataclass(frozen=True)
class Place:
    """What one input of a network holds.

    Attributes:
        kind: ``numbers``, ``categories``, ``image``, ``sound``, ``sequence``, ``text``, or
            ``fixed`` for masks and lengths.
        columns: The table's columns: one for each number, category or number of a step.
        encoder: What made it; None for numbers and categories.
    """

    kind: str
    columns: list[str]
    encoder: TensorEncoder | None = None


@dataclass(frozen=True)
class RunScores:
    """A run's network, the names of its answers, and what its inputs are.

    Attributes:
        run: The run, or the first of several networks.
        network: Gives a score an answer.
        answers: Classes, or names of targets.
        places: What each input holds.
        unit: What a score is.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> found = run_scores(run)
        >>> found.answers, [place.kind for place in found.places]
        (['setosa', 'versicolor', 'virginica'], ['numbers'])
    """

    run: Run
    network: Scored
    answers: list[str]
    places: list[Place]
    unit: str

    def inputs(self, frame: pl.DataFrame) -> tuple[Tensor, ...]:
        """What the network is called with for some rows, on its device."""
        encoding = self.run.encoding
        found = encoding.finish(encoding.arguments(encoding.transform(frame, notice=False)))
        device = next(self.network.parameters()).device
        return tuple(part.to(device) for part in found)

    def answer(self, name: str | None) -> int | None:
        """The number of an answer; None where none is named.

        Raises:
            InputError: If there is no such answer.
        """
        if name is None:
            return 0 if len(self.answers) == 1 else None
        if name not in self.answers:
            raise unknown_name(
                "class" if self.run.task == "classification" else "target", name, self.answers
            )
        return self.answers.index(name)

    def kinds(self) -> set[str]:
        """The kinds of inputs, without ``fixed``."""
        return {place.kind for place in self.places} - {"fixed"}


def run_scores(run: Run) -> RunScores:
    """A run's network as methods for networks take it; of several networks the first.

    Args:
        run: The run.

    Raises:
        InputError: If its answers are not classes, yes-or-no questions or numbers of a row.
    """
    one = (run.members or [run])[0]
    if one.takes_batches or one.task not in TASKS or "source" in one.sizes:
        raise InputError(
            "answers of this run cannot be explained",
            expected=f"a run of the task {', '.join(TASKS)} on a table, images, sounds or texts",
            got=f"the task {one.task}" + (", trained on a loader" if one.takes_batches else ""),
        )
    places = _places(one)
    decoder: Any = one.decoder
    classes = isinstance(decoder, Classification)
    fixed = tuple(i for i, place in enumerate(places) if place.kind == "fixed")
    network = Scored(
        one.model, two_classes=classes and decoder.num_outputs == 1, fixed_inputs=fixed
    )
    answers = decoder.labels.names if classes else list(decoder.targets)
    binary = one.task == "multilabel" or network.two_classes
    unit = "scaled target" if one.task == "regression" else "log-odds" if binary else "score"
    return RunScores(one, network, answers, places, unit)


def _places(run: Run) -> list[Place]:
    """What each input of a run's network holds, in their order."""
    encoding = run.encoding
    numbers, categories, tensors = encoding.origins
    places = []
    if numbers or categories or not tensors:
        places.append(Place("numbers", numbers))
    if categories:
        places.append(Place("categories", categories))
    sequences = [n for n in tensors if isinstance(encoding.encoders[n], SequenceEncoder)]
    for name in tensors:
        encoder: Any = encoding.encoders[name]
        if name in sequences[1:]:
            continue
        places.append(
            Place(_kind(encoder), sequences if sequences[:1] == [name] else [name], encoder)
        )
        finishes_in_two = _FURTHER.get(places[-1].kind)
        if finishes_in_two is not None and finishes_in_two(encoder):
            places.append(Place("fixed", [name], encoder))
    return places


def _kind(encoder: Any) -> str:
    if encoder.modality == "image":
        return "image" if isinstance(encoder, ImageEncoder) else "sound"
    if encoder.modality in ("text", "sequence"):
        return str(encoder.modality)
    raise InputError(
        "answers of this run cannot be explained",
        expected="columns of numbers, categories, images, sounds, sequences or texts",
        got=f"a column of {encoder.modality}",
    )


# Inputs that bring another with them: a mask beside an image, lengths beside a sequence.
_FURTHER: dict[str, Callable[[Any], bool]] = {
    "image": lambda encoder: bool(getattr(encoder, "masked", False)),
    "sequence": lambda encoder: True,
}
