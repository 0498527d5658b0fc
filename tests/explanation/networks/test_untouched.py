"""Every method leaves the network as it found it, also after an exception."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.explanation.networks import (
    attention_rollout,
    check_method,
    class_activation_map,
    concept_sensitivity,
    deconvolution,
    deep_shap,
    deeplift,
    grad_cam,
    guided_backpropagation,
    influence,
    input_x_gradient,
    integrated_gradients,
    maximize_activation,
    occlusion,
    relevance,
    saliency,
    smooth_grad,
)
from glial.nn import GRU


def loss(outputs, target):
    return nn.functional.cross_entropy(outputs, target)


IMAGES = torch.rand(6, 3, 12, 12, dtype=torch.float64)
METHODS = {
    "saliency": lambda n: saliency(n, IMAGES),
    "input_x_gradient": lambda n: input_x_gradient(n, IMAGES),
    "smooth_grad": lambda n: smooth_grad(n, IMAGES, draws=2),
    "integrated_gradients": lambda n: integrated_gradients(n, IMAGES, steps=2),
    "deeplift": lambda n: deeplift(n, IMAGES),
    "deep_shap": lambda n: deep_shap(n, IMAGES, IMAGES[:2]),
    "guided_backpropagation": lambda n: guided_backpropagation(n, IMAGES),
    "deconvolution": lambda n: deconvolution(n, IMAGES),
    "grad_cam": lambda n: grad_cam(n, IMAGES),
    "cam": lambda n: class_activation_map(n, IMAGES),
    "relevance": lambda n: relevance(n, IMAGES),
    "relevance by gamma": lambda n: relevance(n, IMAGES, rule="gamma"),
    "occlusion": lambda n: occlusion(n, IMAGES, window=6),
    "concepts": lambda n: concept_sensitivity(n, IMAGES, IMAGES, [IMAGES + 1], "last", 0),
    "maximization": lambda n: maximize_activation(n, [3, 12, 12], 0, steps=2, layer="last"),
    "check": lambda n: check_method(saliency, n, (IMAGES[:2],)),
    "influence": lambda n: influence(
        n, loss, (IMAGES, torch.arange(6) % 4), (IMAGES[:1], torch.tensor([0]))
    ),
}


def state_of(network):
    return (
        [module.training for module in network.modules()],
        [parameter.requires_grad for parameter in network.parameters()],
        [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in network.modules()
        ],
        {name: value.clone() for name, value in network.state_dict().items()},
    )


def same(first, second):
    *plain, grads, hooks, weights = first
    *others, other_grads, other_hooks, other_weights = second
    return (
        plain == others
        and hooks == other_hooks
        and all(
            (a is None and b is None) or torch.equal(a, b)
            for a, b in zip(grads, other_grads, strict=True)
        )
        and all(torch.equal(weights[name], other_weights[name]) for name in weights)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_the_network_is_as_it_was(name, convolution):
    convolution.train()
    convolution.norm.eval()
    convolution.head.bias.requires_grad_(False)
    for parameter in convolution.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    before = state_of(convolution)
    METHODS[name](convolution)
    assert same(before, state_of(convolution))


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_also_after_an_exception(name, convolution, monkeypatch):
    class Broken(RuntimeError):
        pass

    def fail(*_):
        raise Broken

    convolution.train()
    before = state_of(convolution)
    monkeypatch.setattr(convolution.head, "forward", fail)
    with pytest.raises(Broken):
        METHODS[name](convolution)
    monkeypatch.undo()
    assert same(before, state_of(convolution))


def test_recurrent_layers_take_nothing_down_afterwards():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = GRU(2, 3)

        def forward(self, steps):
            return self.layer(steps)[0][:, -1]

    network = Reader()
    relevance(network, torch.rand(1, 4, 2))
    assert network.layer.taken is None


def test_rollout_leaves_attention_alone():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).train()
    before = state_of(layer)
    attention_rollout(layer, torch.rand(1, 5, 8))
    assert same(before, state_of(layer))
