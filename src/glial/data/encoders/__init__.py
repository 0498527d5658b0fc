"""How one column becomes numbers or codes: an encoder for each kind, fitted on training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from glial.data.cells import texts
from glial.data.encoders.categories import (
    CategoryEncoder,
    HashingEncoder,
    LookupEncoder,
    OneHotEncoder,
    fit_ranks,
    fit_target_means,
)
from glial.data.encoders.dates import DatetimeEncoder
from glial.data.encoders.images import ImageEncoder
from glial.data.encoders.numbers import BooleanEncoder, NumberEncoder
from glial.data.encoders.phrases import (
    PhraseEncoder,
    Phrases,
    SubwordPhraseEncoder,
    fit_phrases,
)
from glial.data.encoders.running import RunningTextEncoder
from glial.data.encoders.sequences import SequenceEncoder
from glial.data.encoders.sounds import SoundEncoder
from glial.data.encoders.subwords import SubwordEncoder
from glial.data.encoders.tokens import TokenEncoder
from glial.data.encoders.varied import VariedImageEncoder
from glial.data.encoders.word_features import WordFeaturesEncoder
from glial.data.encoders.words import TextEncoder
from glial.data.settings import DataSettings, HeldAs, Kind

__all__ = [
    "ENCODERS",
    "BooleanEncoder",
    "CategoryEncoder",
    "ColumnEncoder",
    "DatetimeEncoder",
    "HashingEncoder",
    "ImageEncoder",
    "LookupEncoder",
    "NumberEncoder",
    "OneHotEncoder",
    "PhraseEncoder",
    "Phrases",
    "RunningTextEncoder",
    "SequenceEncoder",
    "SoundEncoder",
    "SubwordEncoder",
    "SubwordPhraseEncoder",
    "TensorEncoder",
    "TextEncoder",
    "TokenEncoder",
    "VariedImageEncoder",
    "WordFeaturesEncoder",
    "fit_column",
    "fit_columns",
    "fit_phrases",
]

# What a saved encoding calls them.
ENCODERS: dict[str, Any] = {
    "number": NumberEncoder,
    "boolean": BooleanEncoder,
    "datetime": DatetimeEncoder,
    "category": CategoryEncoder,
    "one-hot": OneHotEncoder,
    "lookup": LookupEncoder,
    "hashing": HashingEncoder,
    "text": TextEncoder,
    "image": ImageEncoder,
    "tokens": TokenEncoder,
    "subwords": SubwordEncoder,
    "running-text": RunningTextEncoder,
    "varied-image": VariedImageEncoder,
    "phrases": PhraseEncoder,
    "subword-phrases": SubwordPhraseEncoder,
    "sound": SoundEncoder,
    "sequence": SequenceEncoder,
    "word-features": WordFeaturesEncoder,
}


@runtime_checkable
class ColumnEncoder(Protocol):
    """Turns a column into numbers, [row, number]; a :class:`CategoryEncoder` into codes."""

    @property
    def labels(self) -> list[str]:
        """What each number is, such as ``is missing``; empty for the value itself."""


@runtime_checkable
class TensorEncoder(Protocol):
    """Turns a column into a tensor of its own beside the numbers: pixels, steps, tokens, words.

    Attributes:
        modality: What the tensor holds.
    """

    modality: ClassVar[HeldAs]

    @property
    def size(self) -> list[int]:
        """What a network must know of it, such as [channel, height, width] or [vocabulary]."""

    def tensor(self, column: pl.Series) -> Tensor:
        """The column in the form in which it is held: the smaller, the better."""

    def finish(self, held: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the network is given of some held rows, on their device."""


def fit_column(
    column: pl.Series,
    kind: Kind,
    settings: DataSettings,
    *,
    target: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> tuple[ColumnEncoder | TensorEncoder | None, NDArray[np.float64] | None]:
    """The encoder of one column.

    Args:
        column: Its training cells.
        kind: What the column is.
        settings: The plan's ``data`` part.
        target: Targets of the rows as numbers, [row, output], for means of the target.
        seed: Seed of what is drawn.

    Returns:
        The encoder, None where the column says nothing; and the numbers of the training rows
        where these must differ from what the encoder gives them (means of the target).

    Raises:
        InputError: If the column's settings do not fit it.

    Example:
        >>> encoder, _ = fit_column(pl.Series("a", [1.0, 3.0]), "number", DataSettings())
        >>> encoder.labels
        ['']
    """
    if kind == "text" and settings.text == "tokens":
        parts = settings.tokens in ("bpe", "wordpiece") or settings.vocabulary is not None
        return (SubwordEncoder if parts else TokenEncoder).fit(column, settings), None
    if kind == "text":
        return (None if settings.text == "ignore" else TextEncoder.fit(column, settings)), None
    if kind != "category":
        encoders = {
            "number": NumberEncoder,
            "boolean": BooleanEncoder,
            "datetime": DatetimeEncoder,
            "sound": SoundEncoder,
            "words": WordFeaturesEncoder,
            "image": VariedImageEncoder if settings.images.size == "varied" else ImageEncoder,
            "sequence": SequenceEncoder,
        }
        encoder = encoders.get(kind)
        return (None if encoder is None else encoder.fit(column, settings)), None  # type: ignore[attr-defined]
    how = settings.of(column.name).categories
    if how == "target" and target is not None:
        return fit_target_means(column, settings, target, seed)
    if how == "ordinal":
        return fit_ranks(column, settings), None
    if how == "hashing":
        return HashingEncoder.fit(column, settings), None
    categories = CategoryEncoder.fit(column, settings)
    few = categories.cardinality - 1 <= settings.max_one_hot
    if how == "one-hot" or (how in (None, "target") and few):
        return OneHotEncoder(categories), None
    return categories, None


def fit_columns(
    frame: pl.DataFrame,
    kinds: Mapping[str, Kind],
    settings: DataSettings,
    *,
    target: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> tuple[dict[str, ColumnEncoder | TensorEncoder], dict[str, NDArray[np.float64]]]:
    """The encoders of a table's columns.

    Args:
        frame: The training rows.
        kinds: Kind of each input column.
        settings: The plan's ``data`` part.
        target: As for `fit_column`.
        seed: Seed of what is drawn.

    Returns:
        The encoder of each column that says anything, one and the same of all columns of texts
        where these share a vocabulary; and numbers of the training rows as by `fit_column`.

    Raises:
        InputError: If a column's settings do not fit it.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0, 3.0], "b": [True, False]})
        >>> list(fit_columns(frame, {"a": "number", "b": "boolean"}, DataSettings())[0])
        ['a', 'b']
    """
    encoders: dict[str, ColumnEncoder | TensorEncoder] = {}
    training: dict[str, NDArray[np.float64]] = {}
    alike = [name for name, kind in kinds.items() if kind == "text"]
    shares = settings.shared_vocabulary and settings.text == "tokens" and len(alike) > 1
    shared: ColumnEncoder | TensorEncoder | None = None
    if shares:
        cells = pl.concat([texts(frame[name]).alias(" and ".join(alike)) for name in alike])
        shared = fit_column(cells, "text", settings)[0]
    for name, kind in kinds.items():
        encoder, own = shared, None
        if shared is None or kind != "text":
            encoder, own = fit_column(frame[name], kind, settings, target=target, seed=seed)
        if encoder is not None:
            encoders[name] = encoder
        if own is not None:
            training[name] = own
    return encoders, training
