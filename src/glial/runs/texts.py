"""Texts of a plan, and whether they suit the network that is to read them."""

from __future__ import annotations

from typing import Any

from glial.core.errors import InputError
from glial.data import Encoding
from glial.data.corpora import SPLITS, Corpus, read_corpus, split_corpus
from glial.data.encoders import SubwordEncoder
from glial.runs.plan import Plan


def check_texts(settings: Any, encoding: Encoding) -> None:
    """Refuse texts that a network cannot compare, or that its number of places does not hold.

    Args:
        settings: The model's.
        encoding: How the columns become its inputs.

    Raises:
        InputError: If so.

    Example:
        >>> from glial.models.bert import BertSettings
        >>> check_texts(BertSettings(), Encoding({}))
    """
    texts = [e for e in encoding.encoders.values() if getattr(e, "modality", "") == "text"]
    if not settings.takes_numbers and any(encoder != texts[0] for encoder in texts):
        raise InputError(
            f"the model {settings.name!r} compares texts by one vocabulary",
            expected="texts that share it",
            got="a vocabulary of each column's own",
            do="set data.shared_vocabulary=true",
        )
    context = getattr(settings, "context", None)
    pieces = [encoder for encoder in texts if isinstance(encoder, SubwordEncoder)]
    if context is None:
        return
    if len(pieces) < len(texts):
        raise InputError(
            f"the model {settings.name!r} reads texts between a start and an end",
            expected="data.tokens: wordpiece or bpe",
            got="words or characters",
            do="leave data.tokens out",
        )
    longest = sum(encoder.max_length for encoder in pieces)
    if longest > context:
        raise InputError(
            f"the texts are longer than the model {settings.name!r} can read",
            expected=f"at most {context} tokens a row",
            got=f"up to {longest}",
            do=f"set data.max_length to {context // len(pieces)}, or raise model.context",
        )


def read_texts(plan: Plan, source: Any) -> tuple[Corpus, dict[str, list[str]]]:
    """The texts of a plan, and those of each split.

    Args:
        plan: Whose validation and test texts may be in files of their own; the shares of what
            remains then grow.
        source: In place of the plan's; None is the plan's.

    Example:
        >>> from glial.runs.plan import Plan
        >>> plan = Plan.model_validate({"data": {"source": None, "target": "text"}})
        >>> corpus, texts = read_texts(plan, {"text": [f"text {n}" for n in range(20)]})
        >>> {name: len(part) for name, part in texts.items()}
        {'train': 14, 'val': 3, 'test': 3}
    """
    data = plan.data
    column = data.target if isinstance(data.target, str) else None
    corpus = read_corpus(data.source if source is None else source, column)
    shares = data.split
    given = {
        name: read_corpus(getattr(data, name), corpus.column).texts
        for name in ("val", "test")
        if getattr(data, name) is not None
    }
    if given:
        left = {name: 0.0 if name in given else getattr(shares, name) for name in SPLITS}
        total = sum(left.values())
        left = {name: share / total for name, share in left.items()}
        shares = shares.model_copy(update=left)
    return corpus, split_corpus(corpus, shares, plan.split_seed) | given
