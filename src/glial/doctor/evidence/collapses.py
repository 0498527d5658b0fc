"""What was seen of networks that learn without labels: players, codes and embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from glial.core.findings import Place
from glial.doctor.evidence.numbers import Series


@dataclass
class PlayersSeen:
    """A network that makes rows up, and one that tells them from real ones.

    Attributes:
        maker: The name of the first.
        judge: The name of the second.
        told_apart: Series of how well the judge's answers tell real rows from made-up ones of a
            round, as the area under the curve: 0.5 not at all, 1 always.
        variety: Series of the mean distance between two made-up rows of a round, as a share of
            that between two real ones.
        missed: Share of the lately shown real rows around which far fewer of the lately made rows
            lie than their share; NaN of too few.
        rows: How many made rows that is measured by.
        since: The update before which the first of these were made.

    Example:
        >>> PlayersSeen("generator", "judge").rows
        0
    """

    maker: str
    judge: str
    told_apart: Series = field(default_factory=Series)
    variety: Series = field(default_factory=Series)
    missed: float = math.nan
    rows: int = 0
    since: int = 0


@dataclass
class CodeSeen:
    """Codes that are drawn around a mean, by a deviation that a network gives, as in a VAE.

    Attributes:
        model: The network within which, or after which, they are drawn.
        at: Where.
        units: Numbers of a code.
        active: Series of the share of them whose mean varies between rows.
        divergence: Series of the divergence from independent standard normal numbers, in nats a
            row: codes say no more than that about their rows.

    Example:
        >>> CodeSeen("vae").units
        0
    """

    model: str
    at: Place | None = None
    units: int = 0
    active: Series = field(default_factory=Series)
    divergence: Series = field(default_factory=Series)


@dataclass
class EmbeddingSeen:
    """Vectors that a network makes of two views of rows, to be held against each other.

    Attributes:
        model: It.
        units: Numbers of a vector.
        normalised: Whether their length counts for nothing in the loss.
        varied: Series of how much of the vectors' mean square is between rows, from 0, where all
            are alike, to 1.
        std: Series of the mean over units of the standard deviation over rows.
        dimensions: Series of their effective number of dimensions over a batch.
        input_dimensions: Series of that of the network's inputs.

    Example:
        >>> EmbeddingSeen("encoder").normalised
        False
    """

    model: str
    units: int = 0
    normalised: bool = False
    varied: Series = field(default_factory=Series)
    std: Series = field(default_factory=Series)
    dimensions: Series = field(default_factory=Series)
    input_dimensions: Series = field(default_factory=Series)
