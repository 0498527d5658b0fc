"""Proxies beside a network: what is given when, whose parameters they are, what is passed on."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from glial.models import build
from glial.nn.auxiliary import WithAuxiliary
from glial.nn.proxies import WithProxies


def test_training_gives_cosines_behind_the_embedding_and_evaluation_the_embedding():
    torch.manual_seed(0)
    network = nn.Linear(5, 4)
    both, rows = WithProxies(network, 3, 4), torch.randn(6, 5)
    outputs = both(rows)
    torch.testing.assert_close(outputs[:, :4], network(rows))
    expected = F.cosine_similarity(network(rows)[:, None], both.proxies[None], dim=2)
    torch.testing.assert_close(outputs[:, 4:], expected)
    assert torch.equal(both.eval()(rows), network(rows))


def test_members_and_auxiliary_heads_are_compared_each():
    class Members(nn.Module):
        def forward(self, rows):
            return rows[:, None].expand(-1, 2, -1)

    class Auxiliary(nn.Module):
        def forward(self, rows):
            return WithAuxiliary(rows, (2 * rows,), 0.3) if self.training else rows

    rows = torch.randn(5, 4)
    assert WithProxies(Members(), 3, 4)(rows).shape == (5, 2, 7)
    both = WithProxies(Auxiliary(), 3, 4)
    outputs = both(rows)
    torch.testing.assert_close(outputs.outputs[:, 4:], outputs.auxiliary[0][:, 4:])
    assert outputs.weight == 0.3
    assert torch.equal(both.eval()(rows), rows)


def test_proxies_are_parameters_of_length_one_and_get_gradients():
    both = WithProxies(nn.Linear(5, 4), 3, 4)
    torch.testing.assert_close(both.proxies.norm(dim=1), torch.ones(3))
    both(torch.randn(6, 5))[:, 4:].square().sum().backward()
    assert both.proxies.grad is not None
    assert both.proxies.grad.any()
    assert set(both.state_dict()) == {"proxies", "network.weight", "network.bias"}


def test_what_a_network_says_of_its_training_is_passed_on_and_copied():
    tabular = build("tabular", num_inputs=3, num_outputs=4, hidden_sizes=[8])
    both = copy.deepcopy(WithProxies(tabular, 3, 4))
    held = {id(p) for group in both.parameter_groups() for p in group["params"]}
    assert held == {id(p) for p in both.parameters()}
    both.set_progress(0.75)
    assert (both.network._progress, tabular._progress) == (0.75, 0.0)
    plain = WithProxies(build("mlp", num_inputs=3, num_outputs=4, hidden_sizes=[8]), 3, 4)
    assert not hasattr(plain, "parameter_groups")
    assert not hasattr(plain, "set_progress")


def test_every_parameter_stands_in_one_group_of_layers():
    image = build("residual_cnn", num_outputs=4, images=[[1, 8, 8]], widths=[4, 8])
    groups = WithProxies(image, 3, 4).layer_groups()
    assert groups == [
        ["network.stem"],
        ["network.blocks.0"],
        ["network.blocks.1"],
        ["network.head", "proxies"],
    ]


def test_similarities_keep_their_precision_in_low_precision():
    both, rows = WithProxies(nn.Linear(5, 4), 3, 4), torch.randn(6, 5)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = both(rows)
    assert outputs.dtype == torch.float32
    expected = F.cosine_similarity(outputs[:, None, :4], both.proxies[None], dim=2)
    torch.testing.assert_close(outputs[:, 4:], expected)
