"""A vector of each class that is learnt beside a network: what its rows are to lie near."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.nn.auxiliary import WithAuxiliary


class WithProxies(nn.Module):
    """A network of embeddings, and a proxy of each class that is learnt with it.

    In training it gives a row's embedding and, behind it, the cosine of its angle to each proxy; in
    evaluation the network's own outputs. The proxies are parameters, so they are trained, averaged
    and checkpointed like all others; what was learnt is ``network``.

    Args:
        network: Gives an embedding a row, [row, feature] or [row, member, feature].
        num_classes: Number of proxies.
        size: Numbers of an embedding.

    Source:
        Movshovitz-Attias et al. (2017), "No fuss distance metric learning using proxies", arXiv
        1703.07464.

    Example:
        >>> both = WithProxies(nn.Linear(5, 4), num_classes=3, size=4)
        >>> both(torch.ones(2, 5)).shape, both.eval()(torch.ones(2, 5)).shape
        (torch.Size([2, 7]), torch.Size([2, 4]))
        >>> both.layer_groups()
        [['network.weight'], ['network.bias', 'proxies']]
    """

    def __init__(self, network: nn.Module, num_classes: int, size: int) -> None:
        super().__init__()
        self.network = network
        self.proxies = nn.Parameter(functional.normalize(torch.randn(num_classes, size), dim=1))
        # Who trains a network asks it for these only where it has them.
        if hasattr(network, "set_progress"):
            self.set_progress = network.set_progress
        if hasattr(network, "parameter_groups"):
            self.parameter_groups = self._parameter_groups

    def forward(self, *inputs: Tensor) -> Tensor | WithAuxiliary:
        """Embeddings, in training with the similarities of each to the proxies."""
        outputs = self.network(*inputs)
        if not self.training:
            return outputs  # type: ignore[no-any-return]
        if isinstance(outputs, WithAuxiliary):
            others = tuple(self._compared(part) for part in outputs.auxiliary)
            return outputs._replace(outputs=self._compared(outputs.outputs), auxiliary=others)
        return self._compared(outputs)

    def _compared(self, embeddings: Tensor) -> Tensor:
        # Angles are lost in low precision.
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.float()
            directions = functional.normalize(embeddings, dim=-1)
            cosines = directions @ functional.normalize(self.proxies, dim=1).T
            return torch.cat([embeddings, cosines], dim=-1)

    def layer_groups(self) -> list[list[str]]:
        """The network's layers, the proxies with the last of them."""
        own = getattr(self.network, "layer_groups", None)
        names = [name.partition(".")[0] for name, _ in self.network.named_parameters()]
        groups = own() if callable(own) else [[name] for name in dict.fromkeys(names)]
        *body, head = [[f"network.{name}" for name in group] for group in groups]
        return [*body, [*head, "proxies"]]

    def _parameter_groups(self) -> list[dict[str, object]]:
        own: list[dict[str, object]] = self.network.parameter_groups()  # type: ignore[operator]
        return [*own, {"params": [self.proxies], "lr_factor": 1.0, "decay_factor": 0.0}]
