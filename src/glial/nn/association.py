"""Continuous Hopfield networks as a layer: states call up what is stored beside them, or in it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.functional import attend

Vectors = Float[Tensor, "row place size"]


class Association(nn.Module):
    """What states call up from memories, in one or more steps of a continuous Hopfield network.

    States and memories are mapped to a common space, where states move towards memories; what is
    given back is a map of the memories that they came to. One step is attention, with states as
    queries and maps of memories as keys and values.

    Args:
        query_size: Numbers of a state.
        memory_size: Numbers of a memory; None is ``query_size``.
        hidden_size: Numbers of the common space; None is ``query_size``.
        output_size: Numbers that are given back; None is ``query_size``.
        beta: How sharply memories are told apart; None is one over the root of ``hidden_size``.
        steps: How many updates.
        num_memories: Memories that the layer holds and learns; 0 takes them when it is called.

    Attributes:
        query: Maps states to the common space.
        key: Maps memories there.
        value: Maps keys to what is given back.
        memories: Those that are learnt, [memory, number]; None where they are given.

    Source:
        Ramsauer et al. (2021), "Hopfield networks is all you need", arXiv 2008.02217, equation 10
        and section 3 (with learnt memories: ``HopfieldLayer``).

    Example:
        >>> layer = Association(4, num_memories=10, steps=2)
        >>> layer(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int | None = None,
        *,
        hidden_size: int | None = None,
        output_size: int | None = None,
        beta: float | None = None,
        steps: int = 1,
        num_memories: int = 0,
    ) -> None:
        super().__init__()
        hidden = query_size if hidden_size is None else hidden_size
        stored = query_size if memory_size is None else memory_size
        if steps < 1 or (beta is not None and beta <= 0):
            raise InputError(
                "states cannot call up memories so",
                expected="at least one step, and beta above 0",
                got=f"{steps} steps, beta {beta}",
                do="leave both out for attention",
            )
        self.beta = hidden**-0.5 if beta is None else beta
        self.steps = steps
        self.query = nn.Linear(query_size, hidden, bias=False)
        self.key = nn.Linear(stored, hidden, bias=False)
        self.value = nn.Linear(hidden, query_size if output_size is None else output_size)
        self.memories = None
        if num_memories:
            self.memories = nn.Parameter(torch.randn(num_memories, stored) * stored**-0.5)

    def forward(
        self,
        queries: Vectors,
        memories: Float[Tensor, "row memory stored"] | None = None,
        mask: Bool[Tensor, "row memory"] | None = None,
    ) -> Float[Tensor, "row place output"]:
        """What each state calls up.

        Args:
            queries: The states.
            memories: Of each row; None where the layer holds its own.
            mask: Which of them there are; None is all. Of none zeros are called up.

        Raises:
            InputError: If memories are given to a layer that has its own, or to none.
        """
        if (memories is None) == (self.memories is None):
            raise InputError(
                "states call up memories that are given, or those of the layer",
                expected="one of the two",
                got="neither" if memories is None else "both",
                do="set num_memories, or give memories",
            )
        held = self.memories if memories is None else memories
        assert held is not None  # noqa: S101 - narrows the type
        keys = self.key(held).expand(len(queries), -1, -1)
        states = self.query(queries)
        scale = self.beta * float(keys.shape[2]) ** 0.5  # what attention divides by
        seen = None if mask is None else mask[:, None, None]
        for _ in range(self.steps):
            called_up = attend(scale * states[:, None], keys[:, None], keys[:, None], seen)
            states = called_up[:, 0]
        called: Tensor = self.value(states)
        return called
