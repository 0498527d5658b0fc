"""Concept activation vectors: whether a concept, shown by examples, speaks for an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glial.core.errors import InputError, unknown_name
from glial.explanation.networks.gradients import Inputs, as_inputs
from glial.explanation.networks.reading import Choice, Opened, Reading, chosen, untouched


@dataclass(frozen=True)
class Concept:
    """How a concept bears on an output.

    Attributes:
        score: Share of rows for which more of the concept raises the output.
        scores: The same against each set of other examples.
        accuracy: How well each of these vectors tells held-out examples of the concept from others.
        chance_scores: Scores of vectors between sets of other examples alone.
        p_value: Of a t-test that scores and those by chance have one mean; NaN with one set.

    Example:
        >>> Concept(1.0, [1.0], [1.0], [], float("nan")).score
        1.0
    """

    score: float
    scores: list[float]
    accuracy: list[float]
    chance_scores: list[float]
    p_value: float


def concept_sensitivity(
    network: nn.Module,
    inputs: Inputs,
    concept: Inputs,
    others: Sequence[Inputs],
    layer: str,
    choice: Choice = None,
    *,
    seed: int = 0,
) -> Concept:
    """TCAV: the share of rows whose output rises along the direction of a concept in a layer.

    Args:
        network: The network; it is left as it was.
        inputs: Rows of the class that is asked about.
        concept: Examples of the concept, as the network takes them.
        others: Sets of other examples; with two or more, chance is measured too.
        layer: Where the direction is sought, by its path in ``named_modules()``.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        seed: Of which examples are held out.

    Raises:
        InputError: If there is no such layer, or there are too few examples.

    Source:
        Kim et al. (2018), "Interpretability beyond feature attribution: quantitative testing with
        concept activation vectors", arXiv 1711.11279, equations 1 and 2, and section 3.5.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> rows = torch.rand(8, 2)
        >>> found = concept_sensitivity(network, rows, rows + 2, [rows], "1", choice=0)
        >>> 0 <= found.score <= 1
        True
    """
    if not others:
        raise InputError("there is nothing to tell the concept from", expected="a set of others")
    slopes = _slopes(network, inputs, layer, choice)
    shown = _activations(network, concept, layer)
    rest = [_activations(network, other, layer) for other in others]
    found = [_direction(shown, other, seed) for other in rest]
    scores = [float((slopes @ vector > 0).mean()) for vector, _ in found]
    chance = []
    for number, other in enumerate(rest):
        for against in rest[number + 1 :]:
            vector, _ = _direction(other, against, seed)
            chance.append(float((slopes @ vector > 0).mean()))
    return Concept(
        float(np.mean(scores)),
        scores,
        [accuracy for _, accuracy in found],
        chance,
        _p_value(scores, chance),
    )


def _p_value(scores: Sequence[float], chance: Sequence[float]) -> float:
    """Of a t-test for one mean; of one against a constant where the others are all the same."""
    from scipy.stats import ttest_1samp, ttest_ind

    if min(len(scores), len(chance)) < 2:
        return float("nan")
    if np.ptp(scores) > 0 and np.ptp(chance) > 0:
        return float(ttest_ind(scores, chance, equal_var=False).pvalue)
    if np.ptp(chance) > 0:
        return float(ttest_1samp(chance, scores[0]).pvalue)
    if np.ptp(scores) > 0:
        return float(ttest_1samp(scores, chance[0]).pvalue)
    return float("nan")


def _direction(concept: Any, others: Any, seed: int) -> tuple[Any, float]:
    """The direction from others to a concept, and how well it tells held-out examples apart."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if min(len(concept), len(others)) < 4:
        raise InputError(
            "there are too few examples of a concept or of others",
            expected="at least 4 of each",
            got=f"{len(concept)} and {len(others)}",
        )
    x = np.concatenate([others, concept])
    y = np.repeat([0, 1], [len(others), len(concept)])
    parts = train_test_split(x, y, test_size=1 / 3, stratify=y, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    model.fit(parts[0], parts[2])
    vector = model[-1].coef_[0] / model[0].scale_
    return vector / max(np.linalg.norm(vector), 1e-12), float(model.score(parts[1], parts[3]))


def _activations(network: nn.Module, inputs: Inputs, layer: str) -> Any:
    with untouched(network), torch.no_grad():
        given = _at_layer(network, as_inputs(inputs), layer)[1]
    return given.flatten(1).double().cpu().numpy()


def _slopes(network: nn.Module, inputs: Inputs, layer: str, choice: Choice) -> Any:
    held = as_inputs(inputs)
    with untouched(network), torch.enable_grad():
        outputs, given = _at_layer(network, held, layer)
        slopes = torch.autograd.grad(chosen(outputs, choice).sum(), given)[0]
    return slopes.flatten(1).double().cpu().numpy()


def _at_layer(network: nn.Module, inputs: tuple[Tensor, ...], layer: str) -> tuple[Tensor, Tensor]:
    """The outputs, and what a layer gave on the way, which can be differentiated by."""
    modules = {name: module for name, module in network.named_modules() if name}
    if layer not in modules:
        raise unknown_name("layer", layer, modules)
    given: list[Tensor] = []

    def leave(module: nn.Module, _: Any, output: Tensor) -> Tensor:
        held = output.detach().requires_grad_(torch.is_grad_enabled())
        given.append(held)
        return held

    handle = modules[layer].register_forward_hook(leave)
    try:
        opened = Opened(network, inputs)
        outputs = opened.run(Reading(), [inputs[i] for i in opened.numbers])
    finally:
        handle.remove()
    if len(given) != 1 or not isinstance(given[0], Tensor):
        raise InputError(
            f"the layer {layer} is called {len(given)} times",
            expected="a layer that is called once and gives one tensor",
            got=type(modules[layer]).__name__,
        )
    return outputs, given[0]
