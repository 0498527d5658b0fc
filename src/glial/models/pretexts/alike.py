"""Pretexts that draw two views of each row together: against all others, or by spread alone."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from glial.functional import nt_xent, vicreg, view_similarities
from glial.models.pretexts.pretext import Pretext, RowForm
from glial.models.pretexts.views import image_view, other_cells
from glial.models.unlabelled import Drawn

SHARE = 0.3  # of a row's cells that are another row's in a view


class Views(Pretext):
    """Two views of each row, and a projector behind the encoder in whose space they are compared.

    In the space of the encoder itself, which is kept, less is forgotten of what views change.

    Args:
        encoder: A network of images, or of numbers and categories.
        form: What a row holds.
        sizes: Units of each layer of the projector.
        strength: Of the views of images; see `image_view`.
        share: Of a table's row, the share of cells that are another row's in each view.

    Source:
        Chen, Kornblith, Norouzi, Hinton (2020), arXiv 2002.05709, section 2.1; views of tables:
        Bahri, Jiang, Tay, Metzler (2022), "SCARF", arXiv 2106.15147.

    Example:
        >>> issubclass(Contrastive, Views) and issubclass(VarianceRegularized, Views)
        True
    """

    kinds = ("image", "table")

    def __init__(
        self,
        encoder: nn.Module,
        form: RowForm,
        *,
        sizes: tuple[int, ...],
        strength: float = 1.0,
        share: float = SHARE,
    ) -> None:
        super().__init__(encoder, form)
        self.form, self.strength, self.share = form, strength, share
        self.size = sizes[-1]
        layers: list[nn.Module] = []
        before = self.num_features
        for size in sizes[:-1]:
            layers += [nn.Linear(before, size, bias=False), nn.BatchNorm1d(size), nn.ReLU()]
            before = size
        self.projector = nn.Sequential(*layers, nn.Linear(before, sizes[-1]))

    def view(self, rows: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """One look at each row."""
        if self.form.image is not None:
            view: Tensor = image_view(rows[0], generator, strength=self.strength)
            return (view,)
        codes = rows[1] if len(rows) > 1 else None
        cells: tuple[Tensor, ...] = other_cells(rows[0], codes, self.form, self.share, generator)[0]
        return cells

    def draw(self, *rows: Shaped[Tensor, "row ..."], generator: torch.Generator) -> Drawn:
        """Two views, all tensors of the first before those of the second; the target is empty."""
        views = (*self.view(rows, generator), *self.view(rows, generator))
        return Drawn(views, rows[0].new_zeros(len(rows[0]), 0))

    def forward(self, *views: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row 2 feature"]:
        """The projected vectors of both views of each row."""
        half = len(views) // 2
        pairs = zip(views[:half], views[half:], strict=True)
        vectors: Tensor = self.projector(self.embed(*(torch.cat(pair) for pair in pairs)))
        return vectors.reshape(2, -1, vectors.shape[1]).transpose(0, 1)

    def trivial_outputs(self, target: Tensor) -> Tensor:
        """One vector for all rows."""
        return torch.ones(len(target), 2, self.size, device=target.device)


class Contrastive(Views):
    """SimCLR: each view is to find its partner among all views of the batch.

    Args:
        encoder: A network of images, or of numbers and categories.
        form: What a row holds.
        size: Numbers of a projected vector.
        temperature: See `nt_xent`.
        strength: Of the views of images.
        share: Of the cells that are another row's.

    Source:
        Chen, Kornblith, Norouzi, Hinton (2020), arXiv 2002.05709.

    Example:
        >>> from glial.models import build
        >>> encoder = build("mlp", num_outputs=1, num_inputs=3, hidden_sizes=[4])
        >>> network = Contrastive(encoder, RowForm(owners=(0, 1, 2)), size=8)
        >>> drawn = network.draw(torch.randn(5, 3), generator=torch.Generator())
        >>> network(*drawn.inputs).shape
        torch.Size([5, 2, 8])
    """

    name = "simclr"
    source = "Chen, Kornblith, Norouzi, Hinton (2020), arXiv 2002.05709"

    def __init__(
        self,
        encoder: nn.Module,
        form: RowForm,
        *,
        size: int = 64,
        temperature: float = 0.2,
        strength: float = 1.0,
        share: float = SHARE,
    ) -> None:
        sizes = (2 * size, size)
        super().__init__(encoder, form, sizes=sizes, strength=strength, share=share)
        self.temperature = temperature

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Nats to find a view's partner."""
        first, second = outputs.unbind(dim=1)
        return nt_xent(first, second, temperature=self.temperature, weight=weight)

    def figures(self, outputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Nats of each row's two partners, and how many were found, among these rows."""
        first, second = outputs.unbind(dim=1)
        logits = view_similarities(first, second, temperature=self.temperature)
        rows = torch.arange(len(first), device=first.device)
        partners = torch.cat([rows + len(first), rows])
        nats = nn.functional.cross_entropy(logits, partners, reduction="none")
        found = (logits.argmax(dim=1) == partners).float()
        both = {"pretext_loss": nats, "pretext_accuracy": found}
        return {name: value.reshape(2, -1).mean(dim=0) for name, value in both.items()}


class VarianceRegularized(Views):
    """VICReg: views are to be alike, every feature to vary, none to repeat another.

    Args:
        encoder: A network of images, or of numbers and categories.
        form: What a row holds.
        size: Numbers of a projected vector.
        invariance: Weights of the terms; see `vicreg`.
        variance: Likewise.
        covariance: Likewise.
        strength: Of the views of images.
        share: Of the cells that are another row's.

    Source:
        Bardes, Ponce, LeCun (2022), "VICReg: variance-invariance-covariance regularization for
        self-supervised learning", arXiv 2105.04906.

    Example:
        >>> from glial.models import build
        >>> encoder = build("mlp", num_outputs=1, num_inputs=3, hidden_sizes=[4])
        >>> network = VarianceRegularized(encoder, RowForm(owners=(0, 1, 2)), size=8)
        >>> same = network.trivial_outputs(torch.zeros(4))
        >>> round(float(network.loss(same, torch.zeros(4))), 3)  # nothing varies: 25 (1 - 0.01)
        24.75
    """

    name = "vicreg"
    source = "Bardes, Ponce, LeCun (2022), arXiv 2105.04906"

    def __init__(
        self,
        encoder: nn.Module,
        form: RowForm,
        *,
        size: int = 256,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        strength: float = 1.0,
        share: float = SHARE,
    ) -> None:
        sizes = (size, size, size)
        super().__init__(encoder, form, sizes=sizes, strength=strength, share=share)
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The weighted sum of the three terms."""
        first, second = outputs.unbind(dim=1)
        return vicreg(
            first,
            second,
            invariance=self.invariance,
            variance=self.variance,
            covariance=self.covariance,
            weight=weight,
        )

    def figures(self, outputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss of these rows together, and whether each row's views are each other's nearest.

        Nearest by Euclidean distance between first and second views.
        """
        first, second = outputs.unbind(dim=1)
        apart = torch.cdist(first, second)
        rows = torch.arange(len(first), device=first.device)
        found = (apart.argmin(dim=1) == rows).float() + (apart.argmin(dim=0) == rows).float()
        return {
            "pretext_loss": self.loss(outputs, target).expand(len(first)),
            "pretext_accuracy": found / 2,
        }
