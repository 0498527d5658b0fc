"""A transformer that reads a text from both ends, and heads for what can be asked of it.

Variants: from scratch in a size that suits the data, or any published size; one text or a pair.

Source:
    Devlin, Chang, Lee, Toutanova (2019), "BERT: pre-training of deep bidirectional transformers for
    language understanding", arXiv 1810.04805. Names and shapes of weights are those of the
    published checkpoints in the ``transformers`` library. Small sizes: Turc, Chang, Lee, Toutanova
    (2019), "Well-read students learn better", arXiv 1908.08962.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glial.models.bert_layers import Bert, BertSizes, Mask, Predictions, Tokens, Weights
from glial.models.text import check_pair
from glial.nn.attention import check_heads

SPREAD = 0.02  # of first weights at the published size; wider where vectors are shorter
PUBLISHED_SIZE = 768
Others = Int[Tensor, "row other"]
Asked = Int[Tensor, "row asked"]
HeadName = Literal["masked", "classification", "tagging", "span"]
MANY_ROWS = 50_000
SMALL = {"size": 128, "layers": 2, "heads": 4}
LARGER = {"size": 256, "layers": 4, "heads": 4}
LARGE = 512
# Numbers of each head of every published size.
OF_A_HEAD = 64
_RECIPE = {
    "optimizer": "adamw",
    "lr": 0.0005,
    "batch_size": 32,
    "schedule": "cosine",
    "warmup": 0.1,
    "weight_decay": 0.01,
    "clip_norm": 1.0,
    "monitor": "loss",
}
_HEADS: dict[str, HeadName] = {"pretrain": "masked", "tagging": "tagging"}


class BertSettings(BertSizes):
    """A BERT and its head; of a size that suits the data unless sizes or weights say another.

    Attributes:
        head: What is asked: the tokens that were masked, a class of the text, one of each token, or
            where a span begins and ends. In training it is what the task wants.

    Example:
        >>> settings = BertSettings(vocabulary=50, context=8, size=16, layers=2, heads=2)
        >>> settings.network(3)(torch.tensor([[3, 4]])).shape
        torch.Size([1, 3])
    """

    tasks: ClassVar[tuple[str, ...]] = (
        "classification",
        "multilabel",
        "regression",
        "embedding",
        "pretrain",
    )
    num_classes: ClassVar[int] = 2
    description: ClassVar[str] = "a text or a pair of texts: a transformer from both ends"
    source: ClassVar[str] = "Devlin et al. (2019), arXiv 1810.04805"

    name: Literal["bert"] = "bert"
    head: HeadName = "classification"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with a warm-up and a linear fall, more passes where rows are few.

        Example:
            >>> BertSettings.train_defaults("classification", 20_000)["epochs"]
            10
        """
        if task == "pretrain":
            longer = min(6.0, max(0.3, 10_000 / max(1, num_rows)))
            return {**_RECIPE, "lr": 0.001, "batch_size": 64, "epochs": round(10 * longer)}
        return {**_RECIPE, "epochs": round(min(100, max(10, 60_000 / max(1, num_rows))))}

    def transfer_defaults(self, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Fewer passes at a lower rate; at the published one for networks as large as "base".

        Example:
            >>> BertSettings(weights="folder").transfer_defaults("classification")["lr"]
            3e-05
        """
        lr = 3e-5 if self.size >= LARGE else 5e-4
        epochs = round(min(60, max(4, 20_000 / max(1, num_rows))))
        return {**self.train_defaults(task, num_rows), "lr": lr, "epochs": epochs}

    def data_defaults(self) -> dict[str, Any]:
        """Texts as pieces of words, all columns by one vocabulary."""
        return {"tokens": "wordpiece", "max_tokens": 8000, "shared_vocabulary": True}

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "classification"
    ) -> BertSettings:
        """Small sizes where few rows are learnt from, and the head that the task wants.

        Example:
            >>> BertSettings().for_data(1000, 1, 2).size, BertSettings(size=64).layers
            (128, 12)
        """
        small: dict[str, int] = SMALL if num_rows < MANY_ROWS else LARGER
        sizes = (
            {}
            if self.weights
            else {k: v for k, v in small.items() if k not in self.model_fields_set}
        )
        return self.model_copy(update={**sizes, "head": _HEADS.get(task, "classification")})

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = None,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        """The network; with no sizes the published one.

        Args:
            num_inputs: 0.
            num_outputs: Numbers that the head gives; None is as published.
            cardinalities: None.
            vocabularies: Number of tokens of the one text or of both, equal then.

        Raises:
            InputError: If there is anything beside one or two texts of one vocabulary.
        """
        outputs = self.num_classes if num_outputs is None else num_outputs
        known = list(vocabularies) or [self.vocabulary]
        self.check_sizes(0, outputs, cardinalities, vocabularies=known)
        check_pair(self.name, num_inputs, known)
        return self.model_copy(update={"vocabulary": known[0]}).network(outputs)

    def network(self, num_outputs: int = 2) -> BertWithHead:
        """The network.

        Args:
            num_outputs: Outputs of a classification or a tagging.

        Raises:
            InputError: If the size cannot be divided by the heads.
        """
        check_heads(self.size, self.heads)
        return BertWithHead(self, num_outputs)

    @classmethod
    def sizes_of(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The sizes that weights tell of; heads of 64 numbers each, as all published ones have.

        Args:
            state: Tensors by name.

        Example:
            >>> network = BertSettings(vocabulary=9, size=64, layers=3, heads=1).network()
            >>> BertSettings.sizes_of(network.state_dict())["layers"]
            3
        """
        found = cls().converted(state)
        words = found.get("bert.embeddings.word_embeddings.weight")
        places = found.get("bert.embeddings.position_embeddings.weight")
        inner = found.get("bert.encoder.layer.0.intermediate.dense.weight")
        kinds = found.get("bert.embeddings.token_type_embeddings.weight")
        if words is None or places is None or inner is None or kinds is None:
            return {}
        numbers = {name.split(".")[3] for name in found if name.startswith("bert.encoder.layer.")}
        return {
            "vocabulary": len(words),
            "context": len(places),
            "size": words.shape[1],
            "layers": len(numbers),
            "heads": max(1, words.shape[1] // OF_A_HEAD),
            "hidden": len(inner),
            "parts": len(kinds),
        }

    def converted(
        self, state: Mapping[str, Tensor], network: nn.Module | None = None
    ) -> dict[str, Tensor]:
        """Published weights with the network's names: of old files and of bare networks too.

        Args:
            state: Tensors by name; the list of positions that some files hold is left out.
            network: Whom they are for; None is a network with the head of masked tokens.

        Example:
            >>> sorted(BertSettings().converted({"pooler.LayerNorm.gamma": torch.ones(1)}))
            ['bert.pooler.LayerNorm.weight']
        """
        bare = not any(name.startswith("bert.") for name in state)
        found = {}
        for old, value in state.items():
            name = old.replace("LayerNorm.gamma", "LayerNorm.weight")
            name = name.replace("LayerNorm.beta", "LayerNorm.bias")
            if bare and name.startswith(("embeddings.", "encoder.", "pooler.")):
                name = f"bert.{name}"
            if not name.endswith("position_ids") and not name.startswith("cls.seq_relationship"):
                found[name] = value
        if "cls.predictions.bias" in found:
            found.setdefault("cls.predictions.decoder.bias", found["cls.predictions.bias"])
        words = found.get("bert.embeddings.word_embeddings.weight")
        if words is not None and "cls.predictions.bias" in found:
            found.setdefault("cls.predictions.decoder.weight", words)
        return found


class BertWithHead(nn.Module):
    """A BERT and a head.

    A pair of texts is read as one: the second's start is left out, so that an end stands between
    them and behind them. Padding between them counts for nothing, nor as places.

    Args:
        settings: The settings.
        num_outputs: Outputs of a classification or a tagging.

    Example:
        >>> settings = BertSettings(vocabulary=9, context=8, size=8, layers=1, heads=2, head="span")
        >>> settings.network()(torch.tensor([[3, 4, 0]])).shape
        torch.Size([1, 3, 2])
    """

    # Other heads than a network's own: their weights are passed over where others start from it.
    auxiliary_names: ClassVar[tuple[str, ...]] = ("bert.pooler", "cls", "qa_outputs", "classifier")

    def __init__(self, settings: BertSettings, num_outputs: int) -> None:
        super().__init__()
        self.head = settings.head
        self.num_features = settings.size
        self.bert = Bert(settings, pooled=settings.head == "classification")
        self.dropout = nn.Dropout(settings.dropout)
        self.head_name = "classifier"
        if settings.head == "masked":
            self.head_name = "cls"
            self.cls = nn.ModuleDict({"predictions": Predictions(settings)})
        elif settings.head == "span":
            self.head_name = "qa_outputs"
            self.qa_outputs = nn.Linear(settings.size, 2)
        else:
            self.classifier = nn.Linear(settings.size, num_outputs)
        spread = SPREAD * (PUBLISHED_SIZE / settings.size) ** 0.5
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=spread)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        words = self.bert.embeddings.word_embeddings
        with torch.no_grad():
            words.weight[0].zero_()
        if settings.head == "masked":
            self.cls["predictions"].decoder.weight = words.weight  # type: ignore[union-attr]

    def forward(
        self,
        tokens: Tokens,
        second: Others | None = None,
        asked: Asked | None = None,
        *,
        mask: Mask | None = None,
        parts: Tokens | None = None,
    ) -> Float[Tensor, "row *place output"]:
        """What the head says: of the text, or of each place.

        Args:
            tokens: Numbers of tokens; 0 is padding.
            second: Those of the second text of a pair; None is no pair.
            asked: Places that a head of places is asked for; None is all.
            mask: Places that are no padding; None is where the token is not 0. Not of pairs.
            parts: Number of the part that each token is in; None is 0. Not of pairs.
        """
        vectors = self.bert(*_joined(tokens, second, mask, parts))
        if asked is not None:
            vectors = vectors.gather(1, asked[:, :, None].expand(-1, -1, vectors.shape[2]))
        if self.head == "masked":
            found: Tensor = self.cls["predictions"](vectors)
        elif self.head == "span":
            found = self.qa_outputs(vectors)
        elif self.head == "tagging":
            found = self.classifier(self.dropout(vectors))
        else:
            found = self.classifier(self.dropout(self.bert.pooler(vectors)))  # type: ignore[misc]
        return found

    def embed(
        self, tokens: Tokens, second: Others | None = None
    ) -> Float[Tensor, "row *place feature"]:
        """What the head sees: a vector of the text, or of each place where it asks for these."""
        vectors: Tensor = self.bert(*_joined(tokens, second))
        return vectors if self.bert.pooler is None else self.bert.pooler(vectors)

    def weights(self, tokens: Tokens, second: Others | None = None) -> list[Weights]:
        """How much each place takes from each other, of each layer and head.

        Args:
            tokens: Numbers of tokens; 0 is padding.
            second: Those of the second text of a pair, whose start has no place.
        """
        tokens, mask, parts, places = _joined(tokens, second)
        vectors = self.bert.embedded(tokens, parts, places)
        return self.bert.encoder.weights(vectors, tokens != 0 if mask is None else mask)


def _joined(
    tokens: Tensor, second: Tensor | None, mask: Tensor | None = None, parts: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Tokens, mask, parts and places of one text, or of two as one."""
    if second is None:
        return tokens, mask, parts, None
    behind = second[:, 1:]
    both = torch.cat([tokens, behind], dim=1)
    parts = torch.cat([torch.zeros_like(tokens), torch.ones_like(behind)], dim=1)
    mask = both != 0
    return both, mask, parts, (mask.cumsum(dim=1) - 1).clamp_min(0)
