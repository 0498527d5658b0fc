from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.explanation.networks import input_x_gradient, relevance
from glial.models import MODELS, build
from glial.models.unlabelled import UnlabelledSettings
from glial.testing.inputs import inputs_of, sizes_of

TOKENS = torch.tensor([[5, 7, 9, 3, 5]])
SERIES = (torch.randn(1, 12, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([12]))
IMAGE = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
NUMBERS = torch.randn(1, 5, generator=torch.Generator().manual_seed(0))
CODES = torch.tensor([[2, 7]])


class Encoder(nn.Module):
    """A transformer of torch's own layers, with places that are learnt."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.places = nn.Parameter(torch.randn(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, tokens):
        return self.head(self.layers(self.embedding(tokens) + self.places).mean(dim=1))


class Reader(nn.Module):
    """Two layers of torch's recurrent kernels in both directions."""

    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(30, 8, padding_idx=0)
        self.layer = getattr(nn, kind)(8, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(12, 2)

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens))[0].mean(dim=1))


FAMILIES = {
    "mlp": (lambda: build("mlp", num_inputs=5, num_outputs=3), (NUMBERS,)),
    "tabular": (
        lambda: build("tabular", num_inputs=5, num_outputs=3, cardinalities=[3, 20]),
        (NUMBERS, CODES),
    ),
    "residual_cnn": (
        lambda: build("residual_cnn", num_outputs=3, images=[[3, 32, 32]]),
        (IMAGE[..., :32, :32],),
    ),
    "resnet18": (lambda: build("resnet18", num_outputs=3), (IMAGE,)),
    "mobilenet_v3_small": (lambda: build("mobilenet_v3_small", num_outputs=3), (IMAGE,)),
    "convnext_tiny": (lambda: build("convnext_tiny", num_outputs=3), (IMAGE,)),
    "densenet121": (lambda: build("densenet121", num_outputs=3), (IMAGE,)),
    "googlenet": (lambda: build("googlenet", num_outputs=3), (IMAGE,)),
    "text_gru": (lambda: build("text_gru", num_outputs=2, vocabularies=[30]), (TOKENS,)),
    "text_cnn": (lambda: build("text_cnn", num_outputs=2, vocabularies=[30]), (TOKENS,)),
    "bag_of_words": (lambda: build("bag_of_words", num_outputs=2, vocabularies=[30]), (TOKENS,)),
    "bert": (lambda: build("bert", num_outputs=2, vocabularies=[30]), (TOKENS,)),
    "sequence_rnn": (lambda: build("sequence_rnn", num_outputs=2, sequences=[[3]]), SERIES),
    "sequence_cnn": (lambda: build("sequence_cnn", num_outputs=2, sequences=[[3]]), SERIES),
    "sequence_transformer": (
        lambda: build("sequence_transformer", num_outputs=2, sequences=[[3]]),
        SERIES,
    ),
    "torch transformer": (Encoder, (TOKENS,)),
    "torch LSTM": (lambda: Reader("LSTM"), (TOKENS,)),
    "torch GRU": (lambda: Reader("GRU"), (TOKENS,)),
    "torch RNN": (lambda: Reader("RNN"), (TOKENS,)),
}


def made(name):
    """The network with biases and statistics as training leaves them, in double precision."""
    torch.manual_seed(0)
    make, inputs = FAMILIES[name]
    network = make().double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    return network, tuple(x.double() if x.is_floating_point() else x for x in inputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("rule", ["zero", "gamma"])
def test_relevance_is_conserved_in_every_family(name, rule):
    network, inputs = made(name)
    found = relevance(network, inputs, rule=rule)
    gap = float((found.total + found.rest - found.output).abs())
    assert gap < 1e-9 * max(1.0, abs(found.rest), float(found.output.abs()))
    assert float(sum(v.abs().sum() for v in found.values if v is not None)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_epsilon_takes_little(name):
    network, inputs = made(name)
    found = relevance(network, inputs, rule="epsilon", epsilon=1e-9)
    exact = relevance(network, inputs, rule="zero")
    size = float(sum(v.abs().sum() for v in exact.values if v is not None)) + abs(exact.rest)
    assert float((found.total + found.rest - found.output).abs()) < 1e-3 * size


# Those that are published have their families above; the rest of the table is tried whole.
PUBLISHED = ("vgg", "alexnet", "inception", "resnet", "densenet", "googlenet", "mobilenet")
OTHERS = [
    n
    for n in MODELS
    if not n.startswith((*PUBLISHED, "vit_b", "bert", "gpt2", "convnext"))
    and not issubclass(MODELS.resolve(n), UnlabelledSettings)
]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_relevance_is_conserved_in_every_model_of_the_table(name):
    """Of each kind of input that a model takes, for its first output."""
    torch.manual_seed(0)
    settings = MODELS.resolve(name)()
    sizes = sizes_of(settings)[-1]
    network = settings.build(**sizes)
    inputs = [part[3:4] for part in inputs_of(network, sizes)]
    inputs = [part.double() if part.is_floating_point() else part for part in inputs]
    network = network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    found = relevance(network, inputs, lambda outputs: outputs.flatten(1)[:, 0], rule="zero")
    gap = float((found.total + found.rest - found.output).abs())
    assert gap < 1e-9 * max(1.0, abs(found.rest), float(found.output.abs()))


def test_softmax_and_its_logarithm_at_the_end_are_shared_out():
    torch.manual_seed(0)
    inputs = torch.randn(1, 4).double()
    for last in (nn.Softmax(dim=1), nn.LogSoftmax(dim=1)):
        network = nn.Sequential(nn.Linear(4, 3), last).double()
        found = relevance(network, inputs, 1, rule="zero")
        assert float((found.total + found.rest - found.output).abs()) < 1e-12
        exact = input_x_gradient(network, inputs, 1)
        torch.testing.assert_close(found.values[0], exact.values[0])


def test_equals_captum_by_epsilon(captum):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3)
            self.relu = nn.ReLU()
            self.head = nn.Linear(400, 3)

        def forward(self, images):
            return self.head(self.relu(self.first(images)).flatten(1))

    torch.manual_seed(0)
    network, images = Network().double(), torch.randn(2, 3, 12, 12).double()
    found = relevance(network, images, 0, rule="epsilon", epsilon=1e-9).values[0]
    expected = captum.LRP(network).attribute(images.clone(), target=0)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def layers_by_hand():
    """h = relu(a + b, a - 2 b), y = 3 h1 + h2 + 1, at a = 3, b = 1: h = (4, 1), y = 14."""
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -2.0]]))
        network[2].weight.copy_(torch.tensor([[3.0, 1.0]]))
        network[2].bias.fill_(1.0)
    return network, torch.tensor([[3.0, 1.0]])


def test_two_layers_by_hand():
    found = relevance(*layers_by_hand(), rule="zero")
    # h1 = 4 has 12, of which a has 3/4; h2 = 3 - 2 has 1: of it a has 3 and b has -2.
    torch.testing.assert_close(found.values[0], torch.tensor([[9.0 + 3.0, 3.0 - 2.0]]))
    assert found.rest == pytest.approx(1.0)


def test_gamma_by_hand():
    found = relevance(*layers_by_hand(), rule="gamma", gamma=1.0)
    # All of the head's terms speak for it: nothing changes there. Of h2 = 3 - 2, what speaks for
    # it counts twice: 2 * 3 - 2 = 4, so a has 6/4 and b has -2/4 of 1.
    torch.testing.assert_close(found.values[0], torch.tensor([[9.0 + 1.5, 3.0 - 0.5]]))


def test_rectified_networks_without_rules_are_gradient_times_input():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    inputs = torch.randn(5, 4)
    found = relevance(network, inputs, 1, rule="zero")
    torch.testing.assert_close(found.values[0], input_x_gradient(network, inputs, 1).values[0])


def test_gates_get_nothing():
    class Gated(nn.Module):
        def forward(self, x):
            return x[:, :1].sigmoid() * x[:, 1:]

    found = relevance(Gated(), torch.tensor([[0.0, 4.0]]), rule="zero")
    torch.testing.assert_close(found.values[0], torch.tensor([[0.0, 2.0]]))


def test_factors_share_evenly():
    class Product(nn.Module):
        def forward(self, x):
            return x[:, :1] * x[:, 1:]

    found = relevance(Product(), torch.tensor([[3.0, 4.0]]), rule="zero")
    torch.testing.assert_close(found.values[0], torch.tensor([[6.0, 6.0]]))
