"""How soon anomalies of series are told, and how often without need: the score of windows of NAB.

Around each anomaly lies a window of steps. The first step that is told in a window counts for it,
the more the sooner; steps that are told outside count against it, less so shortly after a window;
and so does a window in which none is told.

Source:
    Lavin and Ahmad (2015), "Evaluating real-time anomaly detection algorithms - the Numenta anomaly
    benchmark", arXiv 1510.03336, section II.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

STEEPNESS = 5.0
FAR = 3.0  # windows' widths behind a window from which on a false alarm counts in full
PROBATION, MOST_PROBATION = 0.15, 750  # of a series' steps, which are learnt from and not judged
OUTSIDE = -1


class Profile(NamedTuple):
    """What counts how much.

    Attributes:
        hit: A window that is found at its first step.
        false_alarm: A step that is told far from any window.
        miss: A window that is not found.

    Example:
        >>> PROFILES["low_misses"].miss
        2.0
    """

    hit: float
    false_alarm: float
    miss: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low_false_alarms": Profile(1.0, 0.22, 1.0),
    "low_misses": Profile(1.0, 0.11, 2.0),
}


class Scored(NamedTuple):
    """A series whose steps have scores, and where its anomalies are.

    Attributes:
        scores: How anomalous each step is, [step]; NaN is told by no threshold.
        windows: First and last step of each window, in order and apart from each other.

    Example:
        >>> Scored(np.zeros(10), [(4, 6)]).windows
        [(4, 6)]
    """

    scores: Floats
    windows: Sequence[tuple[int, int]]


class WindowScore(NamedTuple):
    """How good scores are.

    Attributes:
        score: 100 where every window is found at its first step and nothing else is told, 0 where
            nothing is told at all; below that where false alarms outweigh what is found.
        threshold: Steps of this score and above are told.
        found: Share of the windows in which a step is told.
        false_alarms: Steps outside windows that are told.

    Example:
        >>> WindowScore(100.0, 0.5, 1.0, 0).score
        100.0
    """

    score: float
    threshold: float
    found: float
    false_alarms: int


def probation(num_steps: int) -> int:
    """Steps at the start of a series that are not judged, as a detector learns from them.

    Example:
        >>> probation(1000), probation(22_695)
        (150, 750)
    """
    return int(min(PROBATION * num_steps, MOST_PROBATION))


def step_values(
    num_steps: int, windows: Sequence[tuple[int, int]], profile: str = "standard"
) -> tuple[Floats, Numbers]:
    """What telling each step of a series counts, and the window that it lies in.

    Args:
        num_steps: Steps of the series.
        windows: First and last step of each window, in order and apart from each other.
        profile: A name in `PROFILES`.

    Returns:
        Values, at most ``hit`` inside a window and below 0 outside of it, and numbers of windows,
        -1 outside.

    Raises:
        InputError: If the profile is not known, or the windows are none of this series.

    Example:
        >>> values, inside = step_values(4, [(1, 2)])
        >>> [round(value, 3) for value in values.tolist()], inside.tolist()
        ([-0.11, 1.0, 0.86, -0.109], [-1, 0, 0, -1])
    """
    if profile not in PROFILES:
        raise unknown_name("profile", profile, PROFILES)
    _check_windows(num_steps, windows)
    weights = PROFILES[profile]
    steps = np.arange(num_steps, dtype=np.float64)
    values = np.full(num_steps, -weights.false_alarm)
    inside = np.full(num_steps, OUTSIDE, dtype=np.int64)
    best = _value_at(np.array(-1.0))
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        part = slice(first, last + 1)
        values[part] = _value_at(-(last - steps[part] + 1) / width) / best * weights.hit
        inside[part] = number
        after = slice(last + 1, windows[number + 1][0] if number + 1 < len(windows) else None)
        # The divisor is the distance from a window's first step to its last.
        behind = (steps[after] - last) / max(1, width - 1)
        values[after] = _value_at(behind) * weights.false_alarm
    return values, inside


def window_score(
    series: Sequence[Scored],
    profile: str = "standard",
    *,
    threshold: float | None = None,
    probations: Sequence[int] | None = None,
) -> WindowScore:
    """How soon the anomalies of several series are told, and how often without need.

    Args:
        series: The series, judged together at one threshold.
        profile: A name in `PROFILES`.
        threshold: Steps of this score and above are told; None takes the best one, as the
            benchmark does for each detector and profile.
        probations: Steps at the start of each series that are not judged; None takes the
            benchmark's, see `probation`.

    Raises:
        InputError: If no series has a window that can be found, or windows are not in order.

    Example:
        >>> told = Scored(np.array([0.0, 0.1, 0.9, 0.2]), [(2, 3)])
        >>> found = window_score([told], probations=[0])
        >>> found.score, found.threshold, found.false_alarms
        (100.0, 0.9, 0)
    """
    if probations is None:
        probations = [probation(len(one.scores)) for one in series]
    parts = [
        _judged_steps(one, profile, start) for one, start in zip(series, probations, strict=True)
    ]
    counts = np.array([windows for _, _, _, windows in parts])
    total = int(counts.sum())
    if total == 0:
        raise InputError(
            "there is no anomaly to be found",
            expected="at least one window behind the steps that are not judged",
            got=f"{len(series)} series without any",
            do="give series with windows, or shorter probations",
        )
    scores = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    shifts = np.cumsum(counts) - counts
    numbered = zip(parts, shifts, strict=True)
    inside = np.concatenate(
        [np.where(part[2] < 0, OUTSIDE, part[2] + shift) for part, shift in numbered]
    )
    weights = PROFILES[profile]
    order = np.argsort(-scores, kind="stable")
    scores, values, inside = scores[order], values[order], inside[order]
    gains = _gains(values, inside, total, weights.miss)
    raw = np.concatenate([[0.0], np.cumsum(gains)])
    # A threshold tells all steps of one score or none of them.
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], scores.size > 0))
    places = np.concatenate([[0], ends + 1])
    if threshold is None:
        told = int(places[np.argmax(raw[places])])
    else:
        told = int(np.searchsorted(-scores, -threshold, side="right"))
    least, most = -weights.miss * total, weights.hit * total
    reached = least + raw[told]
    hits = np.unique(inside[:told])
    if threshold is None:
        threshold = float(scores[told - 1]) if told else math.inf
    return WindowScore(
        float(100 * (reached - least) / (most - least)),
        threshold,
        float((hits >= 0).sum() / total),
        int((inside[:told] < 0).sum()),
    )


def _gains(values: Floats, inside: Numbers, total: int, miss: float) -> Floats:
    """What each step adds to the sum when it is told after all before it, by falling scores."""
    best = np.full(total, -miss)
    gains = values.copy()
    for place in np.flatnonzero(inside >= 0):
        window = inside[place]
        better = max(best[window], values[place])
        gains[place] = better - best[window]
        best[window] = better
    return gains


def _judged_steps(one: Scored, profile: str, start: int) -> tuple[Floats, Floats, Numbers, int]:
    """Scores, values and windows of the steps that are judged and scored, and how many windows."""
    values, inside = step_values(len(one.scores), one.windows, profile)
    shown = np.unique(inside[start:])
    judged = np.arange(len(one.scores)) >= start
    judged &= ~np.isnan(one.scores)
    # Windows that lie before all judged steps count for nothing.
    shown = shown[shown >= 0]
    renumbered = np.full(len(one.windows) + 1, OUTSIDE)
    renumbered[shown] = np.arange(len(shown))
    return one.scores[judged], values[judged], renumbered[inside[judged]], len(shown)


def _value_at(position: Floats) -> Floats:
    """A sigmoid from 1 far before the end of a window, over 0 there, to -1 far behind it."""
    falling = 2 / (1 + np.exp(STEEPNESS * np.minimum(position, FAR))) - 1
    value: Floats = np.where(position > FAR, -1.0, falling)
    return value


def _check_windows(num_steps: int, windows: Sequence[tuple[int, int]]) -> None:
    end = -1
    for first, last in windows:
        if not end < first <= last < num_steps:
            raise InputError(
                "the windows do not fit the series",
                expected=f"first and last steps in order, from 0 to {num_steps - 1}, none twice",
                got=f"{first} to {last} after {end}",
                do="sort them, and join those that overlap",
            )
        end = last
