"""Training on running text: what comes next, from what came before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.errors import InputError
from glial.data import Encoding, fingerprint
from glial.data.batches import Batch, Batches
from glial.data.corpora import SPLITS, Corpus
from glial.data.encoders import RunningTextEncoder
from glial.data.vocabularies import TokensName, fit_vocabulary
from glial.data.windows import CarriedBatches, WindowBatches
from glial.nn.carrying import Carrying
from glial.runs.network import make_network, make_objective
from glial.runs.plan import Plan
from glial.runs.preparation import choose_model
from glial.runs.reading import (
    evaluate_texts,
    num_characters,
    predict_texts,
    task_of,
    told_of,
    told_of_windows,
)
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.texts import read_texts
from glial.runs.ways import Judged, Way
from glial.tasks import fit_task
from glial.tasks.language import LanguageModelling
from glial.tasks.task import Loss
from glial.training import Objective
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

NAME = "language-modelling"
DEFAULT_MODEL = "gpt2"
# Tokens at once of a network that does not say.
BLOCK = 128
# Longer texts are cut into parts of words where the plan does not say.
MOST_CHARACTERS = 10_000_000
# A vocabulary of parts of words has one for so many characters, between these.
CHARACTERS_OF_TOKEN = 400
FEWEST_TOKENS, MOST_TOKENS = 512, 16_000
# After an epoch so many tokens are judged; in the end, all.
MONITORED_TOKENS = 1 << 15
SAMPLED_WINDOWS = 64


@dataclass
class LanguageReady:
    """Everything before the first step on running text.

    Attributes:
        request: What was asked for.
        plan: The plan, but for what is measured.
        settings: The model's settings, capacity chosen; None for the user's own network.
        network: The network.
        encoding: The vocabulary.
        task: What is learnt.
        sizes: What ``model.json`` holds.
        fingerprint: What tells the text from others.
        block: Tokens of a window.
        carries: Whether states go on from a window to the next.
        streams: The tokens of each split.
        characters: How many characters of each split are judged.
    """

    request: Request
    plan: Plan
    settings: Any
    network: nn.Module
    encoding: Encoding
    task: LanguageModelling
    sizes: dict[str, Any]
    fingerprint: str
    block: int
    carries: bool
    streams: dict[str, Tensor]
    characters: dict[str, int]

    @property
    def loss(self) -> Loss:
        """Nats a token."""
        return self.task.loss

    @property
    def mass(self) -> Mass:
        """The number of tokens."""
        return self.task.mass

    def batches(self) -> Batches:
        """Windows of the text."""
        kind = CarriedBatches if self.carries else WindowBatches
        train = self.plan.train
        return kind(self.streams["train"], self.block, int(train.batch_size), train.seed)

    def example(self) -> Batch:
        """The first batch."""
        return next(iter(self.batches().epoch(0)))

    def sampled(self, split: str) -> Batch | None:
        """Windows in no order."""
        tokens = self.streams["train" if split == "train" else "val"]
        if len(tokens) <= self.block:
            return None
        batches = WindowBatches(tokens, self.block, SAMPLED_WINDOWS, self.plan.train.seed)
        return next(iter(batches.epoch(0)))

    def objective(self, plan: Plan) -> Objective:
        """Descent on the loss."""
        return make_objective(self.network, self.task, plan)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Loss and perplexity of evenly spread windows of the validation text."""
        tokens = self.streams["val"]
        length = min(self.block, len(tokens) - 1)
        if length < 1:
            return None
        count = max(1, min(MONITORED_TOKENS // length, (len(tokens) - 1) // length))
        begins = torch.linspace(0, len(tokens) - 1 - length, count).long()
        windows = tokens.unfold(0, length + 1, 1)[begins.to(tokens.device)]

        def validate() -> dict[str, float]:
            told = told_of_windows(run.model, self.task, windows).flatten(0, 1)
            figures = self.task.figures(told)
            return {"loss": figures["log_loss"], "perplexity": figures["perplexity"]}

        return validate

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the network is on all of a split's text, and how good the commonest token."""
        tokens = self.streams[split].cpu()
        if len(tokens) < 2:
            return None
        count = self.characters[split]
        told = told_of(run.model, task_of(run), tokens, self.block, max(1, self.block // 2))
        trivial = self.task.trivial_told(tokens[1:].long())
        return Judged(self.task.figures(told, count), self.task.figures(trivial, count))


def make_ready(request: Request, plan: Plan) -> LanguageReady:
    """Text, vocabulary and network of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    _check(plan)
    corpus, texts = read_texts(plan, request.source)
    if not texts["train"]:
        raise _too_short(0)
    separated = len(corpus.texts) > 1 or not corpus.is_running
    plan, encoder = _with_vocabulary(plan, corpus, texts["train"])
    streams = {name: encoder.stream(part, separated=separated) for name, part in texts.items()}
    tokens = streams["train"]
    if len(tokens) < 2:
        raise _too_short(len(tokens))
    plan = plan.model_copy(update={"task": plan.task.model_copy(update={"name": NAME})})
    if plan.model["name"] == "auto":
        plan = plan.model_copy(update={"model": {**plan.model, "name": DEFAULT_MODEL}})
    plan, settings = choose_model(plan, len(tokens), {corpus.column: "text"})
    counts = torch.bincount(tokens, minlength=encoder.size[0])
    frame = pl.DataFrame({corpus.column: counts.numpy()})
    task: Any = fit_task(frame, [corpus.column], plan.task, loss=request.loss)
    if settings is not None:
        settings = settings.for_data(len(tokens), 1, task.num_outputs, NAME)
        plan = plan.model_copy(update={"model": settings.model_dump(mode="json")})
    train = plan.train
    asked = train.batch_size
    size = 32 if asked == "auto" else len(tokens) if asked == "full" else int(asked)
    plan = plan.model_copy(update={"train": train.model_copy(update={"batch_size": size})})
    block = min(_context(settings, request.model), len(tokens) - 1)
    ready = LanguageReady(
        request, plan, settings, nn.Identity(), Encoding({corpus.column: encoder}), task, {},
        fingerprint(pl.DataFrame({"text": corpus.texts})), block, False, streams,
        {
            name: num_characters(encoder, part, separated=separated)
            for name, part in texts.items()
        },
    )  # fmt: skip
    return _with_network(ready)


def _with_network(ready: LanguageReady) -> LanguageReady:
    """All with its network, on the device."""
    device, reason = choose_device(ready.plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    network, sizes = make_network(ready, ready.example(), ready.request.model)
    ready.carries = bool(getattr(ready.settings, "carry", False))
    if ready.carries and ready.plan.train.accumulate > 1:
        raise InputError(
            "states cannot go on in batches that are computed in parts",
            expected="train.accumulate 1, or model.carry false",
            got=f"train.accumulate {ready.plan.train.accumulate}",
            do="set one of them",
        )
    if ready.carries:
        rows = ready.batches().batch_size
        network = Carrying(network, rows)
    ready.network = network.to(device)
    ready.sizes = {**sizes, "source": NAME, "block": ready.block}
    ready.streams = {name: part.to(device) for name, part in ready.streams.items()}
    _say(ready)
    return ready


def _context(settings: Any, own: nn.Module | None) -> int:
    """Tokens of a window: the model's context."""
    return int(getattr(settings, "context", None) or getattr(own, "context", None) or BLOCK)


def _say(ready: LanguageReady) -> None:
    counts = [f"{len(ready.streams[name]):,}" for name in SPLITS]
    logger.info(
        "task %s, model %s with %s parameters; %s tokens to train on, %s to validate, %s to test",
        NAME,
        ready.plan.model["name"],
        f"{sum(p.numel() for p in ready.network.parameters()):,}",
        *counts,
    )
    how = "states go on from one to the next" if ready.carries else "each on its own"
    logger.info(
        "windows of %d tokens, %s, %d at once", ready.block, how, ready.batches().batch_size
    )


def _with_vocabulary(
    plan: Plan, corpus: Corpus, texts: list[str]
) -> tuple[Plan, RunningTextEncoder]:
    """The plan with its tokens named, and the vocabulary of the training text."""
    data = plan.data
    characters = sum(map(len, texts))
    by: TokensName = "character" if characters <= MOST_CHARACTERS else "bpe"
    by = by if data.tokens == "auto" else data.tokens
    given = data.model_fields_set
    few = max(FEWEST_TOKENS, min(MOST_TOKENS, characters // CHARACTERS_OF_TOKEN))
    whole = by == "word" or "max_tokens" in given
    most = data.max_tokens if by == "character" or whole else few
    least = data.min_token_count if by != "character" or "min_token_count" in given else 1
    vocabulary = fit_vocabulary(texts, by, max_tokens=most, min_count=least)
    encoder = RunningTextEncoder.of(vocabulary)
    logger.info(
        "text: %s characters to train on; a token is a %s, %d known",
        f"{characters:,}",
        {"bpe": "part of a word (byte pairs)", "wordpiece": "part of a word"}.get(by, by),
        encoder.size[0],
    )
    data = data.model_copy(
        update={
            "tokens": by,
            "max_tokens": most,
            "min_token_count": least,
            "text": "tokens",
            "types": {corpus.column: "text"},
            "target": corpus.column,
        }
    )
    return plan.model_copy(update={"data": data}), encoder


def _check(plan: Plan) -> None:
    """Refuse what running text has no use for."""
    data = plan.data
    unfit = {
        "data.weight": data.weight,
        "data.sampling": None if data.sampling == "none" else data.sampling,
        "data.stratified_batches": data.stratified_batches or None,
        "data.vocabulary": getattr(data, "vocabulary", None),
        "several targets": data.target if isinstance(data.target, list) else None,
    }
    for key, value in unfit.items():
        if value is not None:
            raise InputError(
                f"{key} does not fit the task {NAME}",
                expected="text, and how it is divided",
                got=repr(value),
                do=f"leave {key} out",
            )


def _too_short(count: int) -> InputError:
    return InputError(
        "there is too little text to train on",
        expected="at least two tokens",
        got=str(count),
        do="give more text, or a larger data.split.train",
    )


LANGUAGE_WAY = Way(make_ready, predict_texts, evaluate_texts)
