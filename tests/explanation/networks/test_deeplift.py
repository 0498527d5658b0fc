from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.explanation.networks import deep_shap, deeplift
from glial.models import build


@pytest.mark.slow
def test_equal_captum_where_there_is_no_maximum(smooth_convolution, images, classes, captum):
    reference = torch.full((1, 3, 12, 12), 0.2).double()
    found = deeplift(smooth_convolution, images, classes, reference=reference)
    expected = captum.DeepLift(smooth_convolution).attribute(
        images.clone(), baselines=reference, target=classes
    )
    torch.testing.assert_close(found.values[0], expected, rtol=1e-7, atol=1e-10)
    background = torch.randn(5, 3, 12, 12, generator=torch.Generator().manual_seed(3)).double()
    found = deep_shap(smooth_convolution, images, background, classes)
    expected = captum.DeepLiftShap(smooth_convolution).attribute(
        images.clone(), baselines=background, target=classes
    )
    torch.testing.assert_close(found.values[0], expected, rtol=1e-7, atol=1e-10)
    assert found.gap.abs().max() < 1e-10


def test_adds_up_through_maxima(convolution, images, classes):
    found = deeplift(convolution, images, classes, reference=0.3 * images.flip(0))
    assert found.gap.abs().max() < 1e-12


def test_adds_up_where_windows_of_maxima_overlap():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(75, 2)
    ).double()
    images = torch.randn(3, 1, 12, 12).double()
    found = deeplift(network, images, 1, reference=images.roll(1, 0))
    assert found.gap.abs().max() < 1e-12


def test_the_rescale_rule_by_hand():
    # y = relu(2 a - b): from (0, 2), where the sum is -2, to (3, 1), where it is 5.
    network = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[2.0, -1.0]]))
    found = deeplift(network, torch.tensor([[3.0, 1.0]]), reference=torch.tensor([[0.0, 2.0]]))
    slope = 5 / 7
    torch.testing.assert_close(found.values[0], torch.tensor([[6 * slope, 1 * slope]]))


def test_a_product_is_shared_by_the_other_factors_mean():
    class Product(nn.Module):
        def forward(self, x):
            return x[:, :1] * x[:, 1:]

    inputs, reference = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 2.0]])
    found = deeplift(Product(), inputs, reference=reference)
    torch.testing.assert_close(found.values[0], torch.tensor([[2 * 3.0, 2 * 2.0]]))


def test_linear_networks_have_their_closed_form():
    network = nn.Linear(3, 2)
    inputs, background = torch.randn(4, 3), torch.randn(7, 3)
    found = deep_shap(network, inputs, background, 1)
    expected = network.weight[1].detach() * (inputs - background.mean(dim=0))
    torch.testing.assert_close(found.values[0], expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes", "most"),
    [
        ("text_gru", {"vocabularies": [30]}, 1e-9),
        ("text_cnn", {"vocabularies": [30]}, 1e-9),
        ("bert", {"vocabularies": [30], "layers": 2, "size": 32, "heads": 2}, 1e-9),
        ("bag_of_words", {"vocabularies": [30]}, 2e-2),
    ],
)
def test_adds_up_through_texts(name, sizes, most):
    torch.manual_seed(0)
    try:
        network = build(name, num_outputs=2, **sizes).double()
    except Exception:  # noqa: BLE001 - sizes are named otherwise
        network = build(name, num_outputs=2, vocabularies=sizes["vocabularies"]).double()
    tokens = torch.tensor([[5, 7, 9, 3, 5, 0], [5, 7, 9, 3, 8, 2]])
    found = deeplift(network, tokens)
    assert (found.gap.abs() <= most * (found.output - found.reference).abs() + 1e-12).all()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_adds_up_through_torchs_recurrent_kernels(kind):
    torch.manual_seed(0)

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = getattr(nn, kind)(3, 5, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, 2)

        def forward(self, steps):
            return self.head(self.layer(steps)[0].amax(dim=1))

    found = deeplift(Reader().double(), torch.randn(2, 6, 3).double(), 1)
    assert found.gap.abs().max() < 1e-12
