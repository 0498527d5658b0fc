from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.explanation.networks import (
    deconvolution,
    gradients,
    guided_backpropagation,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from glial.models import build


def test_equal_captum_on_a_convolutional_network(convolution, images, classes, captum):
    pairs = [
        (saliency, captum.Saliency),
        (input_x_gradient, captum.InputXGradient),
        (guided_backpropagation, captum.GuidedBackprop),
        (deconvolution, captum.Deconvolution),
    ]
    for own, theirs in pairs:
        found = own(convolution, images, classes).values[0]
        expected = theirs(convolution).attribute(images.clone(), target=classes)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_integrated_gradients_equal_captum_and_add_up(convolution, images, classes, captum):
    reference = torch.full((1, 3, 12, 12), 0.1).double()
    found = integrated_gradients(convolution, images, classes, reference=reference, steps=50)
    expected = captum.IntegratedGradients(convolution).attribute(
        images, baselines=reference, target=classes, n_steps=50
    )
    torch.testing.assert_close(found.values[0], expected, rtol=1e-5, atol=1e-8)
    assert found.gap.abs().max() < 1e-2 * (found.output - found.reference).abs().max()


def test_integrated_gradients_of_a_square_are_exact():
    class Square(nn.Module):
        def forward(self, x):
            return (x**2).sum(dim=1, keepdim=True)

    inputs = torch.tensor([[1.0, 2.0, -3.0]])
    found = integrated_gradients(Square(), inputs, steps=2)
    torch.testing.assert_close(found.values[0], inputs**2)


def test_smooth_grad_without_noise_is_the_gradient():
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    inputs = torch.randn(4, 3)
    found = smooth_grad(network, inputs, 1, noise=0.0, draws=2).values[0]
    torch.testing.assert_close(found.abs(), saliency(network, inputs, 1).values[0])


def test_smooth_grad_of_a_kink_is_the_mean_of_both_slopes():
    class Kink(nn.Module):
        def forward(self, x):
            return x.abs().sum(dim=1, keepdim=True)

    inputs = torch.tensor([[0.0, 10.0]])
    found = smooth_grad(Kink(), inputs, draws=400, noise=0.1).values[0]
    assert abs(float(found[0, 0])) < 0.15
    assert float(found[0, 1]) == pytest.approx(1.0)
    squared = smooth_grad(Kink(), inputs, draws=10, noise=0.1, squared=True).values[0]
    torch.testing.assert_close(squared, torch.ones(1, 2))


class Columns(nn.Module):
    """A number for each column's code, looked up in one table at shifted places."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.arange(12.0)[:, None])

    def forward(self, numbers, codes):
        places = (codes + torch.tensor([0, 4, 8])).flatten()
        found = self.table.index_select(0, places).view(len(codes), 3)
        return (numbers.sum(dim=1) + (found * torch.tensor([1.0, 10.0, 100.0])).sum(dim=1))[:, None]


def test_codes_that_are_looked_up_at_shifted_places_get_their_own_share():
    inputs = (torch.tensor([[0.5], [0.25]]), torch.tensor([[1, 3, 2], [0, 1, 3]]))
    found = integrated_gradients(Columns(), inputs, steps=2)
    torch.testing.assert_close(found.values[0], inputs[0])
    expected = torch.tensor([[1.0, 70.0, 1000.0], [0.0, 50.0, 1100.0]])
    torch.testing.assert_close(found.values[1], expected)


class OneHot(nn.Module):
    def forward(self, codes):
        first = nn.functional.one_hot(codes[:, 0], 3).float() @ torch.tensor([1.0, 2.0, 3.0])
        second = nn.functional.one_hot(codes[:, 1], 3).float() @ torch.tensor([10.0, 20.0, 30.0])
        return (first + second)[:, None]


def test_one_hot_codes_belong_to_their_columns():
    found = input_x_gradient(OneHot(), torch.tensor([[0, 2], [1, 1]]))
    torch.testing.assert_close(found.values[0], torch.tensor([[1.0, 30.0], [2.0, 20.0]]))


class Pairs(nn.Module):
    """Tokens and pairs of neighbours, sorted before they are looked up."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 1)
        with torch.no_grad():
            self.table.weight.copy_(torch.arange(100.0)[:, None])

    def forward(self, tokens):
        pairs = 10 + tokens[:, :-1] * 7 + tokens[:, 1:]
        places = torch.cat([pairs, tokens], dim=1).sort(dim=1).values
        return self.table(places).sum(dim=1)


def test_pairs_are_shared_by_their_tokens_though_they_are_sorted():
    # Looked up are 2, 3, 5 and the pairs 10 + 14 + 5 = 29 and 10 + 35 + 3 = 48.
    found = input_x_gradient(Pairs(), torch.tensor([[2, 5, 3]]))
    expected = torch.tensor([[2 + 29 / 2, 5 + 29 / 2 + 48 / 2, 3 + 48 / 2]])
    torch.testing.assert_close(found.values[0], expected)


def test_bags_are_opened_and_padding_counts_for_nothing():
    bag = nn.EmbeddingBag(6, 1, mode="mean", padding_idx=0)
    tokens = torch.tensor([[2, 4, 0]])
    found = input_x_gradient(bag, tokens)
    expected = bag.weight[tokens[0], 0].detach() / 2 * torch.tensor([1.0, 1.0, 0.0])
    torch.testing.assert_close(found.values[0][0], expected)
    torch.testing.assert_close(found.total, bag(tokens)[:, 0].detach())


def test_members_are_averaged_and_unknown_outputs_refused():
    class Members(nn.Module):
        def forward(self, x):
            return torch.stack([x, 3 * x], dim=1)

    inputs = torch.tensor([[1.0, 5.0]])
    found = input_x_gradient(Members(), inputs, 0)
    torch.testing.assert_close(found.output, torch.tensor([2.0]))
    torch.testing.assert_close(found.values[0], torch.tensor([[2.0, 0.0]]))
    with pytest.raises(InputError, match="no such output"):
        saliency(Members(), inputs, 2)
    with pytest.raises(InputError, match="nothing to explain by"):
        saliency(nn.Embedding(3, 1), torch.tensor([1, 2]))


@pytest.mark.slow
def test_many_points_in_one_pass_are_the_same_as_one_by_one(monkeypatch):
    torch.manual_seed(0)
    sizes = {"num_inputs": 5, "num_outputs": 2, "cardinalities": [3, 20]}
    tables = (torch.randn(3, 5).double(), torch.tensor([[2, 7], [1, 2], [0, 19]]))
    texts = (torch.tensor([[5, 7, 9, 3], [2, 8, 0, 0]]),)
    cases = [
        (build("tabular", **sizes).double(), tables),
        (build("text_gru", num_outputs=2, vocabularies=[30]).double(), texts),
    ]
    for network, inputs in cases:
        together = integrated_gradients(network, inputs, 1, steps=9)
        with monkeypatch.context() as patch:
            patch.setattr(gradients, "_row_axes", lambda *_: None)
            alone = integrated_gradients(network, inputs, 1, steps=9)
        for one, other in zip(together.values, alone.values, strict=True):
            torch.testing.assert_close(one, other)
