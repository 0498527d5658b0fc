"""Every entry of the table of models keeps the laws of models; broken ones are caught."""

from typing import ClassVar, Literal

import pytest
import torch
from torch import nn

from glial.models import MODELS, ModelSettings
from glial.models.image import ImageModelSettings
from glial.models.mlp import MLPSettings
from glial.models.neuron import NeuronSettings
from glial.models.residual_cnn import ResidualCNNSettings
from glial.models.seq2seq import Seq2SeqSettings
from glial.models.tabular import TabularSettings
from glial.models.transformer import TransformerSettings
from glial.models.unlabelled import UnlabelledSettings
from glial.nn import ACTIVATIONS
from glial.testing import LawBroken, check_model

SMALL = {
    "residual_cnn": {"widths": [4, 6]},
    "mlp": {"hidden_sizes": [9, 9]},
    "tabular": {"hidden_sizes": [8, 8]},
    "bag_of_words": {"size": 4, "pairs": 30},
    "text_cnn": {"size": 4, "channels": 3},
    "text_gru": {"size": 4, "num_units": 3},
    "bert": {"size": 8, "layers": 2, "heads": 2, "context": 40},
    "tagger": {"size": 4, "feature_size": 3, "letter_size": 3, "channels": 4, "num_units": 4},
    "seq2seq": {"size": 4, "num_units": 3},
    "transformer": {"size": 4, "layers": 2, "heads": 2},
    "sequence_rnn": {"size": 4},
    "sequence_transformer": {"size": 4, "heads": 2},
    "sequence_cnn": {"size": 4, "layers": 2},
    "mixed": {
        "image": "means",
        "text": {"name": "text_gru", "size": 4},
        "width": 6,
        "sequence": {"name": "sequence_rnn", "size": 4},
    },
    "gpt2": {"size": 8, "layers": 1, "heads": 2, "context": 64},
    "lstm_lm": {"size": 4, "layers": 1},
    "fasttext": {"buckets": 20},
    "dbn": {"hidden_sizes": [7, 6]},
}
# What a network learns pairs of words by, and needs for no text.
IDLE = {
    "word2vec": ["contexts.weight"],
    "fasttext": ["contexts.weight"],
    "glove": ["bias.weight", "context_bias.weight"],
}
# One of each family, and those that are built otherwise.
PUBLISHED = [
    *("lenet5", "alexnet_lrn", "vgg11", "googlenet", "inception_v3", "inception_v4", "resnet50"),
    *("resnet20_cifar", "densenet121", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"),
    *("efficientnet_lite0", "convnext_tiny", "vit_b_16"),
]


class Means(nn.Module):
    """The least that a network of images is: means of colours, and a head."""

    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def embed(self, images):
        return images.mean(dim=(2, 3))


class MeansSettings(ModelSettings):
    takes_numbers: ClassVar[bool] = False
    takes_images: ClassVar[bool] = True
    name: Literal["means"] = "means"

    def build(self, num_inputs, num_outputs, cardinalities=(), images=()):
        return Means()


def narrow(name):
    """Settings that make a small network of the same kind."""
    published = {"width": 0.125} if name in PUBLISHED else {}
    return {"name": name, **published, **SMALL.get(name, {})}


OTHERS = (ImageModelSettings, UnlabelledSettings)  # with laws of their own


@pytest.mark.parametrize(
    "name", [name for name in MODELS if not issubclass(MODELS.resolve(name), OTHERS)]
)
def test_every_model_keeps_the_laws(name, monkeypatch):
    monkeypatch.setitem(MODELS._own, "means", f"{__name__}:MeansSettings")
    kind = MODELS.resolve(name)
    check_model(kind.read(narrow(name)), without_gradient=IDLE.get(name, ()))


@pytest.mark.parametrize(
    "settings",
    [
        *({"name": "sequence_rnn", "unit": unit} for unit in ("rnn", "lstm")),
        {"name": "sequence_rnn", "bidirectional": False, "layers": 2, "hidden_dropout": 0.2},
        *({"name": "sequence_rnn", "pooling": how} for how in ("last", "mean", "maximum")),
        {"name": "sequence_rnn", "unit": "lstm", "each_step": True, "memory": 9},
        {"name": "sequence_transformer", "heads": 2, "each_step": True},
        {"name": "sequence_cnn", "layers": 2, "causal": True},
        {"name": "sequence_cnn", "layers": 2, "each_step": True},
    ],
)
def test_variants_of_sequence_models_keep_the_laws(settings):
    check_model(MODELS.resolve(settings["name"]).read({**settings, "size": 4}))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_network_keeps_the_laws(name):
    check_model(MODELS.resolve(name).read(narrow(name)))


@pytest.mark.parametrize(
    "settings",
    [
        MLPSettings(hidden_sizes=[]),
        MLPSettings(hidden_sizes=[6, 7], norm="batch", skip=True, dropout=0.3),
        MLPSettings(hidden_sizes=[6], norm="layer", bias="shared", input_dropout=0.2),
        MLPSettings(hidden_sizes=[6], activation="prelu", bias="none", embedding_size=2),
        TabularSettings(hidden_sizes=[6], members=3),
        TabularSettings(hidden_sizes=[6], periodic=False, one_hot=0),
        TabularSettings(hidden_sizes=[6], members=2, one_hot=40),
        ResidualCNNSettings(widths=[4, 6], attention="spatial"),
        Seq2SeqSettings(size=4, unit="lstm", num_layers=2, attention="additive", token_dropout=0.2),
        Seq2SeqSettings(size=4, attention="scaled_dot"),
        Seq2SeqSettings(size=4, attention="none"),
        TransformerSettings(size=4, heads=2, layers=1, norm="last", positions="learned"),
        TransformerSettings(size=8, heads=2, layers=1, positions="rotary", hidden=5),
    ],
)
def test_variants_keep_the_laws(settings):
    # What a normalisation takes away again: any bias in a batch, a shared one in a layer.
    biases = ["blocks.0.linear.bias", "blocks.1.linear.bias"]
    idle = "batch" in repr(settings) or getattr(settings, "bias", "") == "shared"
    check_model(settings, without_gradient=biases if idle else ())


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in ("step", "softmax")])
def test_neurons_of_every_activation_keep_the_laws(name):
    check_model(NeuronSettings(activation=name))


class _Broken(nn.Module):
    def __init__(self, how: str, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.how = how
        self.linear = nn.Linear(num_inputs, num_outputs)
        self.unused = nn.Parameter(torch.ones(1)) if how == "unused" else None
        self.hidden = torch.randn(1) if how == "state" else torch.zeros(1)

    def forward(self, numbers):
        outputs = self.linear(numbers) + self.hidden
        if self.how == "leak":
            outputs = outputs - numbers.mean()
        if self.how == "random":
            outputs = outputs + torch.rand(())
        if self.how == "shape":
            outputs = outputs.squeeze()
        return outputs


class _BrokenSettings(ModelSettings):
    description: ClassVar[str] = "broken"
    source: ClassVar[str] = "nowhere"
    name: Literal["broken"] = "broken"
    how: str = "unused"

    def build(self, num_inputs, num_outputs, cardinalities=()):
        return _Broken(self.how, num_inputs, num_outputs)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("unused", "unused gets no gradient"),
        ("leak", "leaks"),
        ("random", "deterministic"),
        ("shape", "outputs"),
        ("state", "loaded"),
    ],
)
def test_broken_models_are_caught(how, message):
    with pytest.raises(LawBroken, match=message):
        check_model(_BrokenSettings(how=how))


class PositionSettings(ModelSettings):
    """A score of each token, of the tokens before it alone; or of the whole row, padding too."""

    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    per_position: ClassVar[bool] = True
    description: ClassVar[str] = "scores of tokens"
    source: ClassVar[str] = "by hand"

    name: Literal["positions"] = "positions"
    leaks: bool = False

    def build(self, num_inputs, num_outputs, cardinalities=(), vocabularies=()):
        return Positions(vocabularies[0], num_outputs, leaks=self.leaks)


class Positions(nn.Module):
    def __init__(self, vocabulary, num_outputs, *, leaks):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 4)
        self.head = nn.Linear(4, num_outputs)
        self.leaks = leaks

    def forward(self, tokens):
        vectors = self.embedding(tokens)
        return self.head(vectors.flip(1).cumsum(1) if self.leaks else vectors.cumsum(1))


def test_a_network_of_positions_keeps_the_laws_unless_it_reads_padding():
    check_model(PositionSettings())
    with pytest.raises(LawBroken, match="padding"):
        check_model(PositionSettings(leaks=True))
