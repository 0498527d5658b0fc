"""The layers of a transformer that reads a text from both ends.

Names and shapes of weights are those of the published checkpoints in the ``transformers`` library.

Source:
    Devlin, Chang, Lee, Toutanova (2019), "BERT: pre-training of deep bidirectional transformers for
    language understanding", arXiv 1810.04805.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import attend, attention_weights
from glial.models.settings import ModelSettings
from glial.nn.attention import check_length

EPSILON = 1e-12
Tokens = Int[Tensor, "row place"]
Mask = Bool[Tensor, "row place"]
Vectors = Float[Tensor, "row place size"]
Weights = Float[Tensor, "row head query seen"]


class BertSizes(ModelSettings):
    """The sizes of a BERT: those published as "base".

    Attributes:
        vocabulary: Number of tokens; that of the data where there are any.
        context: The most places.
        size: Numbers of a vector.
        layers: Layers.
        heads: Heads of the attention, by which ``size`` can be divided.
        hidden: Units between the linear layers at each place; None is four times ``size``.
        parts: Kinds of tokens, such as the first and the second of a pair of texts.
        dropout: Share of vectors and attention weights dropped in training.

    Example:
        >>> BertSizes().size
        768
    """

    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True

    vocabulary: int = Field(default=30_522, ge=1)
    context: int = Field(default=512, ge=1)
    size: int = Field(default=768, ge=1)
    layers: int = Field(default=12, ge=1)
    heads: int = Field(default=12, ge=1)
    hidden: int | None = Field(default=None, ge=1)
    parts: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class Embeddings(nn.Module):
    """Vectors of tokens, of places and of the part that a token is in, added and normalised.

    Args:
        settings: The settings.

    Example:
        >>> Embeddings(BertSizes(size=12))(torch.tensor([[5]]), torch.tensor([[0]])).shape
        torch.Size([1, 1, 12])
    """

    def __init__(self, settings: BertSizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(settings.vocabulary, settings.size, padding_idx=0)
        self.position_embeddings = nn.Embedding(settings.context, settings.size)
        self.token_type_embeddings = nn.Embedding(settings.parts, settings.size)
        self.LayerNorm = nn.LayerNorm(settings.size, EPSILON)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, tokens: Tokens, parts: Tokens, places: Tokens | None = None) -> Vectors:
        """The vectors.

        Args:
            tokens: Numbers of tokens.
            parts: Number of the part that each is in.
            places: Where each stands in the text; None is one after the other.

        Raises:
            InputError: If there are more places than the network knows.
        """
        check_length(tokens.shape[1], self.position_embeddings.num_embeddings)
        if places is None:
            places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        vectors = self.word_embeddings(tokens) + self.token_type_embeddings(parts)
        found: Tensor = self.LayerNorm(vectors + self.position_embeddings(places))
        return self.dropout(found)  # type: ignore[no-any-return]


class Added(nn.Module):
    """A linear layer whose outputs are added to what stood before, and normalised.

    Args:
        num_inputs: Inputs.
        size: Outputs.
        dropout: Share of the outputs dropped in training.

    Example:
        >>> Added(3, 4, 0.1)(torch.zeros(1, 2, 3), torch.ones(1, 2, 4)).shape
        torch.Size([1, 2, 4])
    """

    def __init__(self, num_inputs: int, size: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(num_inputs, size)
        self.LayerNorm = nn.LayerNorm(size, EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Float[Tensor, "row place inputs"], before: Vectors) -> Vectors:
        """The vectors.

        Args:
            values: What goes through the layer.
            before: What it is added to.
        """
        found: Tensor = self.LayerNorm(self.dropout(self.dense(values)) + before)
        return found


class SelfAttention(nn.Module):
    """Each place's mixture of all places that are no padding.

    Args:
        settings: The settings.

    Example:
        >>> SelfAttention(BertSizes(size=12))(torch.zeros(1, 3, 12), None).shape
        torch.Size([1, 3, 12])
    """

    def __init__(self, settings: BertSizes) -> None:
        super().__init__()
        self.query = nn.Linear(settings.size, settings.size)
        self.key = nn.Linear(settings.size, settings.size)
        self.value = nn.Linear(settings.size, settings.size)
        self.heads = settings.heads
        self.rate = settings.dropout

    def forward(self, vectors: Vectors, mask: Mask | None) -> Vectors:
        """The mixtures.

        Args:
            vectors: One a place.
            mask: Places that are no padding; None is all.
        """
        query, key, value = (
            self._by_head(layer, vectors) for layer in (self.query, self.key, self.value)
        )
        allowed = None if mask is None else mask[:, None, None]
        rate = self.rate if self.training else 0.0
        return attend(query, key, value, allowed, dropout=rate).transpose(1, 2).flatten(2)

    def weights(self, vectors: Vectors, mask: Mask | None) -> Weights:
        """How much each place takes from each other, of each head."""
        query, key = self._by_head(self.query, vectors), self._by_head(self.key, vectors)
        return attention_weights(query, key, None if mask is None else mask[:, None, None])

    def _by_head(self, layer: nn.Module, vectors: Tensor) -> Tensor:
        found: Tensor = layer(vectors)
        return found.reshape(*found.shape[:2], self.heads, -1).transpose(1, 2)


class Layer(nn.Module):
    """Attention over places, then two linear layers at each; both are added and normalised.

    Args:
        settings: The settings.

    Example:
        >>> Layer(BertSizes(size=12))(torch.zeros(1, 3, 12), None).shape
        torch.Size([1, 3, 12])
    """

    def __init__(self, settings: BertSizes) -> None:
        super().__init__()
        size, hidden = settings.size, settings.hidden or 4 * settings.size
        attention = {
            "self": SelfAttention(settings),
            "output": Added(size, size, settings.dropout),
        }
        self.attention = nn.ModuleDict(attention)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(size, hidden)})
        self.output = Added(hidden, size, settings.dropout)

    def forward(self, vectors: Vectors, mask: Mask | None) -> Vectors:
        """The vectors of the next layer."""
        mixed = self.attention["self"](vectors, mask)
        vectors = self.attention["output"](mixed, vectors)
        hidden = nn.functional.gelu(self.intermediate["dense"](vectors))
        found: Tensor = self.output(hidden, vectors)
        return found


class Encoder(nn.Module):
    """All layers.

    Args:
        settings: The settings.

    Example:
        >>> Encoder(BertSizes(size=12, layers=1))(torch.zeros(1, 3, 12), None).shape
        torch.Size([1, 3, 12])
    """

    def __init__(self, settings: BertSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(settings) for _ in range(settings.layers))

    def forward(self, vectors: Vectors, mask: Mask | None) -> Vectors:
        """The last layer's vectors."""
        for layer in self.layer:
            vectors = layer(vectors, mask)
        return vectors

    def weights(self, vectors: Vectors, mask: Mask | None) -> list[Weights]:
        """How much each place takes from each other, layer by layer."""
        found = []
        for layer in self.layer:
            found.append(layer.attention["self"].weights(vectors, mask))  # type: ignore[union-attr,index]
            vectors = layer(vectors, mask)
        return found


class Pooler(nn.Module):
    """The text as a whole: the first place's vector through a layer.

    Args:
        settings: The settings.

    Example:
        >>> Pooler(BertSizes(size=12))(torch.zeros(1, 3, 12)).shape
        torch.Size([1, 12])
    """

    def __init__(self, settings: BertSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(settings.size, settings.size)

    def forward(self, vectors: Vectors) -> Float[Tensor, "row size"]:
        """The vector of each text."""
        return torch.tanh(self.dense(vectors[:, 0]))


class Bert(nn.Module):
    """The vectors of each place, by all others.

    Args:
        settings: The settings.
        pooled: Whether there is a layer for the text as a whole.

    Example:
        >>> settings = BertSizes(vocabulary=9, context=8, size=8, layers=1, heads=2)
        >>> Bert(settings)(torch.tensor([[3, 4, 0]])).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, settings: BertSizes, *, pooled: bool = True) -> None:
        super().__init__()
        self.embeddings = Embeddings(settings)
        self.encoder = Encoder(settings)
        self.pooler = Pooler(settings) if pooled else None

    def forward(
        self,
        tokens: Tokens,
        mask: Mask | None = None,
        parts: Tokens | None = None,
        places: Tokens | None = None,
    ) -> Vectors:
        """The vectors of all places.

        Args:
            tokens: Numbers of tokens; 0 is padding.
            mask: Places that are no padding; None is where the token is not 0.
            parts: Number of the part that each token is in; None is 0.
            places: Where each token stands in the text; None is one after the other.
        """
        mask = tokens != 0 if mask is None else mask
        found: Tensor = self.encoder(self.embedded(tokens, parts, places), mask)
        return found

    def embedded(self, tokens: Tokens, parts: Tokens | None, places: Tokens | None) -> Vectors:
        """What the first layer is given; arguments as for the whole."""
        found: Tensor = self.embeddings(
            tokens, torch.zeros_like(tokens) if parts is None else parts, places
        )
        return found


class Predictions(nn.Module):
    """Scores of the tokens at each place: a layer, normalised, times the tokens' vectors.

    Args:
        settings: The settings.

    Example:
        >>> Predictions(BertSizes(vocabulary=9, size=12))(torch.zeros(1, 2, 12)).shape
        torch.Size([1, 2, 9])
    """

    def __init__(self, settings: BertSizes) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(settings.vocabulary))
        norm = nn.LayerNorm(settings.size, EPSILON)
        dense = nn.Linear(settings.size, settings.size)
        self.transform = nn.ModuleDict({"dense": dense, "LayerNorm": norm})
        self.decoder = nn.Linear(settings.size, settings.vocabulary)
        self.decoder.bias = self.bias

    def forward(self, vectors: Vectors) -> Float[Tensor, "row place token"]:
        """The scores."""
        hidden = nn.functional.gelu(self.transform["dense"](vectors))
        found: Tensor = self.decoder(self.transform["LayerNorm"](hidden))
        return found
