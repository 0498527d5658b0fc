"""Whether texts suit the network that is to read them."""

from __future__ import annotations

from typing import Any

from glial.core.errors import InputError
from glial.data import Encoding
from glial.data.encoders import SubwordEncoder


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
