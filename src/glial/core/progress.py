"""Progress of long work that no loop of training shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


def share_logger(
    logger: logging.Logger, doing: str, *, first: float = 2.0, every: float = 5.0
) -> Callable[[float], None]:
    """A function that is told how much of a work is done, and says it now and then.

    Args:
        logger: Where it is said.
        doing: What is done, such as ``reading a.csv``.
        first: Seconds before the first word.
        every: Seconds between two.

    Returns:
        A function of the share that is done, 0 to 1.

    Example:
        >>> tell = share_logger(logging.getLogger("glial"), "reading")
        >>> tell(0.5)  # too early to say anything
    """
    due = time.monotonic() + first

    def tell(share: float) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + every
            logger.info("%s: %.0f %%", doing, 100 * share)

    return tell
