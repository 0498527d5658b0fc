"""The explainers of predictions that look into the network, as the table names them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.backward import deconvolution, guided_backpropagation
from glial.explanation.networks.cams import class_activation_map, grad_cam
from glial.explanation.networks.deeplift import deep_shap, deeplift
from glial.explanation.networks.gradients import (
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from glial.explanation.networks.occlusion import occlusion
from glial.explanation.networks.reading import Choice, Opened, Reading, chosen, untouched
from glial.explanation.networks.relevance import relevance
from glial.explanation.networks.rollout import attention_rollout
from glial.explanation.predictions import ByNetwork
from glial.explanation.scores import Scored

STEPS_PER_WINDOW = 16


def _cam(network: Scored, inputs: tuple[Tensor, ...], choice: Tensor) -> Attribution:
    if not network.two_classes:
        return class_activation_map(network.network, inputs, choice)
    signs = (2 * choice - 1).to(inputs[0])
    found = class_activation_map(network.network, inputs, 0)
    values = tuple(
        None if v is None else v * signs.view(-1, *[1] * (v.ndim - 1)) for v in found.values
    )
    return Attribution(values, found.output * signs)


def _grad_cam_plus_plus(
    network: nn.Module, inputs: tuple[Tensor, ...], choice: Choice
) -> Attribution:
    return grad_cam(network, inputs, choice, plus_plus=True)


def _by_gamma(network: nn.Module, inputs: tuple[Tensor, ...], choice: Choice) -> Attribution:
    return relevance(network, inputs, choice, rule="gamma")


def _deep_shap(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    choice: Choice,
    background: Sequence[Tensor] = (),
) -> Attribution:
    return deep_shap(network, inputs, background, choice)


def _occlusion(network: nn.Module, inputs: tuple[Tensor, ...], choice: Choice) -> Attribution:
    """Every input covered in turn: cells and tokens one by one, images and series by windows."""
    opened = Opened(network, inputs)
    values: list[Tensor | None] = [None] * len(inputs)
    found = None
    for place in (*opened.numbers, *(opened.codes or ())):
        held = inputs[place]
        window = None
        if held.ndim == 3 and place in opened.numbers:
            window = [max(1, held.shape[1] // STEPS_PER_WINDOW), held.shape[2]]
        stride = None if window is None else [max(1, window[0] // 2), window[1]]
        fill = 1 if place in (opened.codes or ()) and held.shape[1] > 1 else 0
        found = occlusion(
            network, inputs, choice, window=window, stride=stride, fill=fill, place=place
        )
        values[place] = found.values[place]
    assert found is not None  # noqa: S101 - there is an input
    return Attribution(tuple(values), found.output)


def _rollout(network: nn.Module, inputs: tuple[Tensor, ...], choice: Choice) -> Attribution:
    """Shares of places as numbers of tokens, of steps, or of the pixels of patches."""
    opened = Opened(network, inputs)
    shares = attention_rollout(network, inputs)
    with untouched(network), torch.no_grad():
        output = chosen(opened.run(Reading(), opened.entries()), choice)
    values: list[Tensor | None] = [None] * len(inputs)
    for place, held in enumerate(inputs):
        if held.ndim == 2 and held.shape == shares.shape:
            values[place] = shares
        elif held.ndim == 3 and held.shape[:2] == shares.shape:
            values[place] = (shares[:, :, None] / held.shape[2]).expand_as(held)
        elif held.ndim == 4:
            side = round((shares.shape[1] - 1) ** 0.5)
            if side**2 == shares.shape[1] - 1:  # patches behind a class token
                grid = shares[:, 1:].view(-1, 1, side, side)
                wide = functional.interpolate(grid, held.shape[2:], mode="bilinear")
                values[place] = wide.expand_as(held) / held.shape[1]
    if all(value is None for value in values):
        raise InputError(
            "the places of attention are not those of an input",
            expected="a token, a step or a patch of an image for each place",
            got=f"{shares.shape[1]} places",
        )
    return Attribution(tuple(values), output)


SALIENCY = ByNetwork("saliency", saliency, "size of the gradient at each input")
INPUT_X_GRADIENT = ByNetwork("input_x_gradient", input_x_gradient, "input times gradient")
SMOOTH_GRAD = ByNetwork("smooth_grad", smooth_grad, "mean gradient among noise")
INTEGRATED_GRADIENTS = ByNetwork(
    "integrated_gradients", integrated_gradients, "gradients on the way from nothing", complete=True
)
DEEPLIFT = ByNetwork(
    "deeplift", deeplift, "differences from nothing, layer by layer", complete=True
)
DEEP_SHAP = ByNetwork(
    "deep_shap",
    _deep_shap,
    "DeepLIFT from rows that may come: Shapley values, nearly",
    complete=True,
    takes_background=True,
)
GUIDED_BACKPROPAGATION = ByNetwork(
    "guided_backpropagation", guided_backpropagation, "positive gradients of positive units"
)
DECONVOLUTION = ByNetwork("deconvolution", deconvolution, "positive gradients")
CAM = ByNetwork("cam", _cam, "the head's view of the last maps", needs=("image", "sound"))
GRAD_CAM = ByNetwork(
    "grad_cam",
    grad_cam,
    "last maps, weighed by their gradients",
    needs=("image", "sound", "sequence"),
)
GRAD_CAM_PLUS_PLUS = ByNetwork(
    "grad_cam_plus_plus",
    _grad_cam_plus_plus,
    "the same for several objects",
    needs=("image", "sound", "sequence"),
)
RELEVANCE = ByNetwork("relevance", relevance, "relevance traced back layer by layer", complete=True)
RELEVANCE_GAMMA = ByNetwork(
    "relevance_gamma", _by_gamma, "the same, more for what speaks for it", complete=True
)
OCCLUSION = ByNetwork("occlusion", _occlusion, "what covering each part takes away")
ROLLOUT = ByNetwork("rollout", _rollout, "where attention came from")
