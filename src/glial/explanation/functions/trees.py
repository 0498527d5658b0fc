"""A decision tree grown by asking: where rows are few, made ones are put to the network too."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.seeds import numpy_generator
from glial.explanation.functions.games import Floats, Table
from glial.explanation.functions.readable import Feature, feature_matrix

Decide = Callable[[Any], NDArray[Any]]
Places = NDArray[np.int64]
Step = tuple[Feature, float, bool]


@dataclass
class Node:
    """A part of all rows, and what is said of them.

    Attributes:
        answer: The commonest class, or the mean number.
        feature: The feature that divides the part; None in a leaf.
        threshold: Rows of at most this go to ``below``, others to ``above``.
        below: A part of the part.
        above: The other.

    Example:
        >>> node = Node("x")
        >>> node.is_leaf, [answer for _, answer in node.paths()]
        (True, ['x'])
    """

    answer: Any
    feature: Feature | None = None
    threshold: float = 0.0
    below: Node | None = None
    above: Node | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether the part is not divided."""
        return self.feature is None

    def paths(self, steps: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Any]]:
        """Each leaf's answer, with the feature, threshold and side (is above) of each division."""
        if self.feature is None or self.below is None or self.above is None:
            yield steps, self.answer
            return
        for part, is_above in ((self.below, False), (self.above, True)):
            yield from part.paths((*steps, (self.feature, self.threshold, is_above)))

    def answers(self, frame: pl.DataFrame) -> NDArray[Any]:
        """What the tree says of each row."""
        if self.feature is None or self.below is None or self.above is None:
            return np.full(frame.height, self.answer)
        is_above = self.feature.values(frame[self.feature.column]) > self.threshold
        above = self.above.answers(frame.filter(is_above))
        below = self.below.answers(frame.filter(~is_above))
        told = np.empty(frame.height, dtype=np.result_type(above, below))
        told[is_above], told[~is_above] = above, below
        return told


def grow_tree(
    decide: Decide,
    rows: Table,
    features: Sequence[Feature],
    *,
    most_leaves: int,
    least_rows: int,
    num_queries: int,
    seed: int = 0,
) -> Node:
    """Grow a tree that says what a function says, the part where it errs most often first.

    A part is divided where that parts the function's answers best, by the rows in it and, where
    these are fewer than ``num_queries``, by rows that are made: each column's value is that of a
    row in the part, drawn apart from the others', so that it meets every condition on the way.

    Args:
        decide: Gives each row a class or a number (floats).
        rows: The rows.
        features: What the tree reads.
        most_leaves: Leaves at most.
        least_rows: Rows of each leaf, at least.
        num_queries: Rows, real and made, by which each part is divided.
        seed: Draws the made rows.

    Source:
        Craven and Shavlik (1996), "Extracting tree-structured representations of trained
        networks", NIPS 8 (with divisions by one feature).

    Example:
        >>> rows = np.arange(20.0)[:, None]
        >>> tree = grow_tree(lambda x: x[:, 0] > 7, rows, [Feature("0")], most_leaves=4,
        ...     least_rows=1, num_queries=0)
        >>> [(steps[0][1:], bool(answer)) for steps, answer in tree.paths()]
        [((7.5, False), False), ((7.5, True), True)]
    """
    generator = numpy_generator(seed, "made rows")
    answers, matrix = np.asarray(decide(rows)), feature_matrix(features, rows)
    root = Node(_answer(answers))
    count = itertools.count()
    waiting = [(-_mistakes(answers), next(count), root, np.arange(len(answers)))]
    leaves = 1
    while waiting and leaves < most_leaves:
        priority, _, node, places = heapq.heappop(waiting)
        made = num_queries - len(places)
        values, told = matrix[places], answers[places]
        if made > 0 and priority < 0:
            drawn = _made_rows(rows, places, made, generator)
            values = np.concatenate([values, feature_matrix(features, drawn)])
            told = np.concatenate([told, np.asarray(decide(drawn))])
        split = _split(values, told, len(places), least_rows)
        if split is None:
            continue
        place, node.threshold = split
        node.feature = features[place]
        is_above = matrix[places, place] > node.threshold
        node.below, node.above = (
            Node(_answer(answers[p])) for p in (places[~is_above], places[is_above])
        )
        leaves += 1
        for part, inside in ((node.below, places[~is_above]), (node.above, places[is_above])):
            heapq.heappush(waiting, (-_mistakes(answers[inside]), next(count), part, inside))
    _prune(root)
    return root


def is_numeric(answers: NDArray[Any]) -> bool:
    """Whether answers are numbers, not classes.

    Example:
        >>> is_numeric(np.array([0.5])), is_numeric(np.array([1])), is_numeric(np.array(["a"]))
        (True, False, False)
    """
    return answers.dtype.kind == "f"


def _answer(answers: NDArray[Any]) -> Any:
    if is_numeric(answers):
        return float(answers.mean())
    known, counts = np.unique(answers, return_counts=True)
    return known[counts.argmax()]


def _mistakes(answers: NDArray[Any]) -> float:
    """What one answer for all would get wrong: rows, or squared error."""
    if is_numeric(answers):
        return float(answers.var() * len(answers))
    return float(len(answers) - np.unique(answers, return_counts=True)[1].max())


def _made_rows(rows: Table, places: Places, count: int, generator: np.random.Generator) -> Table:
    chosen = places[generator.integers(len(places), size=(rows.shape[1], count))]
    if isinstance(rows, pl.DataFrame):
        drawn = zip(rows.iter_columns(), chosen, strict=True)
        return pl.DataFrame([column.gather(own) for column, own in drawn])
    return rows[chosen.T, np.arange(rows.shape[1])]


def _split(
    values: Floats, told: NDArray[Any], num_real: int, least_rows: int
) -> tuple[int, float] | None:
    """The best feature and threshold; by the real rows alone where others would leave too few."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeRegressor if is_numeric(told) else DecisionTreeClassifier
    for part in dict.fromkeys((len(values), num_real)):
        if part < 2 * least_rows:
            return None
        stump = kind(max_depth=1, min_samples_leaf=least_rows, random_state=0)
        tree = stump.fit(values[:part], told[:part]).tree_
        if tree.node_count == 1:
            continue
        place = int(tree.feature[0])
        column = values[:, place]
        is_above = column[:part].astype(np.float32) > tree.threshold[0]
        low, high = column[:part][~is_above].max(), column[:part][is_above].min()
        threshold = shortest_between(low, high)
        above = int((column[:num_real] > threshold).sum())
        if low < high and least_rows <= above <= num_real - least_rows:
            return place, threshold
    return None


def shortest_between(low: float, high: float) -> float:
    """The number of fewest decimals that parts two numbers: ``low <= number < high``.

    Example:
        >>> shortest_between(2.4371, 2.5112), shortest_between(1023.0, 1090.0)
        (2.5, 1060.0)
    """
    middle = low + (high - low) / 2
    for digits in range(-12, 18):
        told = round(middle, digits)
        if low <= told < high:
            return float(told)
    return float(low)


def _prune(node: Node) -> None:
    """Join leaves that say the same."""
    if node.below is None or node.above is None:
        return
    _prune(node.below)
    _prune(node.above)
    same = bool(node.below.answer == node.above.answer)
    if node.below.is_leaf and node.above.is_leaf and same:
        node.feature, node.below, node.above = None, None, None
