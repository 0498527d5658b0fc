"""What a language model says of text: of each token, how likely it was from those before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.data import to_kind_of
from glial.data.corpora import Corpus, read_corpus
from glial.data.encoders import RunningTextEncoder
from glial.data.windows import judged_windows
from glial.nn.summary import evaluating
from glial.runs.run import Run
from glial.tasks.language import LanguageModelling

logger = logging.getLogger(__name__)

# Scores that are held at once.
SCORES_AT_ONCE = 1 << 24


def told_of(
    model: nn.Module, task: LanguageModelling, tokens: Tensor, length: int, stride: int
) -> Tensor:
    """What a network says of each token of a text but the first: see `LanguageModelling.told`.

    Args:
        model: The network.
        task: What is learnt.
        tokens: The text, [token].
        length: Tokens that the network is shown at once.
        stride: Tokens from one window to the next; at least ``length - stride`` are before each
            token that is judged, as far as the text has them.

    Returns:
        [token, 2].
    """
    length = min(length, len(tokens) - 1)
    if length < 1:
        return torch.zeros(0, 2, dtype=torch.float64)
    begins, firsts = judged_windows(len(tokens), length, min(stride, length))
    windows = tokens.unfold(0, length + 1, 1)[torch.tensor(begins, device=tokens.device)]
    judged = torch.arange(length) >= torch.tensor(firsts)[:, None]
    return told_of_windows(model, task, windows)[judged]


def told_of_windows(model: nn.Module, task: LanguageModelling, windows: Tensor) -> Tensor:
    """What a network says of every token but the first of each window, [window, token, 2].

    Args:
        model: The network.
        task: What is learnt.
        windows: Tokens, [window, token].
    """
    size = max(1, SCORES_AT_ONCE // (windows.shape[1] * task.num_outputs))
    parts = []
    with evaluating(model), torch.inference_mode():
        for begin in range(0, len(windows), size):
            some = windows[begin : begin + size].long()
            parts.append(task.told(model(some[:, :-1]), some[:, 1:]).cpu())
    return torch.cat(parts)


def encoder_of(run: Run) -> RunningTextEncoder:
    """The vocabulary of a run."""
    found: Any = next(iter(run.encoding.encoders.values()))
    assert isinstance(found, RunningTextEncoder)  # noqa: S101 - narrows the type
    return found


def task_of(run: Run) -> LanguageModelling:
    """The task of a run."""
    task: Any = run.decoder
    assert isinstance(task, LanguageModelling)  # noqa: S101 - narrows the type
    return task


def is_separated(run: Run) -> bool:
    """Whether ends stood between the texts that a run was trained on."""
    return task_of(run).counts[encoder_of(run).vocabulary.specials["end"]] > 0


def block_of(run: Run) -> int:
    """Tokens that a run's network is shown at once."""
    return int(run.sizes["block"])


def evaluate_texts(run: Run, source: Any) -> dict[str, Any]:
    """Metrics of a run on texts, as ``glial.evaluate`` gives them.

    Args:
        run: The run.
        source: As for `glial.data.corpora.read_corpus`.

    Raises:
        InputError: If the source holds no text.
    """
    encoder, task = encoder_of(run), task_of(run)
    texts = _corpus(run, source).texts
    tokens = encoder.stream(texts, separated=is_separated(run))
    block = block_of(run)
    told = told_of(run.model, task, tokens, block, max(1, block // 2))
    count = num_characters(encoder, texts, separated=is_separated(run))
    target = tokens[1:].long()
    unknown = encoder.vocabulary.specials["unknown"]
    return {
        "metrics": task.figures(told, count),
        "baseline": task.figures(task.trivial_told(target), count),
        "details": {
            "texts": len(texts),
            "tokens": len(told),
            "characters": count,
            "unknown_tokens": int((target == unknown).sum()),
        },
    }


def num_characters(encoder: RunningTextEncoder, texts: Sequence[str], *, separated: bool) -> int:
    """How many characters are judged: all, but for a first token's where nothing is before it.

    Args:
        encoder: The vocabulary.
        texts: The texts.
        separated: Whether an end stands before the first.
    """
    total = sum(map(len, texts))
    if separated or not total:
        return total
    first = encoder.vocabulary.encode([texts[0][:100]])[0][:1]
    return total - len(encoder.vocabulary.decode([first])[0])


def predict_texts(run: Run, source: Any) -> Any:
    """What a run says of each text.

    Args:
        run: The run.
        source: As for `glial.data.corpora.read_corpus`.

    Returns:
        A table of the caller's kind: ``prediction``, the likeliest next token; ``log_likelihood``,
        the mean of ln p over the text's tokens (missing where none has one before it) and
        ``perplexity``, e to minus this; ``tokens``, how many these are.

    Raises:
        InputError: If the source holds no text.
    """
    encoder, task = encoder_of(run), task_of(run)
    vocabulary, separated = encoder.vocabulary, is_separated(run)
    corpus = _corpus(run, source, keep_empty=True)
    before = [vocabulary.specials["end"]] if separated else []
    allowed = allowed_tokens(run)
    block = block_of(run)
    rows: list[dict[str, Any]] = []
    for row in vocabulary.encode(corpus.texts):
        tokens = torch.tensor([*before, *row], dtype=torch.int64)
        told = told_of(run.model, task, tokens, block, max(1, block // 2))
        scores = task.log_shares if not len(tokens) else _next(run.model, tokens[-block:])
        following = int(scores.masked_fill(~allowed, -torch.inf).argmax())
        figures = task.figures(told)
        rows.append(
            {
                "prediction": vocabulary.decode([[following]])[0],
                "log_likelihood": -figures["log_loss"] if len(told) else None,
                "perplexity": figures["perplexity"] if len(told) else None,
                "tokens": len(told),
            }
        )
    schema = {"prediction": pl.String, "log_likelihood": pl.Float64, "perplexity": pl.Float64}
    return to_kind_of(pl.DataFrame(rows, schema={**schema, "tokens": pl.Int64}), source)


def _next(model: nn.Module, tokens: Tensor) -> Tensor:
    """Scores of the token behind the last."""
    with evaluating(model), torch.inference_mode():
        scores: Tensor = model(tokens[None])[0, -1]
    return scores


def allowed_tokens(run: Run) -> Tensor:
    """Which tokens may follow: all of the text's own, and an end where there were some, [token]."""
    specials = encoder_of(run).vocabulary.specials
    allowed = torch.ones(task_of(run).num_outputs, dtype=torch.bool)
    allowed[list(specials.values())] = False
    allowed[specials["end"]] = is_separated(run)
    return allowed


def _corpus(run: Run, source: Any, *, keep_empty: bool = False) -> Corpus:
    column = run.decoder.targets[0]
    return read_corpus(source, column, keep_empty=keep_empty)
