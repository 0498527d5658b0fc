"""Images that a generator made earlier, for its discriminator to see again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Images = Float[Tensor, "row channel height width"]


class ImagePool(nn.Module):
    """Images made earlier, which a discriminator is shown again so that it forgets none.

    They are buffers, so a resumed training goes on with the same. A batch takes the place of
    images drawn from the pool once that is full; until then it fills it and is shown itself.

    Args:
        size: How many images are kept.
        shape: [channel, height, width].

    Source:
        Shrivastava et al. (2017), "Learning from simulated and unsupervised images through
        adversarial training", arXiv 1612.07828, section 2.3.

    Example:
        >>> pool = ImagePool(2, (1, 1, 1))
        >>> earlier = torch.arange(2.0).reshape(2, 1, 1, 1)
        >>> first = pool(earlier, torch.ones(2, dtype=torch.bool), torch.arange(2))
        >>> pool(earlier + 5, torch.tensor([True, False]), torch.tensor([1, 0])).flatten().tolist()
        [1.0, 6.0]
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: Sequence[int]) -> None:
        super().__init__()
        self._size = size
        # One more place takes what is not kept, so that nothing hangs on how many are.
        self.register_buffer("images", torch.zeros(size + 1, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(
        self, made: Images, swaps: Bool[Tensor, " row"], places: Int[Tensor, " row"]
    ) -> Images:
        """As many images, some of them from the pool.

        Args:
            made: Images that were just made.
            swaps: Whether each would change places with one of the pool.
            places: With which one, no place twice; at least the pool's size is none.
        """
        end = self.filled + torch.arange(len(made), device=made.device)
        is_new = end < self._size
        is_swapped = (self.filled >= self._size) & swaps & (places < self._size)
        kept = torch.where(is_new, end, torch.where(is_swapped, places, self._size))
        shown = torch.where(is_swapped[:, None, None, None], self.images[kept], made)
        self.images[kept] = made
        self.images[self._size] = 0
        self.filled.copy_((self.filled + len(made)).clamp_max(self._size))
        return shown
