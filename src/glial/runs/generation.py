"""What a generative run makes up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.seeds import torch_generator
from glial.functional import Decoded, Stepwise, beam_search, greedy, sample
from glial.models.image_pairs import Translates
from glial.runs.loading import load
from glial.runs.reading import allowed_tokens, block_of, encoder_of, is_separated, task_of
from glial.runs.run import Run
from glial.runs.unlabelled import making
from glial.runs.unlabelled.translating import turn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """Something made up.

    Attributes:
        text: The prompt, and what follows it.
        log_likelihood: The sum of ln p of the tokens that follow, by the network itself: without
            temperature, filters and penalty.

    Example:
        >>> Sample("to be", -1.5).to_dict()
        {'text': 'to be', 'log_likelihood': -1.5}
    """

    text: str
    log_likelihood: float

    def to_dict(self) -> dict[str, Any]:
        """The keys of the JSON that ``glial generate`` prints."""
        return {"text": self.text, "log_likelihood": self.log_likelihood}


def generate(
    run: Run | str | Path,
    *,
    prompt: str = "",
    num_samples: int = 1,
    length: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    beam: int | None = None,
    only: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    interpolate: int | None = None,
    walk: bool = False,
    source: Any = None,
    back: bool = False,
    seed: int = 0,
) -> Any:
    """What a run makes up: texts behind a prompt, or rows like those that it learnt from.

    Args:
        run: The run, or its folder.
        prompt: What the text begins with; by default it begins as the texts of training do, or
            on a new line.
        num_samples: How many.
        length: The most tokens of each behind the prompt.
        temperature: What scores are divided by; 0 takes the likeliest token each time.
        top_k: Only so many of the likeliest tokens are drawn from.
        top_p: Only the likeliest tokens that together reach this share are drawn from.
        repetition_penalty: Above 1, tokens that came already get less likely.
        beam: Keeps so many beginnings and returns the likeliest texts, where others are drawn.
        only: Of rows: the class of all, where the network is told classes.
        steps: Of rows: steps of a diffusion.
        guidance: Of rows: how much more than by itself a diffusion heeds the class.
        interpolate: Of rows: so many on each way from one drawn code to another; there are
            ``num_samples`` ways.
        walk: Of rows: what each number of a code does, the others at 0.
        source: Of networks that turn images into others, or restore rows: a folder of images, or a
            table with their column.
        back: Of these: the second kind of images becomes the first.
        seed: Seed of what is drawn.

    Returns:
        A list of `Sample`, those of a beam the likeliest first; of rows a
        `glial.runs.unlabelled.making.Made`.

    Raises:
        InputError: If the run cannot generate, or a number is out of its range.

    Example:
        >>> import glial
        >>> verses = {"text": ["to be or not to be"] * 20}
        >>> options = {"train.lr": 0.01, "model.size": 16, "model.context": 8}
        >>> run = glial.train(verses, task="language-modelling", epochs=3, out=False, set=options)
        >>> len(generate(run, prompt="to ", num_samples=2, length=5))
        2
    """
    run = run if isinstance(run, Run) else load(run)
    asked = _Asked(
        *(prompt, num_samples, length, temperature, top_k, top_p, repetition_penalty, beam),
        *(seed, only, steps, guidance, interpolate, walk, source, back),
    )
    asked.check()
    maker = GENERATORS.get(run.task)
    if maker is None:
        raise InputError(
            f"a run of the task {run.task} makes nothing up",
            expected=f"a run of {' or '.join(GENERATORS)}",
            got=f"the run {run.path or 'in memory'}",
            do="train a language model: glial train FILE.txt --task language-modelling, or "
            "a network that makes up rows: glial train SOURCE --task generate",
        )
    return maker(run, asked)


@dataclass(frozen=True)
class _Asked:
    """What was asked for: see `generate`."""

    prompt: str
    num_samples: int
    length: int
    temperature: float
    top_k: int | None
    top_p: float | None
    repetition_penalty: float
    beam: int | None
    seed: int
    only: str | None
    steps: int | None
    guidance: float | None
    interpolate: int | None
    walk: bool
    source: Any
    back: bool

    def check(self) -> None:
        """Refuse numbers out of their range."""
        wanted = {
            "num_samples": ("at least 1", self.num_samples >= 1),
            "length": ("at least 1", self.length >= 1),
            "temperature": ("at least 0, and finite", 0 <= self.temperature < float("inf")),
            "top_k": ("at least 1", self.top_k is None or self.top_k >= 1),
            "top_p": ("above 0, and at most 1", self.top_p is None or 0 < self.top_p <= 1),
            "repetition_penalty": (
                "at least 1, and finite",
                1 <= self.repetition_penalty < float("inf"),
            ),
            "beam": (
                "at least as many as samples",
                self.beam is None or self.beam >= self.num_samples,
            ),
            "seed": ("at least 0", self.seed >= 0),
            "steps": ("at least 1", self.steps is None or self.steps >= 1),
            "guidance": (
                "at least 0, and finite",
                self.guidance is None or 0 <= self.guidance < float("inf"),
            ),
            "interpolate": ("at least 2", self.interpolate is None or self.interpolate >= 2),
        }
        for key, (expected, holds) in wanted.items():
            if not holds:
                raise InputError(
                    f"{key} is out of its range", expected=expected, got=str(getattr(self, key))
                )

    def refuse(self, names: Sequence[str], task: str) -> None:
        """Refuse what a task has no use for."""
        for name in names:
            held, usual = getattr(self, name), getattr(_PLAIN, name)
            if held is not usual and (name == "source" or held != usual):
                raise InputError(
                    f"{name} does not fit a run of the task {task}",
                    expected="options of what the run makes up: see glial generate --help",
                    got=str(getattr(self, name)),
                    do=f"leave {name} out",
                )


_PLAIN = _Asked(
    *("", 1, 200, 1.0, None, None, 1.0, None, 0),
    *(None, None, None, None, False, None, False),
)
_OF_ROWS = ("only", "steps", "guidance", "interpolate", "walk")
_OF_SOURCE = ("source", "back")
_OF_TEXT = ("prompt", "length", "temperature", "top_k", "top_p", "repetition_penalty", "beam")


def _generate_rows(run: Run, asked: _Asked) -> making.Made:
    asked.refuse(_OF_TEXT, run.task)
    if asked.source is not None:
        asked.refuse(("num_samples", *_OF_ROWS), "generate with a source")
        return turn(run, asked.source, back=asked.back)
    if isinstance(run.model, Translates):
        raise InputError(
            f"the model {run.plan.model['name']} turns images into others, and there are none",
            expected="--source SOURCE (source= in Python), a folder or a table of images",
            got="none",
            do="add it",
        )
    asked.refuse(_OF_SOURCE, run.task)
    if asked.walk:
        return making.walk(run)
    if asked.interpolate is not None:
        return making.interpolate(run, asked.num_samples, asked.interpolate, seed=asked.seed)
    options = {"steps": asked.steps, "guidance": asked.guidance}
    return making.make(run, asked.num_samples, seed=asked.seed, only=asked.only, options=options)


def _generate_text(run: Run, asked: _Asked) -> list[Sample]:
    asked.refuse((*_OF_ROWS, *_OF_SOURCE), run.task)
    vocabulary = encoder_of(run).vocabulary
    first = _beginning(run, asked.prompt)
    model = Unending(run.model, block_of(run))
    allowed = allowed_tokens(run)
    end = vocabulary.specials["end"]
    several = 1 if asked.beam else asked.num_samples
    start = torch.tensor(first[-1:]).repeat(several)
    state = model.start(torch.tensor(first[:-1], dtype=torch.int64).repeat(several, 1))
    limits: dict[str, Any] = {
        "end": end,
        "max_length": asked.length,
        "allowed": lambda tokens: allowed.expand(len(tokens), -1),
    }
    run.model.eval()
    if asked.beam:
        found = beam_search(model, state, start, width=asked.beam, best=asked.num_samples, **limits)
    elif asked.temperature == 0:
        found = greedy(model, state, start, **limits)
    else:
        found = sample(
            model,
            state,
            start,
            temperature=asked.temperature,
            top_k=asked.top_k,
            top_p=asked.top_p,
            repetition_penalty=asked.repetition_penalty,
            generator=torch_generator(asked.seed, "generate"),
            **limits,
        )
    return _samples(found, asked.prompt, vocabulary)


def _samples(found: Decoded, prompt: str, vocabulary: Any) -> list[Sample]:
    rows = found.tokens.flatten(0, 1).tolist()
    lengths = found.lengths.flatten().tolist()
    texts = vocabulary.decode([row[:length] for row, length in zip(rows, lengths, strict=True)])
    joint = " " if vocabulary.by in ("word", "wordpiece") and prompt else ""
    told = found.log_likelihoods.flatten().tolist()
    return [Sample(prompt + joint + t, value) for t, value in zip(texts, told, strict=True)]


def _beginning(run: Run, prompt: str) -> list[int]:
    """The tokens to go on from, at least one."""
    vocabulary, task = encoder_of(run).vocabulary, task_of(run)
    separated, specials = is_separated(run), vocabulary.specials
    before = [specials["end"]] if separated else []
    tokens = [*before, *vocabulary.encode([prompt])[0]]
    unknown = tokens.count(specials["unknown"])
    if unknown:
        logger.warning(
            "%d of the prompt's tokens are none that training showed: they are taken as unknown",
            unknown,
        )
    if tokens:
        return tokens
    line = vocabulary.encode(["\n"])[0]
    if len(line) == 1 and task.counts[line[0]]:
        return line
    return [int(task.log_shares.masked_fill(~allowed_tokens(run), -torch.inf).argmax())]


class Unending:
    """A network that looks at a limited number of tokens, for decoding texts of any length.

    Where no more fit, it reads the last half of them anew and goes on from there. A network with
    ``start(rows)``, ``step`` and ``select`` goes on from its state; any other reads all again.

    Args:
        network: Gives scores of the next token at each place.
        context: Tokens that it looks at.

    Example:
        >>> class Counting(nn.Module):
        ...     def forward(self, tokens):
        ...         return nn.functional.one_hot((tokens + 1) % 5, 5).float()
        >>> model = Unending(Counting(), context=4)
        >>> start = torch.tensor([1])
        >>> found = greedy(model, model.start(torch.zeros(1, 0).long()), start, end=9, max_length=7)
        >>> found.tokens
        tensor([[[2, 3, 4, 0, 1, 2, 3]]])
    """

    def __init__(self, network: nn.Module, context: int) -> None:
        self._context = context
        self._network: Any = network
        self._steps = isinstance(network, Stepwise) and hasattr(network, "start")

    def start(self, before: Tensor) -> tuple[Any, Tensor]:
        """What decoding starts from.

        Args:
            before: Tokens that came before the first, [row, token].
        """
        seen = before[:, max(0, before.shape[1] - self._context + 1) :]
        if not self._steps:
            return None, seen
        with torch.no_grad():
            return self._read(seen)[1] if seen.shape[1] else self._network.start(len(seen)), seen

    def step(self, tokens: Tensor, state: tuple[Any, Tensor]) -> tuple[Tensor, tuple[Any, Tensor]]:
        """Scores of the token that follows, and the state after it.

        Args:
            tokens: A token of each row.
            state: The network's own, and the tokens that it has seen.
        """
        own, seen = state
        seen = torch.cat([seen, tokens[:, None]], dim=1)
        if seen.shape[1] > self._context:
            seen = seen[:, -max(1, self._context // 2) :]
            scores, own = self._read(seen)
        elif self._steps:
            scores, own = self._network.step(tokens, own)
        else:
            scores, own = self._read(seen)
        return scores, (own, seen)

    def _read(self, tokens: Tensor) -> tuple[Tensor, Any]:
        """Scores behind tokens that are read from their first, and the network's own state."""
        if not self._steps:
            return self._network(tokens)[:, -1], None
        scores, own = self._network.step(tokens, self._network.start(len(tokens)))
        return scores, own

    def select(self, state: tuple[Any, Tensor], rows: Tensor) -> tuple[Any, Tensor]:
        """The state of some rows."""
        own, seen = state
        return (self._network.select(own, rows) if self._steps else None), seen[rows]


Maker = Callable[[Run, _Asked], Any]
# Task to what makes something up.
GENERATORS: Mapping[str, Maker] = {
    "language-modelling": _generate_text,
    "generate": _generate_rows,
    "reduce": _generate_rows,
}
