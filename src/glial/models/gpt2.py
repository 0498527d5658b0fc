"""A transformer that tells the next token from those before.

Source:
    Radford et al. (2019), "Language models are unsupervised multitask learners" (GPT-2). Names and
    shapes of weights are those of the published checkpoints in the ``transformers`` library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import attend, attention_weights, causal_mask
from glial.models.settings import ModelSettings
from glial.models.text import check_one_text, language_recipe
from glial.nn.attention import KeysAndValues, check_heads, check_length

SPREAD = 0.02
EPSILON = 1e-5
Tokens = Int[Tensor, "row place"]
# For texts of at most so many tokens: the size of vectors, layers, heads and context.
SIZES: tuple[tuple[int | None, int, int, int, int], ...] = (
    (50_000, 64, 2, 4, 64),
    (5_000_000, 128, 4, 4, 128),
    (50_000_000, 256, 6, 8, 256),
    (None, 512, 8, 8, 512),
)


class GPT2Settings(ModelSettings):
    """The sizes of a GPT-2: by default the published ones, and in a plan those that suit the text.

    Attributes:
        vocabulary: Number of tokens.
        context: The most places; a training's windows are as long.
        size: Numbers of a vector.
        layers: Layers.
        heads: Heads of the attention, by which ``size`` can be divided.
        dropout: Share of vectors, attention weights and what layers add dropped in training.
        gelu: GELU by its published approximation (``tanh``), or ``exact``, faster on a processor.

    Example:
        >>> settings = GPT2Settings(vocabulary=50, context=8, size=16, layers=2, heads=2)
        >>> settings.network()(torch.tensor([[3, 4]])).shape
        torch.Size([1, 2, 50])
    """

    tasks: ClassVar[tuple[str, ...]] = ("language-modelling",)
    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    per_position: ClassVar[bool] = True
    num_classes: ClassVar[int] = 50_257
    description: ClassVar[str] = "running text: the next token by a causal transformer"
    source: ClassVar[str] = "Radford et al. (2019)"

    name: Literal["gpt2"] = "gpt2"
    vocabulary: int = Field(default=50_257, ge=1)
    context: int = Field(default=1024, ge=1)
    size: int = Field(default=768, ge=1)
    layers: int = Field(default=12, ge=1)
    heads: int = Field(default=12, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    gelu: Literal["tanh", "exact"] = "tanh"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with a short memory, a warm-up and one cosine fall.

        Args:
            task: Name of the task.
            num_rows: Tokens of the training text.

        Example:
            >>> GPT2Settings.train_defaults("language-modelling")["betas"]
            [0.9, 0.99]
        """
        return language_recipe(num_rows, lr=0.002)

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "language-modelling"
    ) -> GPT2Settings:
        """The settings with sizes for a text where none were given.

        Args:
            num_rows: Tokens of the training text.
            num_inputs: Is not used.
            num_outputs: Tokens of the vocabulary.
            task: Name of the task.

        Example:
            >>> chosen = GPT2Settings(layers=3).for_data(1_000_000, 1, 65)
            >>> chosen.size, chosen.layers, chosen.context, chosen.vocabulary
            (128, 3, 128, 65)
        """
        size, layers, heads, context = next(
            sizes for most, *sizes in SIZES if most is None or num_rows <= most
        )
        chosen = {
            "vocabulary": num_outputs,
            "context": context,
            "size": size,
            "layers": layers,
            "heads": heads,
            "dropout": 0.0,
        }
        given = self.model_fields_set
        return self.model_copy(update={k: v for k, v in chosen.items() if k not in given})

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = None,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        """The network; with no sizes that of the settings, such as the published one.

        Args:
            num_inputs: 0.
            num_outputs: Scores of each place; those of all tokens share the tokens' vectors.
            cardinalities: None.
            vocabularies: Number of tokens of the one text.

        Raises:
            InputError: If there is anything beside one text, or the size cannot be divided by the
                heads.
        """
        if not vocabularies:
            return self.network(num_outputs)
        outputs = vocabularies[0] if num_outputs is None else num_outputs
        self.check_sizes(num_inputs, outputs, cardinalities, vocabularies=vocabularies)
        check_one_text(self.name, num_inputs, vocabularies)
        return self.model_copy(update={"vocabulary": vocabularies[0]}).network(outputs)

    def network(self, num_outputs: int | None = None) -> GPT2:
        """The network.

        Args:
            num_outputs: Scores of each place; None is the number of tokens.

        Raises:
            InputError: If the size cannot be divided by the heads.
        """
        check_heads(self.size, self.heads)
        return GPT2(self, num_outputs)

    def converted(
        self, state: Mapping[str, Tensor], network: nn.Module | None = None
    ) -> dict[str, Tensor]:
        """Published weights with the network's names: of a file with or without ``transformer.``.

        Args:
            state: Tensors by name; masks that older files hold are left out.
            network: Is not used.

        Example:
            >>> sorted(GPT2Settings().converted({"ln_f.bias": torch.zeros(1)}))
            ['transformer.ln_f.bias']
        """
        found = {
            name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}": value
            for name, value in state.items()
            if not name.endswith((".attn.bias", ".attn.masked_bias"))
        }
        if "transformer.wte.weight" in found:
            found.setdefault("lm_head.weight", found["transformer.wte.weight"])
        return found


class Projection(nn.Module):
    """A linear layer whose weight stands the other way round, [input, output], as published.

    Args:
        num_inputs: Inputs.
        num_outputs: Outputs.

    Example:
        >>> Projection(3, 4).weight.shape
        torch.Size([3, 4])
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_inputs, num_outputs).normal_(std=SPREAD))
        self.bias = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, values: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        """The sums."""
        return torch.nn.functional.linear(values, self.weight.t(), self.bias)


class CausalAttention(nn.Module):
    """Each place's mixture of itself and those before.

    Args:
        settings: The settings.

    Example:
        >>> CausalAttention(GPT2Settings(size=8, heads=2))(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.c_attn = Projection(settings.size, 3 * settings.size)
        self.c_proj = Projection(settings.size, settings.size)
        self.heads = settings.heads
        self.dropout = settings.dropout

    def forward(
        self,
        vectors: Float[Tensor, "row place size"],
        memory: KeysAndValues | None = None,
    ) -> Float[Tensor, "row place size"]:
        """The mixtures.

        Args:
            vectors: One a place.
            memory: Places that came before; these are added to it.
        """
        parts = self.c_attn(vectors).chunk(3, dim=2)
        query, key, value = (p.reshape(*p.shape[:2], self.heads, -1).transpose(1, 2) for p in parts)
        whole = memory is None or memory.length == 0
        if memory is not None:
            key, value = memory.extend(key, value)
        asking, seen = query.shape[2], key.shape[2]
        mask = None if whole or asking == 1 else causal_mask(asking, seen, vectors.device)
        rate = self.dropout if self.training else 0.0
        mixed = attend(query, key, value, mask, dropout=rate, causal=whole)
        found: Tensor = self.c_proj(mixed.transpose(1, 2).flatten(2))
        return found

    def weights(
        self, vectors: Float[Tensor, "row place size"]
    ) -> Float[Tensor, "row head place place"]:
        """How much each place takes from each of those before, of each head.

        Args:
            vectors: One a place.
        """
        query, key, _ = (
            part.reshape(*part.shape[:2], self.heads, -1).transpose(1, 2)
            for part in self.c_attn(vectors).chunk(3, dim=2)
        )
        places = vectors.shape[1]
        return attention_weights(query, key, causal_mask(places, places, vectors.device))


class Block(nn.Module):
    """Attention over places, then two linear layers at each; both are normalised first, and added.

    Args:
        settings: The settings.

    Example:
        >>> Block(GPT2Settings(size=8, heads=2))(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(settings.size, EPSILON)
        self.attn = CausalAttention(settings)
        self.ln_2 = nn.LayerNorm(settings.size, EPSILON)
        self.mlp = nn.ModuleDict(
            {
                "c_fc": Projection(settings.size, 4 * settings.size),
                "act": nn.GELU("tanh" if settings.gelu == "tanh" else "none"),
                "c_proj": Projection(4 * settings.size, settings.size),
            }
        )
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self,
        vectors: Float[Tensor, "row place size"],
        memory: KeysAndValues | None = None,
    ) -> Float[Tensor, "row place size"]:
        """The vectors of the next layer."""
        vectors = vectors + self.dropout(self.attn(self.ln_1(vectors), memory))
        hidden = self.ln_2(vectors)
        for layer in self.mlp.values():
            hidden = layer(hidden)
        found: Tensor = vectors + self.dropout(hidden)
        return found


class Transformer(nn.Module):
    """Vectors of tokens and places, and layers of causal attention.

    Args:
        settings: The settings.

    Example:
        >>> settings = GPT2Settings(vocabulary=9, context=8, size=8, layers=1, heads=2)
        >>> Transformer(settings)(torch.tensor([[3, 4]])).shape
        torch.Size([1, 2, 8])
    """

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.wte = nn.Embedding(settings.vocabulary, settings.size)
        self.wpe = nn.Embedding(settings.context, settings.size)
        self.drop = nn.Dropout(settings.dropout)
        self.h = nn.ModuleList(Block(settings) for _ in range(settings.layers))
        self.ln_f = nn.LayerNorm(settings.size, EPSILON)
        nn.init.normal_(self.wte.weight, std=SPREAD)
        nn.init.normal_(self.wpe.weight, std=SPREAD / 2)

    def forward(
        self, tokens: Tokens, memories: list[KeysAndValues] | None = None
    ) -> Float[Tensor, "row place size"]:
        """The last layer's vectors, normalised.

        Args:
            tokens: Numbers of tokens.
            memories: Of each layer, the places that came before; these are added.

        Raises:
            InputError: If there are more places than the network knows.
        """
        begin = memories[0].length if memories else 0
        end = begin + tokens.shape[1]
        check_length(end, self.wpe.num_embeddings)
        places = torch.arange(begin, end, device=tokens.device)
        vectors = self.drop(self.wte(tokens) + self.wpe(places))
        for number, block in enumerate(self.h):
            vectors = block(vectors, memories[number] if memories else None)
        found: Tensor = self.ln_f(vectors)
        return found


class GPT2(nn.Module):
    """Scores of the next token, whose weights are the tokens' vectors.

    Args:
        settings: The settings.
        num_outputs: Scores of each place; None is the number of tokens.

    Example:
        >>> network = GPT2(GPT2Settings(vocabulary=9, context=8, size=8, layers=1, heads=2))
        >>> scores, state = network.step(torch.tensor([3]), network.start(1))
        >>> scores.shape, state[0].length
        (torch.Size([1, 9]), 1)
    """

    def __init__(self, settings: GPT2Settings, num_outputs: int | None = None) -> None:
        super().__init__()
        outputs = num_outputs or settings.vocabulary
        self.context = settings.context
        self.transformer = Transformer(settings)
        self.lm_head = nn.Linear(settings.size, outputs, bias=False)
        nn.init.normal_(self.lm_head.weight, std=SPREAD)
        if outputs == settings.vocabulary:
            self.lm_head.weight = self.transformer.wte.weight
        # What layers add grows with their number: each begins smaller (section 2.3).
        for name, weight in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(weight, std=SPREAD / math.sqrt(2 * settings.layers))

    def forward(self, tokens: Tokens) -> Float[Tensor, "row place token"]:
        """Scores of the token behind each place."""
        found: Tensor = self.lm_head(self.transformer(tokens))
        return found

    def start(self, num_rows: int) -> list[KeysAndValues]:
        """What decoding starts from.

        Args:
            num_rows: Rows.
        """
        return [KeysAndValues() for _ in self.transformer.h]

    def step(
        self, tokens: Int[Tensor, " row"] | Tokens, state: list[KeysAndValues]
    ) -> tuple[Float[Tensor, "row token"], list[KeysAndValues]]:
        """Scores of the token after these, and the state.

        Args:
            tokens: A token of each row, or several, such as a prompt.
            state: What came before.
        """
        state = [replace(part) for part in state]
        tokens = tokens[:, None] if tokens.ndim == 1 else tokens
        found: Tensor = self.lm_head(self.transformer(tokens, state)[:, -1])
        return found, state

    def select(self, state: list[KeysAndValues], rows: Int[Tensor, " chosen"]) -> Any:
        """The state of some rows, in their order."""
        return [part.select(rows) for part in state]
