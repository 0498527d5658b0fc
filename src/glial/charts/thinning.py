"""Lines of many points, drawn with few that keep their extremes."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST_POINTS = 400  # of a line that is drawn


def thin(values: Sequence[float], most: int = MOST_POINTS) -> list[int]:
    """Which points of a line to draw so that it looks as it would with all of them.

    The line is cut into stretches of equally many points; of each its lowest, its highest and its
    first number that is not finite are kept, and the ends of the line.

    Args:
        values: The line's heights.
        most: The most points that are kept; at least 5.

    Returns:
        Their places, in order.

    Example:
        >>> thin([0.0, 0.0, 9.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0], most=5)
        [0, 2, 6, 8]
    """
    count = len(values)
    if count <= most:
        return list(range(count))
    stretches = max(1, (most - 2) // 3)
    kept = {0, count - 1}
    for stretch in range(stretches):
        first = 1 + stretch * (count - 2) // stretches
        last = 1 + (stretch + 1) * (count - 2) // stretches
        finite = [place for place in range(first, last) if math.isfinite(values[place])]
        if finite:
            kept.add(min(finite, key=values.__getitem__))
            kept.add(max(finite, key=values.__getitem__))
        if len(finite) < last - first:
            kept.add(next(p for p in range(first, last) if not math.isfinite(values[p])))
    return sorted(kept)
