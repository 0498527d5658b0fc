"""A text as windows of tokens, to learn from and to be judged by."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from glial.core.seeds import torch_generator
from glial.data.batches import Batch, num_batches_of

Stream = Int[Tensor, " token"]


class WindowBatches:
    """Windows of a text beside each other, cut anew at a seeded place every epoch and shuffled.

    An epoch reads the text once, but for less than two windows. Cuts and order depend on the seed
    and the epoch alone, so training can go on from any batch.

    Args:
        tokens: The text.
        length: Tokens of a window, fewer than the text has.
        batch_size: Windows of a batch.
        seed: Seed of cuts and orders.

    Example:
        >>> batches = WindowBatches(torch.arange(50), length=4, batch_size=5, seed=0)
        >>> batches.num_rows, [len(batch.target) for batch in batches.epoch(0)]
        (11, [5, 6])
        >>> batch = next(batches.epoch(1))
        >>> torch.equal(batch.target, batch.inputs[0] + 1)
        True
    """

    def __init__(self, tokens: Stream, length: int, batch_size: int, seed: int) -> None:
        last = len(tokens) - 1
        self.num_rows = max(1, (last - length + 1) // length)
        self.batch_size = min(batch_size, self.num_rows)
        self.num_batches = num_batches_of(self.num_rows, self.batch_size)
        self._windows = tokens.unfold(0, length + 1, 1)
        self._length = length
        self._latest = min(length - 1, last - self.num_rows * length)
        self._seed = seed

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from the one with the number ``start`` on."""
        generator = torch_generator(self._seed, "windows", epoch)
        first = int(torch.randint(self._latest + 1, (), generator=generator))
        order = torch.randperm(self.num_rows, generator=generator)
        begins = (first + order * self._length).to(self._windows.device)
        edges = [*range(0, self.num_batches * self.batch_size, self.batch_size), self.num_rows]
        for index in range(start, self.num_batches):
            rows = self._windows.index_select(0, begins[edges[index] : edges[index + 1]]).long()
            yield Batch((rows[:, :-1],), rows[:, 1:])


class CarriedBatches:
    """A text in rows that are read side by side, window after window, so that states can go on.

    Beside the tokens a batch says of each row whether it begins: there states start from zeros.
    Where rows begin in the text depends on the seed and the epoch alone.

    Args:
        tokens: The text.
        length: Tokens of a window, fewer than the text has.
        batch_size: Rows; fewer where the text is short.
        seed: Seed of where rows begin.

    Source:
        Mikolov (2012), "Statistical language models based on neural networks", section 3.3.1
        (truncated backpropagation through time).

    Example:
        >>> batches = CarriedBatches(torch.arange(50), length=4, batch_size=2, seed=0)
        >>> first, second, *_ = batches.epoch(0)
        >>> torch.equal(second.inputs[0][:, 0], first.target[:, -1])
        True
        >>> first.inputs[1].tolist(), second.inputs[1].tolist()
        ([True, True], [False, False])
    """

    def __init__(self, tokens: Stream, length: int, batch_size: int, seed: int) -> None:
        last = len(tokens) - 1
        self.batch_size = min(batch_size, max(1, last // length))
        self._row = max(length, (last - length) // self.batch_size)
        self.num_batches = self._row // length
        self.num_rows = self.num_batches * self.batch_size
        self._tokens, self._length, self._seed = tokens, length, seed
        self._latest = min(length - 1, last - self.batch_size * self._row)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from the one with the number ``start`` on."""
        generator = torch_generator(self._seed, "windows", epoch)
        first = int(torch.randint(self._latest + 1, (), generator=generator))
        size = self._row * self.batch_size
        rows = self._tokens[first : first + size].view(self.batch_size, -1)
        targets = self._tokens[first + 1 : first + size + 1].view(self.batch_size, -1)
        for index in range(start, self.num_batches):
            window = slice(index * self._length, (index + 1) * self._length)
            begins = torch.full((self.batch_size,), index == 0, device=rows.device)
            yield Batch((rows[:, window].long(), begins), targets[:, window].long())


def judged_windows(num_tokens: int, length: int, stride: int) -> tuple[list[int], list[int]]:
    """Where windows begin that judge a text, and from which of its places each of them judges.

    Each token but the first is judged once: by the first window that holds it, which shows all
    before it up to ``length - stride`` tokens, and at the window's end up to ``length``.

    Args:
        num_tokens: Tokens of the text.
        length: Tokens of a window.
        stride: Tokens from a window to the next, at most ``length``.

    Returns:
        Numbers of the tokens that windows begin with; and in each window, the place from which on
        its tokens' successors are judged.

    Example:
        >>> judged_windows(11, length=4, stride=2)
        ([0, 2, 4, 6], [0, 2, 2, 2])
        >>> judged_windows(10, length=4, stride=2)
        ([0, 2, 4, 5], [0, 2, 2, 3])
    """
    last = num_tokens - 1
    begins = [0]
    while begins[-1] + length < last:
        begins.append(min(begins[-1] + stride, last - length))
    ends = [begin + length for begin in begins]
    return begins, [0, *(end - begin for end, begin in zip(ends, begins[1:], strict=False))]
