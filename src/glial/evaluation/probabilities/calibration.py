"""Whether probabilities say how often they are right: diagrams, errors, Brier's parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from glial.evaluation.metrics.answers import ClassAnswers, LabelAnswers
from glial.evaluation.metrics.bootstrap import interval, replicate
from glial.evaluation.metrics.weighted import Codes, Floats, weighted_sums

BINS = 15
PARTS = ("reliability", "resolution", "uncertainty", "within_bins")
Binning = Literal["equal_width", "equal_mass"]


@dataclass(frozen=True)
class Events:
    """What was given a probability, and whether it came.

    Attributes:
        shares: The probability of each event, [event].
        came: 1 where it came, else 0.
        rows: The row that each event is of; a row may have several.
        num_rows: Number of rows.

    Example:
        >>> events = Events.of(np.array([0.25, 0.75]), np.array([0, 1]))
        >>> events.binned("equal_width", 2).codes.tolist()
        [0, 1]
    """

    shares: Floats
    came: Floats
    rows: Codes
    num_rows: int

    @classmethod
    def of(cls, shares: Any, came: Any) -> Events:
        """Events of one a row, or of several a row: [row] or [row, event]."""
        shares, came = np.asarray(shares, dtype=np.float64), np.asarray(came, dtype=np.float64)
        rows = np.repeat(np.arange(len(shares)), shares[:1].size)
        return cls(shares.reshape(-1), came.reshape(-1), rows, len(shares))

    def binned(self, how: Binning, bins: int = BINS) -> Binned:
        """The events sorted into bins of probability.

        Args:
            how: Bins of one width from 0 to 1, as in scikit-learn's ``calibration_curve``, or
                bins with about the same number of events, equal probabilities together.
            bins: Number of bins; of equal mass there may be fewer.
        """
        if how == "equal_width":
            edges = np.linspace(0, 1, bins + 1)
        else:
            count = len(self.shares)
            places = (np.arange(1, bins) * count + bins - 1) // bins - 1
            edges = np.unique(np.r_[0.0, np.sort(self.shares)[places] if count else [], 1.0])
        codes = np.searchsorted(edges[1:-1], self.shares, side="left")
        return Binned(self, edges, codes.astype(np.int64))


@dataclass(frozen=True)
class Binned:
    """Events in bins of probability.

    Attributes:
        events: The events.
        edges: The ends of the bins, one more than there are bins.
        codes: The bin of each event, [event].

    Example:
        >>> events = Events.of(np.array([0.2, 0.4, 0.9]), np.array([0, 1, 1]))
        >>> sums = events.binned("equal_width", 2).sums(np.ones((1, 3)))
        >>> sums.shares.round(2).tolist(), sums.came.tolist()
        ([[0.3, 0.9]], [[0.5, 1.0]])
    """

    events: Events
    edges: Floats
    codes: Codes

    def sums(self, weights: Floats) -> Bins:
        """What each bin holds, over many weightings of the rows, [replicate, row]."""
        events, size = self.events, len(self.edges) - 1
        given = (self.codes, size, weights, events.rows)
        weight = weighted_sums(*given)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = weighted_sums(*given, events.shares) / weight
            came = weighted_sums(*given, events.came) / weight
        return Bins(weight, shares, came)


@dataclass(frozen=True)
class Bins:
    """What bins of probability hold, each [replicate, bin]; NaN of empty ones.

    Attributes:
        weight: Weight of the events.
        shares: Their mean probability.
        came: The share of them that came.

    Example:
        >>> bins = Bins(np.array([[3.0, 1.0]]), np.array([[0.25, 0.5]]), np.array([[0.5, 0.5]]))
        >>> bins.error(), bins.largest()
        (array([0.1875]), array([0.25]))
    """

    weight: Floats
    shares: Floats
    came: Floats

    def _gaps(self) -> Floats:
        return np.nan_to_num(np.abs(self.came - self.shares))

    def _mean(self, values: Floats) -> Floats:
        return np.asarray((self.weight * values).sum(axis=1) / self.weight.sum(axis=1))

    def error(self) -> Floats:
        """The mean gap between probability and frequency, by weight."""
        return self._mean(self._gaps())

    def root_error(self) -> Floats:
        """The root of the mean squared gap."""
        return np.sqrt(self._mean(self._gaps() ** 2))

    def debiased_error(self) -> Floats:
        """The same without what chance alone puts between bins of so few events; at least 0."""
        chance = self.came * (1 - self.came) / np.maximum(self.weight - 1, 1)
        squares = self._gaps() ** 2 - np.nan_to_num(chance)
        return np.sqrt(np.maximum(self._mean(squares), 0))

    def largest(self) -> Floats:
        """The largest gap."""
        return np.asarray(self._gaps().max(axis=1))


Measure = Callable[[Floats], Floats]


def calibration_measures(
    answers: ClassAnswers | LabelAnswers, bins: int = BINS
) -> dict[str, Measure]:
    """Calibration errors as functions of weights [replicate, row].

    Args:
        answers: What is said and what is true.
        bins: Number of bins.

    Returns:
        ``expected_calibration_error`` (of the predicted class's probability, or of each answer's
        of several labels; bins of equal width), ``adaptive_calibration_error`` (the same, of
        equal mass), ``class_wise_calibration_error`` (of each class against the rest, the mean
        over classes; equal width), ``root_mean_squared_calibration_error`` and its
        ``debiased`` form, and ``maximum_calibration_error`` (equal mass, as a bin of one row has
        a gap of anything).

    Source:
        Naeini, Cooper, Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian
        binning", doi:10.1609/aaai.v29i1.9602 (expected and maximum); Nixon et al. (2019), arXiv
        1904.01685 (adaptive, class-wise); Kumar, Liang, Ma (2019), arXiv 1909.10155, definition
        5.1 (debiased).

    Example:
        >>> shares = np.array([[0.2, 0.8], [0.2, 0.8]])
        >>> answers = ClassAnswers(["a", "b"], np.array([1, 0]), shares, np.array([1, 1]))
        >>> error = calibration_measures(answers)["expected_calibration_error"]
        >>> error(np.ones((1, 2))).round(3)
        array([0.3])
    """
    top = top_events(answers)
    width, mass = top.binned("equal_width", bins), top.binned("equal_mass", bins)
    each = [one.binned("equal_width", bins) for one in _events_of_classes(answers)]
    return {
        "expected_calibration_error": lambda w: width.sums(w).error(),
        "adaptive_calibration_error": lambda w: mass.sums(w).error(),
        "class_wise_calibration_error": lambda w: np.mean(
            [one.sums(w).error() for one in each], axis=0
        ),
        "root_mean_squared_calibration_error": lambda w: mass.sums(w).root_error(),
        "debiased_calibration_error": lambda w: mass.sums(w).debiased_error(),
        "maximum_calibration_error": lambda w: mass.sums(w).largest(),
    }


def top_events(answers: ClassAnswers | LabelAnswers) -> Events:
    """That the predicted class is right, with its probability; of labels, every answer yes.

    Example:
        >>> shares = np.array([[0.2, 0.8]])
        >>> answers = ClassAnswers(["a", "b"], np.array([1]), shares, np.array([1]))
        >>> top_events(answers).shares.tolist(), top_events(answers).came.tolist()
        ([0.8], [1.0])
    """
    if isinstance(answers, ClassAnswers):
        return Events.of(answers.confidence, answers.guess == answers.truth)
    return Events.of(answers.shares, answers.truth)


def _events_of_classes(answers: ClassAnswers | LabelAnswers) -> list[Events]:
    """That each class, or the yes of each label, is true."""
    truth = answers.truth
    if isinstance(answers, ClassAnswers):
        truth = answers.truth[:, None] == np.arange(len(answers.names))
    pairs = zip(answers.shares.T, truth.T, strict=True)
    return [Events.of(shares, came) for shares, came in pairs]


def brier_parts(
    answers: ClassAnswers | LabelAnswers, weight: Floats, bins: int = BINS
) -> dict[str, float]:
    """The Brier score taken apart; the parts add up to it.

    Args:
        answers: What is said and what is true.
        weight: Weight of each row.
        bins: Number of bins of equal mass.

    Returns:
        ``reliability`` (how far frequencies lie from probabilities: 0 is best), ``resolution``
        (how far the frequencies of bins differ: large is good), ``uncertainty`` (of the truth
        itself: what always saying its share would score) and ``within_bins`` (what differs
        within the bins); ``brier_score`` = reliability - resolution + uncertainty + within_bins.

    Source:
        Murphy (1973), doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; Stephenson, Coelho,
        Jolliffe (2008), doi:10.1175/2007WAF2006116.1, equations 9 to 11 (within bins).

    Example:
        >>> shares = np.array([[0.2, 0.8], [0.2, 0.8]])
        >>> answers = ClassAnswers(["a", "b"], np.array([1, 0]), shares, np.array([1, 1]))
        >>> parts = brier_parts(answers, np.ones(2))
        >>> {name: round(value, 2) for name, value in parts.items()}["reliability"]
        0.09
    """
    known = np.ones(len(weight), dtype=bool)
    classes = _events_of_classes(answers)
    if isinstance(answers, ClassAnswers):
        known = answers.truth >= 0
        classes = classes[-1:] if len(classes) == 2 else classes
    total = 1 if isinstance(answers, ClassAnswers) else len(classes)
    parts = dict.fromkeys(PARTS, 0.0)
    score = 0.0
    for events in classes:
        kept = replace(events, shares=events.shares[known], came=events.came[known])
        kept = replace(kept, rows=np.arange(int(known.sum())), num_rows=int(known.sum()))
        squares, found = _parts(kept.binned("equal_mass", bins), weight[known])
        score += squares / total
        parts = {name: value + found[name] / total for name, value in parts.items()}
    return {"brier_score": score, **parts}


def _parts(binned: Binned, weight: Floats) -> tuple[float, dict[str, float]]:
    events, sums = binned.events, binned.sums(weight[None])
    shares, came = sums.shares[0][binned.codes], sums.came[0][binned.codes]
    if not len(weight):
        return math.nan, dict.fromkeys(PARTS, math.nan)
    weight = weight / weight.sum()
    base = float(weight @ events.came)
    inner = events.shares - shares
    parts = {
        "reliability": weight @ np.square(shares - came),
        "resolution": weight @ np.square(came - base),
        "uncertainty": base * (1 - base),
        "within_bins": weight @ (inner**2 - 2 * (events.came - came) * inner),
    }
    score = float(weight @ np.square(events.shares - events.came))
    return score, {name: float(value) for name, value in parts.items()}


def calibration_of(
    answers: ClassAnswers | LabelAnswers,
    *,
    weight: Floats | None = None,
    clusters: Codes | None = None,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    bins: int = BINS,
) -> dict[str, Any]:
    """How well probabilities are calibrated.

    Args:
        answers: What is said and what is true.
        weight: Weight of each row.
        clusters: What is drawn together, as for `glial.evaluation.bootstrap_weights`.
        confidence: Share of resamples that an interval holds.
        replicates: Number of resamples; 0 for no intervals.
        seed: Of the resamples.
        bins: Number of bins.

    Returns:
        ``measures`` and their ``intervals``, see `calibration_measures`; ``brier``, see
        `brier_parts`; and ``diagrams``: for ``equal_width`` and ``equal_mass`` the bins that
        hold anything, each with its ends ``low`` and ``high``, ``weight``, mean ``probability``,
        ``frequency`` of what came and its ``interval``.

        A gap is never negative, so that chance alone makes a calibration error positive, and
        resampling adds as much again. Intervals of errors are therefore turned around the value
        (the basic bootstrap), and end at 0.

    Source:
        Davison and Hinkley (1997), "Bootstrap methods and their application", section 5.2.

    Example:
        >>> shares = np.array([[0.2, 0.8], [0.3, 0.7], [0.9, 0.1]])
        >>> answers = ClassAnswers(["a", "b"], np.array([1, 0, 0]), shares, np.array([1, 1, 0]))
        >>> found = calibration_of(answers, replicates=100)
        >>> [len(diagram) for diagram in found["diagrams"].values()]
        [3, 3]
    """
    weight = np.ones(len(answers.truth)) if weight is None else weight
    measures = calibration_measures(answers, bins)
    top = top_events(answers)
    ways: tuple[Binning, Binning] = ("equal_width", "equal_mass")
    diagrams = {how: top.binned(how, bins) for how in ways}

    def score(weights: Floats) -> dict[str, Floats]:
        frequencies = {how: diagram.sums(weights).came for how, diagram in diagrams.items()}
        return {name: measure(weights) for name, measure in measures.items()} | frequencies

    values = {name: float(each[0]) for name, each in _measured(measures, weight).items()}
    drawn = replicate(score, len(weight), replicates, seed, clusters=clusters, weight=weight)
    turned = {
        name: _turned(value, interval(drawn[name], confidence)) if drawn else None
        for name, value in values.items()
    }
    return {
        "measures": values,
        "intervals": {name: ends for name, ends in turned.items() if ends is not None},
        "brier": brier_parts(answers, weight, bins),
        "diagrams": {
            how: _told(diagram, weight, drawn.get(how), confidence)
            for how, diagram in diagrams.items()
        },
    }


def _measured(measures: dict[str, Measure], weight: Floats) -> dict[str, Floats]:
    return {name: measure(weight[None]) for name, measure in measures.items()}


def _turned(value: float, ends: tuple[float, float]) -> list[float]:
    return [max(0.0, 2 * value - ends[1]), max(0.0, 2 * value - ends[0])]


def _told(
    diagram: Binned, weight: Floats, drawn: Floats | None, confidence: float
) -> list[dict[str, Any]]:
    sums = diagram.sums(weight[None])
    told = []
    for place in np.flatnonzero(sums.weight[0] > 0):
        ends = None if drawn is None else list(interval(drawn[:, place], confidence))
        told.append(
            {
                "low": float(diagram.edges[place]),
                "high": float(diagram.edges[place + 1]),
                "weight": float(sums.weight[0, place]),
                "probability": float(sums.shares[0, place]),
                "frequency": float(sums.came[0, place]),
                "interval": ends,
            }
        )
    return told
