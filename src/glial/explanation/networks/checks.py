"""Whether an explanation can be believed: five questions put to a method."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.gradients import settled
from glial.explanation.networks.reading import Choice, Opened, Reading, chosen, untouched

# From a network and its inputs to an explanation of one output of each row.
Method = Callable[..., Attribution]
PARTS = 16  # in so many parts inputs are taken away and put back
SAME = 0.5  # a rank correlation above which random weights have changed too little


@dataclass(frozen=True)
class Checked:
    """What the questions gave.

    Attributes:
        completeness: The part of the output (or of its difference from the reference's) that the
            parts do not add up to, as a share of it; NaN for methods that share out nothing.
        sensitivity: The largest change of the explanation for inputs changed by little, as a share
            of its size; small is stable.
        randomised: Rank correlation with the explanation of the same network with its weights
            shuffled, the mean over rows of the size of numbers; near 0 where the method looks at
            the network, near 1 where it would show the same whatever was learnt.
        deletion: The output, as a share of what it was, on average while the most important parts
            are taken away first; low is good.
        insertion: The same while they are put back first; high is good.
        random_deletion: What the order of chance gives.
        random_insertion: Likewise.

    Example:
        >>> nan = float("nan")
        >>> Checked(nan, 0.1, 0.9, 0.2, 0.8, 0.5, 0.5).looks_at_the_network
        False
    """

    completeness: float
    sensitivity: float
    randomised: float
    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float

    @property
    def looks_at_the_network(self) -> bool:
        """Whether shuffled weights change the explanation."""
        return not self.randomised > SAME

    @property
    def beats_chance(self) -> bool:
        """Whether its order takes the output away sooner, or brings it back sooner, than chance."""
        return self.deletion < self.random_deletion or self.insertion > self.random_insertion

    def to_dict(self) -> dict[str, Any]:
        """All figures by name."""
        own = {"looks_at_the_network": self.looks_at_the_network}
        return {**asdict(self), **own, "beats_chance": self.beats_chance}


def check_method(
    method: Method,
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    choice: Choice = None,
    *,
    complete: bool = False,
    fill: Callable[[int, Tensor], Tensor] | None = None,
    noise: float = 0.02,
    seed: int = 0,
) -> Checked:
    """Put all questions to a method on some rows.

    Args:
        method: The method.
        network: The network; it is left as it was.
        inputs: What it is called with.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        complete: Whether the method's parts should add up.
        fill: What stands where something is taken away: from an input's place and its values to
            values of its shape; None is 0 for numbers and 1, the unknown token, for codes.
        noise: Of small changes, as a share of each input's standard deviation.
        seed: Of the noise, of the shuffling and of the order of chance.

    Source:
        Completeness: Sundararajan et al. (2017), arXiv 1703.01365; sensitivity: Yeh et al. (2019),
        arXiv 1901.09392; shuffled weights: Adebayo et al. (2018), arXiv 1810.03292; deletion and
        insertion: Petsiuk, Das, Saenko (2018), arXiv 1806.07421.

    Example:
        >>> from glial.explanation.networks.gradients import input_x_gradient
        >>> network = nn.Linear(4, 1, bias=False)
        >>> told = check_method(input_x_gradient, network, (torch.rand(2, 4),), complete=True)
        >>> told.completeness < 1e-5, told.sensitivity < 0.1
        (True, True)
    """
    opened = Opened(network, inputs)
    with untouched(network):
        choice = settled(opened, opened.entries(), choice)[1]
    found = method(network, inputs, choice)
    generator = torch.Generator().manual_seed(seed)
    deletion, insertion = curves(opened, found, choice, fill)
    chance = Attribution(
        tuple(
            None if v is None else torch.rand(v.shape, generator=generator).to(v)
            for v in found.values
        ),
        found.output,
    )
    by_chance = curves(opened, chance, choice, fill)
    return Checked(
        completeness=_completeness(found) if complete else math.nan,
        sensitivity=_sensitivity(method, opened, found, choice, noise, generator),
        randomised=_randomised(method, opened, found, choice, generator),
        deletion=deletion,
        insertion=insertion,
        random_deletion=by_chance[0],
        random_insertion=by_chance[1],
    )


def _completeness(found: Attribution) -> float:
    told = found.output if found.reference is None else found.output - found.reference
    gap = float(told.sum()) - float(found.total.sum()) - found.rest
    return abs(gap) / max(float(told.abs().sum()), 1e-12)


def _sensitivity(
    method: Method,
    opened: Opened,
    found: Attribution,
    choice: Choice,
    noise: float,
    generator: torch.Generator,
) -> float:
    """The largest relative change over some draws; codes are left as they are."""
    if not opened.numbers:
        return math.nan
    worst = 0.0
    for _ in range(4):
        inputs = list(opened.inputs)
        for place in opened.numbers:
            x = inputs[place]
            spread = noise * (x.std() if x.numel() > 1 else x.abs())
            inputs[place] = x + spread * torch.randn(x.shape, generator=generator).to(x)
        other = method(opened.network, tuple(inputs), choice)
        pairs = [
            (a, b)
            for a, b in zip(found.values, other.values, strict=True)
            if a is not None and b is not None
        ]
        change = math.sqrt(sum(float((a - b).square().sum()) for a, b in pairs))
        size = math.sqrt(sum(float(a.square().sum()) for a, _ in pairs))
        worst = max(worst, change / max(size, 1e-12))
    return worst


def _randomised(
    method: Method,
    opened: Opened,
    found: Attribution,
    choice: Choice,
    generator: torch.Generator,
) -> float:
    other = method(shuffled(opened.network, generator), opened.inputs, choice)
    pairs = zip(parts_of(opened, found), parts_of(opened, other), strict=True)
    told = [rank_correlation(_flat(a), _flat(b)) for a, b in pairs]
    kept = [value for value in told if math.isfinite(value)]
    return sum(kept) / len(kept) if kept else math.nan


def shuffled(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy of a network with each tensor's weights in another order: what it learnt is gone.

    Args:
        network: The network.
        generator: Draws the order.

    Example:
        >>> other = shuffled(nn.Linear(4, 4), torch.Generator().manual_seed(0))
        >>> other.weight.shape
        torch.Size([4, 4])
    """
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view(parameter.shape))
    return other


def parts_of(opened: Opened, found: Attribution) -> list[Tensor]:
    """What each row's explanation says of the parts that are taken away, a number each.

    Of images these are pixels, of series steps, of texts tokens, of tables columns.

    Args:
        opened: The network.
        found: The explanation.
    """
    flat = [
        _by_part(opened, place, value)
        for place, value in enumerate(found.values)
        if value is not None
    ]
    return list(torch.cat(flat, dim=1).unbind())


def _by_part(opened: Opened, place: int, value: Tensor) -> Tensor:
    """[row, part]: channels of images and numbers of steps are added up."""
    if value.ndim == 4:
        return value.sum(dim=1).flatten(1)
    if value.ndim == 3 and place in opened.numbers:
        return value.sum(dim=2)
    return value.flatten(1)


def curves(
    opened: Opened,
    found: Attribution,
    choice: Choice,
    fill: Callable[[int, Tensor], Tensor] | None = None,
) -> tuple[float, float]:
    """Means of the deletion and of the insertion curve, as shares of the output.

    An output here is what the inputs give less what nothing gives; its share is cut at 0 and 1.
    Rows that give no more than nothing does are left out; NaN where there are no others.

    Args:
        opened: The network with its inputs.
        found: Says which parts come first.
        choice: Which output.
        fill: See `check_method`.
    """
    orders = torch.stack([part.argsort(descending=True) for part in parts_of(opened, found)])
    covers = [_cover(opened, place, fill) for place in range(len(opened.inputs))]
    told = [p for p, value in enumerate(found.values) if value is not None]
    count = orders.shape[1]
    cuts = sorted({round(count * step / PARTS) for step in range(PARTS + 1)})
    whole = _output(opened, list(opened.inputs), choice)
    empty = [covers[p] if p in told else x for p, x in enumerate(opened.inputs)]
    nothing = _output(opened, empty, choice)
    there = whole > nothing  # rows whose inputs raise the output
    if not bool(there.any()):
        return math.nan, math.nan
    ranks = orders.argsort(dim=1)
    means = []
    for taken in (True, False):
        shares = []
        for cut in cuts:
            gone = ranks < cut if taken else ranks >= cut
            inputs = _without(opened, told, covers, gone)
            share = (_output(opened, inputs, choice) - nothing)[there] / (whole - nothing)[there]
            shares.append(float(share.clamp(0, 1).mean()))
        means.append(sum(shares) / len(shares))
    return means[0], means[1]


def _output(opened: Opened, inputs: list[Tensor], choice: Choice) -> Tensor:
    changed = Opened(opened.network, tuple(inputs), opened.codes)
    with untouched(opened.network), torch.no_grad():
        return chosen(changed.run(Reading(), [inputs[i] for i in changed.numbers]), choice)


def _cover(opened: Opened, place: int, fill: Callable[[int, Tensor], Tensor] | None) -> Tensor:
    held = opened.inputs[place]
    if fill is not None:
        return fill(place, held)
    return torch.ones_like(held) if place in (opened.codes or ()) else torch.zeros_like(held)


def _without(opened: Opened, told: list[int], covers: list[Tensor], gone: Tensor) -> list[Tensor]:
    """The inputs with some parts of each row covered; ``gone`` is [row, part]."""
    inputs, start = list(opened.inputs), 0
    for place in told:
        held = inputs[place]
        count = _by_part(opened, place, held).shape[1]
        mask = gone[:, start : start + count]
        start += count
        if held.ndim == 4:
            mask = mask.view(len(held), 1, *held.shape[2:])
        elif held.ndim == 3 and place in opened.numbers:
            mask = mask[:, :, None]
        else:
            mask = mask.view(held.shape)
        inputs[place] = torch.where(mask, covers[place], held)
    return inputs


def _flat(values: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = values.detach().abs().double().cpu().numpy()
    return found


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's; NaN where one of both is constant.

    Args:
        first: Numbers.
        second: As many.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([0.0, 1.0, 1.5]))
        1.0
    """
    from scipy.stats import rankdata

    a, b = (rankdata(values) for values in (first, second))
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else math.nan
