"""What parts that are fitted on validation rows have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from glial.core.errors import InputError
from glial.core.seeds import numpy_generator

LEAST_ROWS = 10


class Fitted(BaseModel):
    """A part that is fitted after training: what ``decoding.json`` holds of it is what it is.

    Example:
        >>> Fitted().model_dump()
        {}
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def halves(num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two halves of some rows, drawn at random and always alike, each in the rows' order.

    Args:
        num_rows: How many rows there are.

    Example:
        >>> left, right = halves(5)
        >>> sorted([*left.tolist(), *right.tolist()])
        [0, 1, 2, 3, 4]
    """
    order = numpy_generator(0, "halves", "of validation rows").permutation(num_rows)
    return np.sort(order[: num_rows // 2]), np.sort(order[num_rows // 2 :])


def check_enough(what: str, num_rows: int, least: int = LEAST_ROWS) -> None:
    """Refuse to fit a part on fewer rows than it needs.

    Args:
        what: The part, as the message says it.
        num_rows: Rows that there are.
        least: Rows that it needs.

    Raises:
        InputError: If there are fewer.

    Example:
        >>> check_enough("the threshold", 100)
    """
    if num_rows < least:
        raise InputError(
            f"{what} cannot be fitted on the validation rows",
            expected=f"at least {least} rows",
            got=f"{num_rows}",
            do="keep more rows for validation with data.split.val",
        )
