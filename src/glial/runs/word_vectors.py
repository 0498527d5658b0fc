"""Word vectors from plain text: what is prepared, how they are judged, and what they give."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.seeds import derive_seed
from glial.data import Encoding
from glial.data.batches import Batch, Batches
from glial.data.corpora import SPLITS, Corpus, read_corpus, split_corpus
from glial.data.encoders import TokenEncoder
from glial.data.word_vectors import WordVectors
from glial.data.word_windows import WordStream, lines_of
from glial.models import MODELS
from glial.models.fasttext import FastText
from glial.models.word_vectors import FIRST, WordNetwork
from glial.objectives.row_descent import RowDescent
from glial.runs.loading import load
from glial.runs.network import built_network
from glial.runs.plan import Plan
from glial.runs.preparation import choose_model
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.ways import Judged, Way
from glial.tasks import Task
from glial.tasks.task import Loss
from glial.tasks.word_embedding import WordEmbedding
from glial.training import Objective
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

NAME = "word-vectors"
MONITORED_PAIRS = 2_000
SCORED_PAIRS = 10_000


@dataclass
class WordsReady:
    """Everything before the first step on a text, made without touching the run's folder.

    Attributes:
        request: What was asked for.
        plan: The plan, all of it decided.
        network: The network.
        encoding: The vocabulary.
        task: What is judged.
        sizes: What ``model.json`` holds.
        fingerprint: What tells the text from others.
        streams: The text of each split.
    """

    request: Request
    plan: Plan
    network: Any
    encoding: Encoding
    task: Task
    sizes: dict[str, Any]
    fingerprint: str
    streams: dict[str, WordStream]

    @property
    def loss(self) -> Loss:
        """The task's loss."""
        return self.task.loss

    @property
    def mass(self) -> Mass:
        """What that divides its sum by."""
        return self.task.mass

    def batches(self) -> Batches:
        """The batches to train on."""
        train = self.plan.train
        stream, size = self.streams["train"], int(train.batch_size)
        found: Batches = self.network.batches(stream, size, train.seed)
        return found

    def example(self) -> Batch:
        """Texts as the network is called with them."""
        return Batch((torch.full((1, 1), FIRST),), torch.zeros(1))

    def sampled(self, split: str) -> Batch | None:
        """None: pairs are no rows that could be looked into."""
        return None

    def objective(self, plan: Plan) -> Objective:
        """Descent on the rows of the tables that a batch looks up."""
        network = self.network
        return RowDescent(
            network, lambda batch: network.loss(*batch.inputs), plan.train, float(plan.train.lr)
        )

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """The loss of pairs that were kept back."""
        pairs = _pairs(self.network, self.streams["val"], self.plan, MONITORED_PAIRS)
        if pairs is None:
            return None

        def validate() -> dict[str, float]:
            return {"loss": -float(_log_probabilities(run, pairs).double().mean())}

        return validate

    def judged(self, run: Run, split: str) -> Judged | None:
        """How well words of a split are foretold."""
        return _judged(run, self.streams[split])


def make_ready(request: Request, plan: Plan) -> WordsReady:
    """Text, vocabulary and network of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the text or the plan cannot be used.
    """
    _check_asked(request, plan)
    plan = plan.model_copy(update={"task": plan.task.model_copy(update={"name": "embedding"})})
    corpus, texts = _texts(request, plan)
    by = "word" if plan.data.tokens == "auto" else plan.data.tokens
    data = plan.data.model_copy(update={"tokens": by, "text": "tokens"})
    lines = lines_of(texts["train"]).alias(corpus.column)
    encoder = TokenEncoder.fit(lines, data)
    streams = {name: WordStream.read(texts[name], encoder) for name in SPLITS}
    _check_words(encoder, streams["train"], plan)
    num_words = len(streams["train"])
    plan, settings = choose_model(plan.model_copy(update={"data": data}), num_words, {})
    train = plan.train.model_copy(
        update={"batch_size": _batch_size(plan, num_words), "device": "cpu"}
    )
    plan = plan.model_copy(update={"model": settings.model_dump(mode="json"), "train": train})
    size = plan.task.embedding_size
    network, sizes = built_network(
        settings,
        {
            "num_inputs": 0,
            "num_outputs": size,
            "cardinalities": [],
            "vocabularies": [encoder.size[0]],
        },
        plan,
        Batch((), torch.empty(0)),
    )
    assert isinstance(network, WordNetwork)  # noqa: S101 - narrows the type
    network.set_words(encoder.tokens, streams["train"].counts(encoder.size[0]))
    foretold = pl.DataFrame({corpus.column: network.foretold().tolist()})
    own = WordEmbedding.fit(foretold, [corpus.column], plan.task, request.loss)
    logger.info(
        "model %s: vectors of %d numbers for %d words; %s words of text to train on, %s to "
        "validate, %s to test",
        plan.model["name"],
        size,
        len(encoder.tokens),
        *(f"{len(streams[name]):,}" for name in SPLITS),
    )
    fingerprint = hashlib.sha256(repr([texts[name] for name in SPLITS]).encode()).hexdigest()
    return WordsReady(
        request,
        plan,
        network,
        Encoding({corpus.column: encoder}),
        own,
        sizes | {"source": NAME},
        fingerprint,
        streams,
    )


def _check_asked(request: Request, plan: Plan) -> None:
    """Refuse what word vectors cannot do."""
    data, train = plan.data, plan.train
    name = plan.model["name"]
    wrong = {
        "task.name": None if plan.task.name in ("auto", "embedding") else plan.task.name,
        "model": None if request.model is None else type(request.model).__name__,
        "data.tokens": data.tokens if data.tokens in ("bpe", "wordpiece") else None,
        "data.weight": data.weight,
        "data.sampling": None if data.sampling == "none" else data.sampling,
        "train.device": None if train.device in ("auto", "cpu") else train.device,
        "train.lr": "auto" if train.lr == "auto" and "lr" in train.model_fields_set else None,
        "train.batch_size": "full" if train.batch_size == "full" else None,
        "model.weights": plan.model.get("weights"),
    }
    for key, value in wrong.items():
        if value is not None:
            raise InputError(
                f"{key} {value} does not go with word vectors",
                expected=f"plain text, the task embedding and the model {name}, on the processor",
                got=f"{key}: {value}",
                do=f"leave {key} out",
            )


def _batch_size(plan: Plan, num_words: int) -> int:
    """Words of a block, or pairs; `auto` is what the model's recipe says."""
    asked = plan.train.batch_size
    recipe = MODELS.resolve(plan.model["name"]).train_defaults("embedding", num_words)
    return asked if isinstance(asked, int) else int(recipe["batch_size"])


def _texts(request: Request, plan: Plan) -> tuple[Corpus, dict[str, list[str]]]:
    """The texts of each split: from files of their own, or divided by position."""
    data = plan.data
    source = data.source if request.source is None else request.source
    column = data.target if isinstance(data.target, str) else None
    corpus = read_corpus(source, column)
    own = {name: path for name in ("val", "test") if (path := getattr(data, name)) is not None}
    shares = dict.fromkeys(own, 0.0)
    shares["train"] = data.split.train + sum(getattr(data.split, name) for name in own)
    texts = split_corpus(corpus, data.split.model_copy(update=shares), plan.split_seed)
    return corpus, texts | {name: read_corpus(path, column).texts for name, path in own.items()}


def _check_words(encoder: TokenEncoder, stream: WordStream, plan: Plan) -> None:
    """Refuse a text from which nothing could be learnt."""
    together = bool((stream.lines.diff() == 0).any())
    if len(encoder.tokens) < 2 or not together:
        raise InputError(
            "the text is too short to learn word vectors from",
            expected="lines with two or more words that stand in the text "
            f"{plan.data.min_token_count} times or more",
            got=f"{len(encoder.tokens)} such words",
            do="give more text, or set data.min_token_count=1",
        )


def _pairs(
    network: WordNetwork, stream: WordStream, plan: Plan, most: int
) -> tuple[Tensor, Tensor] | None:
    """Words of a text and those beside them, the same whenever asked; None where there is none."""
    if not len(stream):
        return None
    around, words = network.pairs(stream, derive_seed(plan.train.seed, "kept back"), most)
    return (around, words) if len(words) else None


def _log_probabilities(run: Run, pairs: tuple[Tensor, Tensor]) -> Tensor:
    network: Any = run.model
    with torch.no_grad():
        found: Tensor = network.log_probability(*pairs)
    return found


def _judged(run: Run, stream: WordStream) -> Judged | None:
    """The loss of a text's pairs beside that of the trivial predictor."""
    task: Any = run.decoder
    network: Any = run.model
    pairs = _pairs(network, stream, run.plan, SCORED_PAIRS)
    if pairs is None:
        return None
    around, words = pairs
    drawn = task.drawn(len(words), run.plan.train.seed)
    told = [_log_probabilities(run, (around, each)) for each in (words, drawn)]
    shares = [task.log_shares[each] for each in (words, drawn)]
    return Judged(task.figures(*told, *shares), task.figures(*shares, *shares))


def _encoder(run: Run) -> tuple[str, TokenEncoder]:
    column, encoder = next(iter(run.encoding.encoders.items()))
    assert isinstance(encoder, TokenEncoder)  # noqa: S101 - narrows the type
    return column, encoder


def _predict(run: Run, source: Any) -> pl.DataFrame:
    """The vector of each line of a text, or of each text of a table: the mean of its words'."""
    column, _ = _encoder(run)
    corpus = read_corpus(source, column if _has(source, column) else None)
    texts = lines_of(corpus.texts) if corpus.frame is None else pl.Series(corpus.texts)
    frame = pl.DataFrame({column: texts})
    return run.decoder.decode(run.outputs(frame)).frame()


def _has(source: Any, column: str) -> bool:
    """Whether a table in memory has a column."""
    return column in getattr(source, "columns", source if isinstance(source, dict) else ())


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    """How well words of a text are foretold."""
    _, encoder = _encoder(run)
    judged = _judged(run, WordStream.read(read_corpus(source).texts, encoder))
    if judged is None:
        raise InputError(
            "the text has no two known words beside each other",
            expected="text with words that training showed",
            got="none",
            do="give more text",
        )
    return {"metrics": judged.metrics, "baseline": judged.baseline, "details": {}}


def word_vectors(run: Run | str | Path) -> WordVectors:
    """The words of a run, and their vectors.

    Args:
        run: A run of the models word2vec, glove or fasttext, or its folder.

    Raises:
        InputError: If the run has no vectors of words.

    Example:
        >>> import glial
        >>> text = {"text": ["the cat sat on the mat", "the dog sat on the rug"] * 5}
        >>> run = glial.train(text, task="embedding", model="word2vec", epochs=1, out=False)
        >>> len(word_vectors(run))
        7
    """
    run = run if isinstance(run, Run) else load(run)
    if not isinstance(run.model, WordNetwork):
        raise InputError(
            "this run has no vectors of words",
            expected="a run of the model word2vec, glove or fasttext",
            got=f"the model {run.plan.model['name']}",
            do="train one: glial train text.txt --task embedding --model word2vec",
        )
    with torch.no_grad():
        matrix = run.model.vectors()[FIRST:].clone()
    return WordVectors(_encoder(run)[1].tokens, matrix)


def with_unseen(vectors: WordVectors, run: Run, words: list[str]) -> WordVectors:
    """Vectors with those of further words, where a run can make them of the words' parts.

    Args:
        vectors: Those of the run's own words.
        run: The run.
        words: Words, some of which may be there already.
    """
    new = [word for word in dict.fromkeys(words) if word not in vectors]
    if not new or not isinstance(run.model, FastText):
        return vectors
    with torch.no_grad():
        made = torch.stack([run.model.vector(word) for word in new])
    known = [row for row in range(len(new)) if bool(made[row].any())]
    matrix = torch.cat([vectors.matrix, made[known]])
    return WordVectors([*vectors.words, *(new[row] for row in known)], matrix)


WORDS_WAY = Way(make_ready, _predict, _evaluate)
