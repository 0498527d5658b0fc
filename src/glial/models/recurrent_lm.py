"""Running text read token by token: the next token by a recurrent network.

Variants: LSTM, GRU or plain; tied or own weights of the head.

Source:
    Mikolov et al. (2010), "Recurrent neural network based language model"; Zaremba, Sutskever,
    Vinyals (2014), "Recurrent neural network regularization", arXiv 1409.2329 (the LSTM). Tied
    weights: Press and Wolf (2017), "Using the output embedding to improve language models", arXiv
    1608.05859.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout
from glial.models.settings import ModelSettings
from glial.models.text import check_one_text, language_recipe
from glial.nn.recurrence import Carried
from glial.nn.recurrent import GRU, LSTM, RNN

UNITS = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
Tokens = Int[Tensor, "row place"]
# For texts of at most so many tokens: units, layers and context.
SIZES: tuple[tuple[int | None, int, int, int], ...] = (
    (50_000, 64, 1, 64),
    (5_000_000, 256, 2, 64),
    (None, 512, 2, 128),
)


class RecurrentLMSettings(ModelSettings):
    """A recurrent network that tells the next token.

    Attributes:
        unit: What remembers.
        size: Units of a layer, and numbers of a token's vector; None is chosen for the text.
        layers: Layers; None likewise.
        dropout: Share of each layer's inputs and of the last states dropped in training, the same
            at all places of a window.
        tied: Whether the head's weights are the tokens' vectors.
        context: Tokens of a window, through which gradients go back; None is chosen for the text.
        carry: Whether in training states go on from one window to the next of the text.

    Example:
        >>> network = RecurrentLMSettings(size=8, layers=1).build(0, 20, vocabularies=[20])
        >>> network(torch.tensor([[5, 7, 3]])).shape
        torch.Size([1, 3, 20])
    """

    tasks: ClassVar[tuple[str, ...]] = ("language-modelling",)
    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    per_position: ClassVar[bool] = True
    description: ClassVar[str] = "running text: the next token by an LSTM, a GRU or a plain RNN"
    source: ClassVar[str] = "Zaremba, Sutskever, Vinyals (2014), arXiv 1409.2329"

    name: Literal["lstm_lm"] = "lstm_lm"
    unit: Literal["lstm", "gru", "rnn"] = "lstm"
    size: int | None = Field(default=None, ge=1)
    layers: int | None = Field(default=None, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    tied: bool = True
    context: int | None = Field(default=None, ge=1)
    carry: bool = True

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with a warm-up and one cosine fall, and clipped gradients.

        Args:
            task: Name of the task.
            num_rows: Tokens of the training text.

        Example:
            >>> RecurrentLMSettings.train_defaults("language-modelling")["clip_norm"]
            1.0
        """
        return {**language_recipe(num_rows, lr=0.004), "weight_decay": 0.01}

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "language-modelling"
    ) -> RecurrentLMSettings:
        """The settings with sizes for a text where none were given.

        Args:
            num_rows: Tokens of the training text.
            num_inputs: Is not used.
            num_outputs: Is not used.
            task: Name of the task.
        """
        size, layers, context = next(
            sizes for most, *sizes in SIZES if most is None or num_rows <= most
        )
        chosen = {
            "size": self.size or size,
            "layers": self.layers or layers,
            "context": self.context or context,
        }
        return self.model_copy(update=chosen)

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        """The network; without `for_data` of one layer with 128 units.

        Args:
            num_inputs: 0.
            num_outputs: Scores of each place; those of all tokens may share the tokens' vectors.
            cardinalities: None.
            vocabularies: Number of tokens of the one text.

        Raises:
            InputError: If there is no text, or anything beside one.
        """
        self.check_sizes(num_inputs, num_outputs, cardinalities, vocabularies=vocabularies)
        check_one_text(self.name, num_inputs, vocabularies)
        return RecurrentLM(self, vocabularies[0], num_outputs)


class RecurrentLM(nn.Module):
    """Vectors of tokens, recurrent layers, and scores of the next token at each place.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        num_outputs: Scores of each place.

    Example:
        >>> network = RecurrentLM(RecurrentLMSettings(size=4), 9, 9).eval()
        >>> scores, state = network.step(torch.tensor([3]), network.start(1))
        >>> torch.allclose(scores, network(torch.tensor([[3]]))[:, -1])
        True
    """

    def __init__(self, settings: RecurrentLMSettings, vocabulary: int, num_outputs: int) -> None:
        super().__init__()
        size = settings.size or 128
        self.context = settings.context
        self.dropout = settings.dropout
        self.embedding = nn.Embedding(vocabulary, size)
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(size))
        self.recurrent = UNITS[settings.unit](
            size, size, num_layers=settings.layers or 1, input_dropout=settings.dropout
        )
        self.head = nn.Linear(size, num_outputs)
        if settings.tied and num_outputs == vocabulary:
            self.head.weight = self.embedding.weight

    def read(
        self, tokens: Tokens, state: Carried | None = None
    ) -> tuple[Float[Tensor, "row place token"], Carried]:
        """Scores of the token behind each place, and what to go on from.

        Args:
            tokens: Numbers of tokens.
            state: What an earlier call returned; None starts from zeros.
        """
        states, state = self.recurrent(self.embedding(tokens), None, state)
        if self.training and self.dropout:
            states = states * dropout(torch.ones_like(states[:, :1]), self.dropout)
        return self.head(states), state

    def forward(self, tokens: Tokens) -> Float[Tensor, "row place token"]:
        """Scores of the token behind each place."""
        return self.read(tokens)[0]

    def start(self, num_rows: int) -> Carried:
        """What reading starts from: zeros.

        Args:
            num_rows: Rows.
        """
        layers, size = self.recurrent.num_layers, self.recurrent.hidden_size
        zeros = self.embedding.weight.new_zeros(layers, num_rows, size)
        return (zeros, zeros) if isinstance(self.recurrent, LSTM) else zeros

    def step(
        self, tokens: Int[Tensor, " row"] | Tokens, state: Carried
    ) -> tuple[Float[Tensor, "row token"], Carried]:
        """Scores of the token after these, and the state.

        Args:
            tokens: A token of each row, or several, such as a prompt.
            state: What came before.
        """
        scores, state = self.read(tokens[:, None] if tokens.ndim == 1 else tokens, state)
        return scores[:, -1], state

    def select(self, state: Carried, rows: Int[Tensor, " chosen"]) -> Carried:
        """The state of some rows, in their order."""
        if isinstance(state, Tensor):
            return state[:, rows]
        return tuple(part[:, rows] for part in state)
