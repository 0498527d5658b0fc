"""The pretext of tables: cells are swapped for other rows' and told from the rest."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from glial.models.pretexts.pretext import Pretext, RowForm
from glial.models.pretexts.views import other_cells
from glial.models.unlabelled import Drawn


class MaskedCells(Pretext):
    """What stood in cells that now hold those of other rows, and which cells these are.

    Numbers, and categories that come one-hot among them, are held against what they were by their
    mean squared error in scaled units; codes by their cross-entropy, in nats. A row's loss is the
    mean over its hidden cells, and beside it the binary cross-entropy of which they are, the mean
    over all cells.

    Args:
        encoder: A network of numbers and categories.
        form: What a row holds.
        share: Share of the cells that are hidden.

    Source:
        Yoon, Zhang, Jordon, van der Schaar (2020), "VIME: extending the success of self- and
        semi-supervised learning to tabular domain", NeurIPS 33, equations 3 to 5, with hidden
        cells alone in the second.

    Example:
        >>> from glial.models import build
        >>> encoder = build("mlp", num_outputs=1, num_inputs=2, cardinalities=[3], hidden_sizes=[4])
        >>> network = MaskedCells(encoder, RowForm(owners=(0, 1), cardinalities=(3,)))
        >>> rows = torch.randn(5, 2), torch.randint(3, (5, 1))
        >>> drawn = network.draw(*rows, generator=torch.Generator())
        >>> network(*drawn.inputs).shape  # two numbers, three codes, three cells
        torch.Size([5, 8])
    """

    name = "masked"
    kinds = ("table",)
    source = "Yoon, Zhang, Jordon, van der Schaar (2020), NeurIPS 33"

    def __init__(self, encoder: nn.Module, form: RowForm, *, share: float = 0.3) -> None:
        super().__init__(encoder, form)
        self.form, self.share = form, share
        width = len(form.owners) + sum(form.cardinalities) + form.num_columns
        self.answer = nn.Sequential(
            nn.Linear(self.num_features, self.num_features),
            nn.ReLU(),
            nn.Linear(self.num_features, width),
        )

    def draw(
        self,
        numbers: Float[Tensor, "row number"],
        codes: Int[Tensor, "row category"] | None = None,
        *,
        generator: torch.Generator,
    ) -> Drawn:
        """Rows with cells of others; the target holds the numbers, the codes, and which cells."""
        drawn, hidden = other_cells(numbers, codes, self.form, self.share, generator)
        known = [numbers] if codes is None else [numbers, codes.to(numbers)]
        return Drawn(drawn, torch.cat([*known, hidden], dim=1))

    def forward(self, *rows: Shaped[Tensor, "row ..."]) -> Float[Tensor, "row told"]:
        """The numbers, the logits of each category's codes, and those of being hidden."""
        told: Tensor = self.answer(self.embed(*rows))
        return told

    def figures(self, outputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss; of hidden cells the squared error, and the share of codes that are right.

        A row with no hidden cell of a kind counts as without error there.
        """
        errors, right = self._errors(outputs, target)
        hidden = target[:, -self.form.num_columns :]
        chosen = outputs[:, -self.form.num_columns :]
        nats = functional.binary_cross_entropy_with_logits(chosen, hidden, reduction="none")
        figures = {"pretext_loss": _mean(errors, hidden) + nats.mean(dim=1)}
        count = len(self.form.cardinalities)
        split = self.form.num_columns - count
        if split:
            figures["reconstruction_error"] = _mean(errors[:, :split], hidden[:, :split]).detach()
        if count:
            figures["pretext_accuracy"] = 1 - _mean(1 - right, hidden[:, split:])
        return figures

    def _errors(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Each cell's error, [row, column], and whether each code is right, [row, category]."""
        width = len(self.form.owners)
        count = len(self.form.cardinalities)
        owners = torch.tensor(self.form.owners, dtype=torch.int64, device=outputs.device)
        split = self.form.num_columns - count
        squared = (outputs[:, :width] - target[:, :width]).square()
        errors = squared.new_zeros(len(squared), split).index_add(1, owners, squared)
        errors = errors / torch.bincount(owners, minlength=split)
        codes = target[:, width : width + count].long()
        logits = outputs[:, width : width + sum(self.form.cardinalities)]
        parts = torch.split(logits, list(self.form.cardinalities), dim=1) if count else ()
        nats = [
            functional.cross_entropy(part, codes[:, place], reduction="none")
            for place, part in enumerate(parts)
        ]
        right = [part.argmax(dim=1) == codes[:, place] for place, part in enumerate(parts)]
        empty = outputs.new_zeros(len(outputs), 0)
        told = torch.stack(nats, dim=1) if nats else empty
        return torch.cat([errors, told], dim=1), torch.stack(right, 1).float() if right else empty

    def trivial_outputs(self, target: Tensor) -> Tensor:
        """Each column's mean, and how common each code is and hidden cells are, in these rows."""
        width, count = len(self.form.owners), len(self.form.cardinalities)
        codes = target[:, width : width + count].long()
        parts = [target[:, :width].mean(dim=0)]
        for place, size in enumerate(self.form.cardinalities):
            shares = torch.bincount(codes[:, place], minlength=size) / len(codes)
            parts.append(shares.clamp_min(1e-9).log())
        parts.append(target[:, width + count :].mean(dim=0).logit(eps=1e-6))
        return torch.cat(parts).expand(len(target), -1)


def _mean(errors: Tensor, hidden: Tensor) -> Tensor:
    return (errors * hidden).sum(dim=1) / hidden.sum(dim=1).clamp_min(1)
