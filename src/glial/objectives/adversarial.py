"""Descent against an adversary that tries to tell from the outputs which group a row is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glial.data.batches import Batch, split
from glial.nn.auxiliary import WithAuxiliary
from glial.tasks.task import expanded_to_members
from glial.training.objective import Descent, LossFunction, Mass, Passes
from glial.training.schedules import Moment, Schedule
from glial.training.settings import TrainSettings

# Which of two classes' rows the adversary looks at.
ONE_CLASS = {"equal_opportunity": 1, "predictive_equality": 0}
ADVERSARY_RATE = 0.05
ADVERSARY_STEPS = 5
_PREFIX = "adversary."


class Adversary(nn.Module):
    """Tells the group of a row from what a network says of it, by one linear layer.

    It sees the probabilities, sharpened by a factor that it learns, so that it can look at what
    is decided as well as at how surely; by equalised odds also the row's true class.

    Args:
        num_groups: Number of groups.
        num_classes: Number of classes.
        criterion: ``demographic_parity``, ``equalized_odds``, or, of two classes alone,
            ``equal_opportunity`` or ``predictive_equality``.

    Source:
        Zhang, Lemoine, Mitchell (2018), arXiv 1801.07593, sections 3 and 4.

    Example:
        >>> adversary = Adversary(2, 2, "demographic_parity")
        >>> adversary(torch.zeros(3, 1), torch.tensor([0, 1, 1])).shape
        torch.Size([3, 2])
    """

    def __init__(self, num_groups: int, num_classes: int, criterion: str) -> None:
        super().__init__()
        self._by_class = num_classes if criterion == "equalized_odds" else 0
        shares = 1 if num_classes == 2 else num_classes
        width = shares if not self._by_class else (shares + 1) * num_classes
        self.sharpness = nn.Parameter(torch.ones(()))
        self.linear = nn.Linear(width, num_groups)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(
        self, scores: Float[Tensor, "row output"], target: Int[Tensor, " row"]
    ) -> Float[Tensor, "row group"]:
        """Scores of each group."""
        sharp = (1 + self.sharpness.abs()) * scores
        said = sharp.sigmoid() if scores.shape[1] == 1 else sharp.softmax(dim=1)
        if self._by_class:
            true = nn.functional.one_hot(target, self._by_class).to(said)
            said = torch.cat([(said[:, :, None] * true[:, None]).flatten(1), true], dim=1)
        told: Tensor = self.linear(said)
        return told


class AdversarialDescent(Descent):
    """Descent on a loss that takes away what would help an adversary to tell groups apart.

    The gradient of the loss loses its part along the adversary's, and the adversary's is
    subtracted. The adversary takes five steps down its own loss before each: one that lags behind
    pushes the network past equality, and back.

    Args:
        model: The network.
        loss: ``loss(outputs, target, weight)``, the mean over rows.
        settings: Optimiser, schedule, penalties and clipping.
        lr: Base learning rate.
        criterion: What is to be alike: see :class:`Adversary`.
        strength: How much the adversary's gradient counts; 0 is descent on the loss alone.
        num_groups: Number of groups.
        num_classes: Number of classes.
        schedule: As for `glial.training.Descent`.
        mass: Likewise.

    Source:
        Zhang, Lemoine, Mitchell (2018), "Mitigating unwanted biases with adversarial learning",
        arXiv 1801.07593, eq. (1).

    Example:
        >>> model = nn.Linear(1, 1)
        >>> loss = lambda outputs, target, weight: outputs.square().mean()
        >>> settings = TrainSettings(optimizer="sgd")
        >>> descent = AdversarialDescent(model, loss, settings, lr=0.1, num_groups=2)
        >>> rows = Batch((torch.ones(2, 1),), torch.tensor([0, 1]), group=torch.tensor([0, 1]))
        >>> descent.step(rows, Moment(0, 0, 0.0)).shape
        torch.Size([])
    """

    def __init__(
        self,
        model: nn.Module,
        loss: LossFunction,
        settings: TrainSettings,
        lr: float,
        *,
        num_groups: int,
        num_classes: int = 2,
        criterion: str = "demographic_parity",
        strength: float = 1.0,
        schedule: Schedule | None = None,
        mass: Mass | None = None,
    ) -> None:
        eager = settings.model_copy(update={"step": "eager"})
        super().__init__(model, loss, eager, lr, schedule, mass)
        self._strength = strength
        self._looks_at = ONE_CLASS.get(criterion)
        device = next(iter(model.parameters())).device
        self.adversary = Adversary(num_groups, num_classes, criterion).to(device)
        self._own = torch.optim.Adam(self.adversary.parameters(), lr=ADVERSARY_RATE)

    def make_passes(self, batch: Batch, moment: Moment) -> Tensor:
        """The passes of the loss alone: an adversary is no part of the network that is watched."""
        self._begin(moment)
        return super()._descend_by_autograd(batch)

    def _descend_by_autograd(self, batch: Batch, passes: Passes | None = None) -> Tensor:
        if not self._strength:
            return super()._descend_by_autograd(batch, passes)
        self.optimizer.zero_grad(set_to_none=True)
        free = [parameter for parameter in self._updates.parameters if parameter.requires_grad]
        found = [torch.zeros_like(parameter) for parameter in free]
        parts = split(batch, self._accumulate)
        masses = torch.stack([self._mass(part.target, part.weight) for part in parts])
        looked_at = torch.stack([self._looked_at(part).sum() for part in parts])
        tiny = torch.finfo(masses.dtype).tiny
        total = torch.zeros_like(masses[0])
        if len(parts) > 1:
            with torch.no_grad():
                told = [_scores(self._passes(*part.inputs)) for part in parts]
            self._teach(torch.cat(told), batch)
        for part, share, seen in zip(
            parts,
            masses / masses.sum().clamp_min(tiny),
            looked_at / looked_at.sum().clamp_min(tiny),
            strict=True,
        ):
            outputs = (passes or self._passes)(*part.inputs)
            if len(parts) == 1:
                self._teach(_scores(outputs).detach(), batch)
            spied = self._spied(_scores(outputs), part) * seen
            gradients = torch.autograd.grad(spied, free, retain_graph=True, allow_unused=True)
            for sums, gradient in zip(found, gradients, strict=True):
                if gradient is not None:
                    sums += gradient
            loss = self._loss_of_outputs(outputs, part) * share
            loss.backward()
            total += loss.detach()
        take_away([p.grad for p in free], found, self._strength)
        return total

    def _teach(self, scores: Tensor, batch: Batch) -> None:
        """Let the adversary learn from what the network says now, before it is heeded."""
        for _ in range(ADVERSARY_STEPS):
            self._own.zero_grad()
            loss = self._spied(scores, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            self._own.step()

    def _looked_at(self, batch: Batch) -> Tensor:
        """What each row counts for the adversary, [row]."""
        counts = batch.weight if batch.weight is not None else torch.ones(len(batch.target))
        counts = counts.to(batch.target.device)
        return counts if self._looks_at is None else counts * (batch.target == self._looks_at)

    def _spied(self, scores: Tensor, batch: Batch) -> Tensor:
        """The adversary's loss: the mean over rows that it looks at."""
        assert batch.group is not None  # noqa: S101 - narrows the type
        members = scores.shape[1] if scores.ndim == 3 else 1
        scores, target, counts = expanded_to_members(scores, batch.target, self._looked_at(batch))
        assert counts is not None  # noqa: S101 - narrows the type
        group = batch.group.repeat_interleave(members)
        surprise = nn.functional.cross_entropy(
            self.adversary(scores.float(), target), group, reduction="none"
        )
        return (surprise * counts).sum() / counts.sum().clamp_min(torch.finfo(counts.dtype).tiny)

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's running averages, and the adversary with its own."""
        own = {
            f"{_PREFIX}{number}.{key}": value
            for number, state in self._own.state_dict()["state"].items()
            for key, value in state.items()
        }
        weights = self.adversary.state_dict()
        return super().tensors() | own | {f"{_PREFIX}{key}": weights[key] for key in weights}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        mine = {k.removeprefix(_PREFIX): v for k, v in tensors.items() if k.startswith(_PREFIX)}
        super().load({k: v for k, v in tensors.items() if not k.startswith(_PREFIX)}, numbers)
        names = self.adversary.state_dict().keys()
        self.adversary.load_state_dict({name: mine.pop(name) for name in names})
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in mine.items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value
        self._own.load_state_dict({**self._own.state_dict(), "state": state})


def _scores(outputs: Any) -> Tensor:
    """The network's own outputs, where it has auxiliary ones beside them."""
    scores: Tensor = outputs.outputs if isinstance(outputs, WithAuxiliary) else outputs
    return scores


def take_away(
    gradients: Sequence[Tensor | None], helpful: Sequence[Tensor], strength: float
) -> None:
    """Take from a gradient its part along another, and some of that other, in place.

    Args:
        gradients: The gradient of a loss, a tensor a parameter.
        helpful: The gradient of the adversary's loss, likewise.
        strength: How much of it is subtracted.

    Source:
        Zhang, Lemoine, Mitchell (2018), arXiv 1801.07593, eq. (1).

    Example:
        >>> gradient, helpful = torch.tensor([3.0, 4.0]), torch.tensor([2.0, 0.0])
        >>> take_away([gradient], [helpful], 0.5)
        >>> gradient.tolist()
        [-1.0, 4.0]
    """
    pairs = [(g, h) for g, h in zip(gradients, helpful, strict=True) if g is not None]
    if not pairs:
        return
    along = torch.stack([(g * h).sum() for g, h in pairs]).sum()
    length = torch.stack([h.square().sum() for _, h in pairs]).sum()
    share = torch.where(length > 0, along / length.clamp_min(torch.finfo(length.dtype).tiny), 0)
    for gradient, other in pairs:
        gradient -= (share + strength) * other
