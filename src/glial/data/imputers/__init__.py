"""Missing numbers filled from the rest of the row: neighbours, regressions, low rank, networks.

Every imputer sees numbers that are scaled already, NaN where they are missing. It is fitted on
training rows alone, and fills each row by that row alone.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from glial.data.imputers.adversarial import AdversarialImputer
from glial.data.imputers.drawing import Floats
from glial.data.imputers.factors import MAX_FITTED_ROWS, FactorImputer
from glial.data.imputers.neighbours import NeighbourImputer
from glial.data.imputers.regressions import RegressionImputer
from glial.data.imputers.variational import VariationalImputer


@runtime_checkable
class Imputer(Protocol):
    """Fills missing numbers; fitted by a classmethod ``fit(rows, draw, seed)``."""

    def fill(self, rows: Floats) -> Floats:
        """The rows with every NaN replaced, in a new array."""


IMPUTERS: dict[str, Any] = {
    "knn": NeighbourImputer,
    "iterative": RegressionImputer,
    "factorization": FactorImputer,
    "vae": VariationalImputer,
    "gan": AdversarialImputer,
}

__all__ = [
    "IMPUTERS",
    "MAX_FITTED_ROWS",
    "AdversarialImputer",
    "FactorImputer",
    "Imputer",
    "NeighbourImputer",
    "RegressionImputer",
    "VariationalImputer",
]
