"""A simple model in a network's place, fitted on what it says, with how faithful that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.core.seeds import numpy_generator
from glial.data.settings import Kind
from glial.explanation.functions.games import Floats, Table, check_tables
from glial.explanation.functions.readable import (
    Feature,
    as_frame,
    feature_matrix,
    readable_features,
)
from glial.explanation.functions.trees import Decide, Node, grow_tree, is_numeric

Form = Literal["tree", "linear"]
HELD_OUT = 0.25
LEAST_TOLD = 8
DRAWS = 1000
CONFIDENCE = 0.95
ROWS_ELIMINATED_ON = 5_000


@dataclass(frozen=True)
class Fidelity:
    """How well one says what the other says, on rows that neither was fitted on.

    Attributes:
        measure: ``agreement``, the share of rows with the same class, or ``r2`` of numbers.
        value: The measure.
        low: Lower end of its interval of 95 %.
        high: Upper end.
        baseline: What one answer for all rows would come to.
        rows: Number of rows.

    Example:
        >>> told = np.array(["a", "a", "b", "b"])
        >>> found = fidelity(np.array(["a", "a", "b", "a"]), told, told)
        >>> found.measure, found.value, found.baseline
        ('agreement', 0.75, 0.5)
    """

    measure: str
    value: float
    low: float
    high: float
    baseline: float
    rows: int

    def __str__(self) -> str:
        ends = f"{self.low:.3f} to {self.high:.3f}"
        return f"{self.measure} {self.value:.3f} ({ends}; one answer for all: {self.baseline:.3f})"


def fidelity(
    simple: NDArray[Any], told: NDArray[Any], fitted: NDArray[Any], *, seed: int = 0
) -> Fidelity:
    """How well a simple model says what a network says.

    Args:
        simple: Answers of the simple model to held-out rows.
        told: The network's.
        fitted: The network's answers to the rows that were fitted on, for the baseline.
        seed: Draws the bootstrap of r2; an agreement has Wilson's interval.

    Source:
        Wilson (1927), doi:10.1080/01621459.1927.10502953; Efron (1979), percentile bootstrap.

    Example:
        >>> fidelity(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), np.zeros(1)).value
        1.0
    """
    if not is_numeric(told):
        from scipy.stats import binomtest

        same = int((simple == told).sum())
        ends = binomtest(same, len(told)).proportion_ci(CONFIDENCE, method="wilson")
        known, counts = np.unique(fitted, return_counts=True)
        share = float((told == known[counts.argmax()]).mean())
        return Fidelity("agreement", same / len(told), ends.low, ends.high, share, len(told))
    generator = numpy_generator(seed, "fidelity")
    drawn = generator.integers(len(told), size=(DRAWS, len(told)))
    values = [_r2(simple[places], told[places]) for places in drawn]
    low, high = np.nanquantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    flat = np.full(len(told), fitted.mean())
    return Fidelity("r2", _r2(simple, told), float(low), float(high), _r2(flat, told), len(told))


def _r2(simple: Floats, told: Floats) -> float:
    spread = float(((told - told.mean()) ** 2).sum())
    return 1 - float(((told - simple) ** 2).sum()) / spread if spread else float("nan")


@dataclass(frozen=True)
class Surrogate:
    """A simple model that was fitted on a network's answers.

    Attributes:
        form: ``tree`` or ``linear``.
        features: What it reads.
        fidelity: How well it says what the network says, on held-out rows.
        accuracy: How well it says what is true there: accuracy, or r2; None where that is not
            known.
        network_accuracy: How well the network does.
        tree: The tree, of a tree.
        weights: The weights, of a linear model: a row for each feature and class.
        fitted: Rows that it was fitted on.
        held_out: Rows that it was not.
        told: The network's answers to each of the two.
        truth: What is true of each; None where that is not known.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 2))
        >>> found = fit_surrogate(lambda x: x[:, 0] > 0, rows)
        >>> found.fidelity.value > 0.95, found.features[0].name
        (True, '0')
    """

    form: Form
    features: list[Feature]
    fidelity: Fidelity
    accuracy: float | None
    network_accuracy: float | None
    tree: Node | None
    weights: pl.DataFrame | None
    fitted: Table
    held_out: Table
    told: tuple[NDArray[Any], NDArray[Any]]
    truth: tuple[NDArray[Any], NDArray[Any]] | None
    _answers: Callable[[pl.DataFrame], NDArray[Any]]

    def predict(self, rows: Table) -> NDArray[Any]:
        """What the simple model says of rows: classes, or numbers."""
        return self._answers(as_frame(rows))

    def to_dict(self) -> dict[str, Any]:
        """The form, its figures and what it reads, as JSON takes them."""
        return {
            "form": self.form,
            "fidelity": vars(self.fidelity),
            "accuracy": self.accuracy,
            "network_accuracy": self.network_accuracy,
            "features": [feature.name for feature in self.features],
            "weights": None if self.weights is None else self.weights.to_dicts(),
        }


def fit_surrogate(
    decide: Decide,
    rows: Table,
    truth: Any = None,
    *,
    form: Form = "tree",
    most_leaves: int = 16,
    least_rows: int = 5,
    num_queries: int = 1000,
    most_features: int = 12,
    kinds: Mapping[str, Kind] | None = None,
    seed: int = 0,
) -> Surrogate:
    """Fit a tree, or a linear model of few features, on what a function says of rows.

    Three quarters of the rows are fitted on, the rest say how faithful the model is.

    Args:
        decide: Gives each row a class (whole numbers, truth values or text) or a number (floats).
        rows: Rows as the function takes them.
        truth: What is true of each row, like the answers; None where that is not known.
        form: ``tree``; or ``linear``: a logistic regression for classes, a linear one for
            numbers, on standardised features, of which the least important are eliminated.
        most_leaves: Leaves of a tree.
        least_rows: Rows of each leaf.
        num_queries: Rows, real and made, by which a part of a tree is divided.
        most_features: Features of a linear model.
        kinds: Kinds of columns, where they are known.
        seed: Divides the rows, and draws made ones.

    Raises:
        InputError: If there are too few rows, the function always says the same, or a size is
            wrong.

    Source:
        Craven and Shavlik (1996), NIPS 8 (fidelity, and growing by asking); Guyon et al. (2002),
        doi:10.1023/A:1012487302797 (recursive feature elimination).

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> predict = lambda x: 2 * x[:, 0] - x[:, 2]
        >>> found = fit_surrogate(predict, rows, form="linear", most_features=2)
        >>> found.weights["feature"].to_list(), found.weights["per_unit"].round(3).to_list()
        (['0', '2'], [2.0, -1.0])
    """
    check_tables(rows, rows)
    told = np.asarray(decide(rows))
    _check(told, rows, most_leaves, least_rows, most_features)
    order = numpy_generator(seed, "surrogate").permutation(len(rows))
    cut = max(1, round(HELD_OUT * len(rows)))
    held, kept = np.sort(order[:cut]), np.sort(order[cut:])
    fitted, held_out = rows[kept], rows[held]
    features = readable_features(fitted, kinds)
    tree, weights = None, None
    if form == "tree":
        tree = grow_tree(
            decide,
            fitted,
            features,
            most_leaves=most_leaves,
            least_rows=least_rows,
            num_queries=num_queries,
            seed=seed,
        )
        features = _read(tree)
        answers: Callable[[pl.DataFrame], NDArray[Any]] = tree.answers
    else:
        features, weights, answers = _linear(fitted, told[kept], features, most_features)
    said = answers(as_frame(held_out))
    known = None
    if truth is not None:
        both = np.asarray(truth)
        known = (both[kept], both[held])
    return Surrogate(
        form,
        features,
        fidelity(said, told[held], told[kept], seed=seed),
        None if known is None else rightness(said, known[1]),
        None if known is None else rightness(told[held], known[1]),
        tree,
        weights,
        fitted,
        held_out,
        (told[kept], told[held]),
        known,
        answers,
    )


def rightness(said: NDArray[Any], truth: NDArray[Any]) -> float:
    """The share of rows with the true class, or r2 of numbers.

    Example:
        >>> rightness(np.array(["a", "b"]), np.array(["a", "a"]))
        0.5
    """
    return _r2(said, truth) if is_numeric(said) else float((said == truth).mean())


def _check(
    told: NDArray[Any], rows: Table, most_leaves: int, least_rows: int, most_features: int
) -> None:
    if told.shape != (len(rows),) or len(told) < LEAST_TOLD:
        raise InputError(
            "there is too little to fit a simple model on",
            expected=f"at least {LEAST_TOLD} rows, and one answer for each",
            got=f"{len(rows)} rows, and answers in the shape {told.shape}",
        )
    if is_numeric(told) and not np.isfinite(told).all():
        raise InputError("the function gives numbers that are not finite")
    if (told == told[0]).all():
        raise InputError(
            "the function says the same of all rows",
            expected="two different answers or more",
            got=str(told[0]),
            do="give other rows, or look at the network: it answers without reading",
        )
    if most_leaves < 2 or least_rows < 1 or most_features < 1:
        raise InputError(
            "a surrogate needs at least two leaves, and a row and a feature for each",
            got=f"{most_leaves} leaves, {least_rows} rows, {most_features} features",
        )


def _read(tree: Node) -> list[Feature]:
    """The features that a tree reads, the first divisions first."""
    return list(dict.fromkeys(f for steps, _ in tree.paths() for f, _, _ in steps))


def _linear(
    rows: Table, told: NDArray[Any], features: Sequence[Feature], most: int
) -> tuple[list[Feature], pl.DataFrame, Callable[[pl.DataFrame], NDArray[Any]]]:
    """Features, their weights, and the answers of a linear model."""
    from sklearn.feature_selection import RFE
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    matrix = scaler.fit_transform(feature_matrix(features, rows))
    model: Any = Ridge(1e-3) if is_numeric(told) else LogisticRegression(max_iter=1000)
    kept = np.arange(len(features))
    if most < len(features):
        some = slice(None, None, max(1, len(matrix) // ROWS_ELIMINATED_ON))
        chosen = RFE(model, n_features_to_select=most, step=0.2).fit(matrix[some], told[some])
        kept = np.flatnonzero(chosen.support_)
    model.fit(matrix[:, kept], told)
    chosen_features = [features[int(place)] for place in kept]
    mean, scale = scaler.mean_[kept], scaler.scale_[kept]
    per_class = np.atleast_2d(model.coef_)
    labels = ["" if is_numeric(told) else str(name) for name in getattr(model, "classes_", [""])]
    weights = pl.DataFrame(
        {
            "class": np.repeat(labels[-1:] if len(per_class) == 1 else labels, len(kept)),
            "feature": [f.name for f in chosen_features] * len(per_class),
            "per_deviation": per_class.ravel(),
            "per_unit": (per_class / scale).ravel(),
        }
    ).sort(pl.col("per_deviation").abs(), descending=True, maintain_order=True)

    def answers(frame: pl.DataFrame) -> NDArray[Any]:
        values = (feature_matrix(chosen_features, frame) - mean) / scale
        return np.asarray(model.predict(values))

    return chosen_features, weights, answers
