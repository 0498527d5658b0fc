"""What the settings of all networks of one text have in common."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.encoders.tokens import FIRST
from glial.data.word_vectors import WordVectors, vector_size
from glial.functional import dropout
from glial.models.settings import ModelSettings
from glial.nn.tokens import TokenVectors

logger = logging.getLogger(__name__)

MANY_ROWS = 20_000
# A language model learns from about so many tokens in all, in passes over shorter texts.
LEARNT_TOKENS = 10_000_000


class TextSettings(ModelSettings):
    """A network of one text: vectors of tokens, features of the whole, a linear head.

    Attributes:
        size: Length of a token's vector; None is that of ``vectors``, else 64, and 128 from
            20,000 rows on.
        vectors: A file of word vectors, as `glial.data.word_vectors.WordVectors` reads them, with
            which those of known words start; None starts all at random.
        token_dropout: Share of tokens taken for unknown in training.
        dropout: Share of features dropped in training, before the head.

    Example:
        >>> TextSettings().for_data(100_000, 1, 2).size
        128
    """

    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True

    size: int | None = Field(default=None, ge=1)
    vectors: str | None = None
    token_dropout: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "classification"
    ) -> TextSettings:
        """Longer vectors where there are many rows, or as long as those that they start from."""
        own = None if self.vectors is None else vector_size(self.vectors)
        if own is not None and self.size not in (None, own):
            raise InputError(
                "the vectors of the file have another size than the model",
                expected=f"model.size {own}",
                got=f"model.size {self.size}",
                do="leave model.size out",
            )
        size = own or self.size or (64 if num_rows < MANY_ROWS else 128)
        return self.model_copy(update={"size": size})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        """The network; without `for_data` a token's vector has 64 numbers.

        Args:
            num_inputs: 0.
            num_outputs: Numbers that the head gives for a row.
            cardinalities: None.
            vocabularies: Number of tokens of the one text or of both, padding and unknown ones
                included.

        Raises:
            InputError: If there is no text, or anything beside one or two of one vocabulary.
        """
        self.check_sizes(num_inputs, num_outputs, cardinalities, vocabularies=vocabularies)
        check_pair(getattr(self, "name", ""), num_inputs, vocabularies)
        text = self.network(vocabularies[0], num_outputs, self.size or 64)
        return TextPair(text, num_outputs) if len(vocabularies) == 2 else text

    def data_defaults(self) -> dict[str, Any]:
        """One vocabulary for both texts of a pair."""
        return {"shared_vocabulary": True}

    def network(self, vocabulary: int, num_outputs: int, size: int) -> TextNetwork:
        """The network of a vocabulary, with ``embed``, ``num_features`` and ``head``."""
        raise NotImplementedError


class TextNetwork(nn.Module):
    """Vectors of tokens, features of the whole text, and a linear head.

    Who derives from it gives ``embed``, ``num_features`` and ``head``.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        size: Length of a token's vector.

    Example:
        >>> TextNetwork(TextSettings(), 10, 4).embedding.weight.shape
        torch.Size([10, 4])
    """

    num_features: int
    head: nn.Module

    def __init__(self, settings: TextSettings, vocabulary: int, size: int) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.embedding = TokenVectors(vocabulary, size, dropout=settings.token_dropout)

    def embed(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        """What the head sees of each text."""
        raise NotImplementedError

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row output"]:
        """The head's output for each text."""
        features = dropout(self.embed(tokens), self.dropout, training=self.training)
        outputs: Tensor = self.head(features)
        return outputs


class TextPair(nn.Module):
    """Two texts through one network, and a linear head that compares their features.

    The head sees both texts' features, how far these are apart, and their products.

    Args:
        text: The network of a text, whose own head is left out.
        num_outputs: Outputs.

    Source:
        Conneau et al. (2017), "Supervised learning of universal sentence representations", arXiv
        1705.02364, figure 1.

    Example:
        >>> from glial.models import build
        >>> network = build("text_gru", num_outputs=3, vocabularies=[20, 20])
        >>> network(torch.tensor([[5, 6]]), torch.tensor([[6, 5, 0]])).shape
        torch.Size([1, 3])
    """

    def __init__(self, text: TextNetwork, num_outputs: int) -> None:
        super().__init__()
        self.dropout = text.dropout
        self.num_features = 4 * text.num_features
        text.head = nn.Identity()
        self.text = text
        self.head = nn.Linear(self.num_features, num_outputs)

    def embed(
        self, first: Int[Tensor, "row position"], second: Int[Tensor, "row other"]
    ) -> Float[Tensor, "row feature"]:
        """What the head sees of each pair."""
        one, two = self.text.embed(first), self.text.embed(second)
        return torch.cat([one, two, (one - two).abs(), one * two], dim=1)

    def forward(
        self, first: Int[Tensor, "row position"], second: Int[Tensor, "row other"]
    ) -> Float[Tensor, "row output"]:
        """The head's output for each pair."""
        features = dropout(self.embed(first, second), self.dropout, training=self.training)
        outputs: Tensor = self.head(features)
        return outputs


def check_pair(name: str, num_inputs: int, vocabularies: Sequence[int]) -> None:
    """Refuse anything beside a text, or a pair of texts of one vocabulary.

    Args:
        name: The model.
        num_inputs: Numbers of a row.
        vocabularies: Number of tokens of each text.

    Raises:
        InputError: If there is.

    Example:
        >>> check_pair("bert", 0, [100, 100])
    """
    if num_inputs or len(vocabularies) > 2:
        raise InputError(
            f"the model {name!r} takes a text or a pair of texts and nothing else",
            expected="one or two columns of text",
            got=f"{num_inputs} numbers and {len(vocabularies)} texts",
            do="choose the model mixed",
        )
    if len(set(vocabularies)) > 1:
        raise InputError(
            f"the model {name!r} compares texts by one vocabulary",
            expected="texts that share it",
            got=f"vocabularies of {' and '.join(map(str, vocabularies))} tokens",
            do="set data.shared_vocabulary=true",
        )


def start_from_vectors(network: nn.Module, words: Sequence[str], path: str) -> int:
    """Put the vectors of a file into a network's table of tokens; others get their usual length.

    A word takes the vector of the same spelling, else of one that is spelt so in lower case.

    Args:
        network: The network, with a layer `TokenVectors` in which words begin at 2.
        words: The words, as a `TokenEncoder` holds them.
        path: The file.

    Returns:
        How many words have a vector there.

    Raises:
        InputError: If the file cannot be read, its vectors have another size, or none is found.

    Example:
        >>> start_from_vectors(TokenVectors(3, 4), ["a"], "no-such-file.txt")
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: there is no file no-such-file.txt. ...
    """
    table = next(part.weight for part in network.modules() if isinstance(part, TokenVectors))
    found = WordVectors.load(path, only=set(words))
    places: dict[str, int] = {}
    for row, word in enumerate(found.words):
        places.setdefault(word.lower(), row)
    places.update({word: row for row, word in enumerate(found.words)})
    known = [number for number, word in enumerate(words) if word in places]
    logger.info("%s: vectors of %d of %d words", path, len(known), len(words))
    if not known or found.size != table.shape[1]:
        raise InputError(
            f"the vectors of {path} do not fit",
            expected=f"vectors of {table.shape[1]} numbers for the words of the text",
            got=f"{found.size} numbers, for {len(known)} of {len(words)} words",
            do="give a file of the text's language, and leave model.size out",
        )
    held = found.matrix[[places[words[number]] for number in known]]
    with torch.no_grad():
        table *= held.std(correction=0) / table[FIRST:].std(correction=0)
        table[torch.tensor(known) + FIRST] = held
    return len(known)


def text_recipe(num_rows: int, *, lr: float, epochs: int) -> dict[str, Any]:
    """AdamW with one cosine fall, and enough steps where rows are few.

    Args:
        num_rows: Rows of training.
        lr: Learning rate.
        epochs: Passes over 4,000 rows or more; up to four times as many over fewer.

    Example:
        >>> text_recipe(1000, lr=0.001, epochs=10)["epochs"]
        40
    """
    longer = min(4.0, max(1.0, 4000 / max(1, num_rows)))
    return {
        "optimizer": "adamw",
        "lr": lr,
        "batch_size": 64,
        "epochs": round(epochs * longer),
        "schedule": "cosine",
        "weight_decay": 0.01,
        "clip_norm": 1.0,
        "monitor": "loss",
    }


def check_one_text(name: str, num_inputs: int, vocabularies: Sequence[int]) -> None:
    """Refuse anything beside one text.

    Args:
        name: The model.
        num_inputs: Numbers of a row.
        vocabularies: Number of tokens of each text.

    Raises:
        InputError: If there are numbers, or several texts.

    Example:
        >>> check_one_text("text_cnn", 0, [100])
    """
    if num_inputs or len(vocabularies) > 1:
        raise InputError(
            f"the model {name!r} takes one text and nothing else",
            expected="one column of text",
            got=f"{num_inputs} numbers and {len(vocabularies)} texts",
            do="choose the model mixed",
        )


def language_recipe(num_tokens: int, *, lr: float) -> dict[str, Any]:
    """AdamW with a warm-up and one cosine fall, over about ten million tokens.

    Args:
        num_tokens: Tokens of the training text.
        lr: The highest learning rate.

    Example:
        >>> language_recipe(1_000_000, lr=0.002)["epochs"]
        10
    """
    return {
        "optimizer": "adamw",
        "lr": lr,
        "betas": [0.9, 0.99],
        "batch_size": 32,
        "epochs": max(1, min(100, round(LEARNT_TOKENS / max(1, num_tokens)))),
        "schedule": "cosine",
        "warmup": 0.02,
        "weight_decay": 0.1,
        "clip_norm": 1.0,
        "monitor": "loss",
    }
