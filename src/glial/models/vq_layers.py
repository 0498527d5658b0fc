"""A book of vectors that codes stand for, and how likely rows of codes are."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

CodebookName = Literal["averages", "loss"]
DECAY, DEAD_SHARE, LEAST_COUNT = 0.99, 0.03, 1e-5


class Quantized(NamedTuple):
    """Vectors and their nearest in the book.

    Attributes:
        vectors: Of the book, [row, place, number].
        codes: Their numbers in it, [row, place].

    Example:
        >>> Quantized(torch.zeros(1, 2, 3), torch.zeros(1, 2).long()).codes.shape
        torch.Size([1, 2])
    """

    vectors: Tensor
    codes: Tensor


class Codebook(nn.Module):
    """The nearest of so many vectors, which move to what they stand for.

    In training the vectors are moving means of what was nearest to them (``averages``), or learnt
    by the gradient of the distance (``loss``). One that stands for less than a thirtieth of its
    share of the vectors is put where a vector of the batch lies farthest from the book: nothing is
    drawn.

    Args:
        num_codes: Vectors.
        size: Numbers of each.
        learnt_by: ``averages`` or ``loss``.

    Source:
        van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning",
        arXiv 1711.00937, section 3.2 and appendix A.1; vectors put anew: Dhariwal et al. (2020),
        "Jukebox", arXiv 2005.00341, section 3.

    Example:
        >>> book = Codebook(2, 1).eval()
        >>> _ = book.vectors.copy_(torch.tensor([[0.0], [1.0]]))
        >>> book(torch.tensor([[[0.4], [0.9]]])).codes
        tensor([[0, 1]])
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, num_codes: int, size: int, learnt_by: CodebookName = "averages") -> None:
        super().__init__()
        first = torch.randn(num_codes, size) / size**0.5
        self.averages = learnt_by == "averages"
        if not self.averages:
            self.vectors = nn.Parameter(first)
        else:
            self.register_buffer("vectors", first)
        self.register_buffer("counts", torch.ones(num_codes))
        self.register_buffer("sums", first.clone())

    def forward(self, vectors: Tensor) -> Quantized:
        """The nearest vectors, those that they were before this batch moves them.

        Args:
            vectors: [row, place, number].
        """
        flat = vectors.detach().flatten(0, 1)
        distances = torch.cdist(flat, self.vectors.detach())
        nearest, codes = distances.min(dim=1)
        found = self.vectors[codes].view_as(vectors)
        if self.training:
            self._move(flat, codes, nearest)
        return Quantized(found, codes.view(vectors.shape[:2]))

    @torch.no_grad()
    def _move(self, flat: Tensor, codes: Tensor, nearest: Tensor) -> None:
        marks = functional.one_hot(codes, len(self.counts)).to(flat.dtype)
        self.counts.lerp_(marks.sum(dim=0).to(self.counts), 1 - DECAY)
        self.sums.lerp_((marks.T @ flat).to(self.sums), 1 - DECAY)
        fresh = self.vectors.clone()
        if self.averages:
            fresh = self.sums / self.counts.clamp_min(LEAST_COUNT)[:, None]
        share = len(flat) / len(self.counts)
        order = torch.argsort(self.counts, stable=True)[: len(flat)]
        farthest = flat[torch.argsort(nearest, descending=True, stable=True)[: len(order)]]
        dead = self.counts[order] < DEAD_SHARE * share
        fresh[order] = torch.where(dead[:, None], farthest, fresh[order])
        self.counts[order] = torch.where(dead, share, self.counts[order])
        self.sums[order] = torch.where(dead[:, None], share * farthest, self.sums[order])
        self.vectors.data = fresh


def perplexity(codes: Tensor, num_codes: int) -> Tensor:
    """How many codes are in use: the exponential of the entropy of their shares.

    Args:
        codes: Any number of them.
        num_codes: How many there are.

    Example:
        >>> perplexity(torch.tensor([0, 1, 1, 0]), 8)
        tensor(2.)
    """
    shares = torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()
    return torch.exp(-torch.special.xlogy(shares, shares).sum())


class CodePrior(nn.Module):
    """How likely each code of a row is after those before it, line by line.

    A recurrent network is told the code before, the code above, the place, and the class.

    Args:
        num_codes: Different codes.
        grid: Lines, and codes of each.
        size: Units.
        num_classes: Classes that are told; 0 of none.

    Example:
        >>> prior = CodePrior(8, (2, 3), 16)
        >>> prior(torch.zeros(4, 6, dtype=torch.int64)).shape
        torch.Size([4, 6, 8])
    """

    def __init__(
        self, num_codes: int, grid: tuple[int, int], size: int, num_classes: int = 0
    ) -> None:
        super().__init__()
        self.num_codes, self.width, self.num_places = num_codes, grid[1], grid[0] * grid[1]
        self.before = nn.Embedding(num_codes + 1, size)
        self.above = nn.Embedding(num_codes + 1, size)
        self.places = nn.Parameter(0.1 * torch.randn(self.num_places, size))
        self.classes = nn.Embedding(num_classes, size) if num_classes else None
        self.unit = nn.GRU(size, size, batch_first=True)
        self.head = nn.Linear(size, num_codes)

    def forward(self, codes: Tensor, classes: Tensor | None = None) -> Tensor:
        """Logits of each code, [row, place, code].

        Args:
            codes: [row, place].
            classes: Of the rows.
        """
        known = functional.pad(codes, (self.width, 0), value=self.num_codes)
        before, above = known[:, self.width - 1 : -1], known[:, : -self.width]
        told = self.before(before) + self.above(above) + self.places
        if self.classes is not None and classes is not None:
            told = told + self.classes(classes)[:, None]
        logits: Tensor = self.head(self.unit(told)[0])
        return logits

    @torch.no_grad()
    def sample(
        self,
        num_rows: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Codes drawn one after the other, [row, place].

        Args:
            num_rows: How many rows.
            generator: Draws.
            classes: Of the rows.
            temperature: Below 1 for likelier ones.
        """
        device = self.places.device
        known = torch.full((num_rows, self.width + self.num_places), self.num_codes, device=device)
        state = torch.zeros(1, num_rows, self.unit.hidden_size, device=device)
        told_class = None if self.classes is None else self.classes(classes)
        for place in range(self.num_places):
            told = self.before(known[:, place + self.width - 1]) + self.above(known[:, place])
            told = told + self.places[place] + (0 if told_class is None else told_class)
            hidden, state = self.unit(told[:, None], state)
            chances = torch.softmax(self.head(hidden[:, 0]) / temperature, dim=1).cpu()
            drawn = torch.multinomial(chances, 1, generator=generator)
            known[:, place + self.width] = drawn[:, 0].to(device)
        return known[:, self.width :]
