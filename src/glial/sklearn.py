"""Glial's networks as estimators of scikit-learn, for its pipelines, searches and validations."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from glial.core.errors import InputError
from glial.data import read
from glial.runs import Run, predict, train

__all__ = ["NeuralClassifier", "NeuralRegressor"]

Floats = NDArray[np.float64]


class _Estimator(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """What both estimators do: a table made of X, y and weights, a run, its predictions."""

    _task = ""
    _columns: list[str]
    _types: dict[str, str] | None
    run_: Run

    # Any: by scikit-learn's contract a constructor takes whatever it is given, and fit judges it.
    def __init__(
        self,
        model: Any = "tabular",
        *,
        epochs: Any = None,
        lr: Any = None,
        batch_size: Any = None,
        time_limit: Any = None,
        validation_fraction: Any = 0.15,
        random_state: Any = None,
        params: Any = None,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.time_limit = time_limit
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.params = params

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def _fit(self, frame: pl.DataFrame, targets: NDArray[Any], weight: Floats | None) -> None:
        """Train on a table whose columns are all inputs, and on its targets, [row, output]."""
        outputs = _new_names("target", targets.shape[1], frame.columns)
        added = dict(zip(outputs, targets.T, strict=True))
        changes = self._changes(frame)
        if weight is not None:
            (changes["data.weight"],) = _new_names("weight", 1, frame.columns)
            added[changes["data.weight"]] = weight
        frame = frame.with_columns(pl.Series(name, cells) for name, cells in added.items())
        if weight is not None:
            frame = frame.filter(pl.Series(weight > 0))  # what weighs nothing says nothing
        changes.update(self._split(frame.height))
        with _at_the_door():
            self.run_ = train(
                frame,
                outputs if len(outputs) > 1 else outputs[0],
                task=self._task,
                model=copy.deepcopy(self.model) if isinstance(self.model, nn.Module) else None,
                out=False,
                set={**changes, **(self.params or {})},
            )

    def _changes(self, frame: pl.DataFrame) -> dict[str, Any]:
        """What the constructor was given, as keys of the plan."""
        state = self.random_state
        if not isinstance(state, (int, np.integer)):
            state = check_random_state(state).randint(2**31 - 1)
        changes = {
            "model.name": None if isinstance(self.model, nn.Module) else self.model,
            "train.epochs": self.epochs,
            "train.lr": self.lr,
            "train.batch_size": self.batch_size,
            "train.time_limit": self.time_limit,
            "train.seed": state,
            "data.types": self._types,
        }
        # A search over np.arange or np.logspace gives NumPy's numbers.
        return {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in changes.items()
            if value is not None
        }

    def _split(self, num_rows: int) -> dict[str, float]:
        """Shares of the rows; none validate where the fraction is less than one row."""
        fraction = self.validation_fraction
        if not isinstance(fraction, Real) or not 0 <= float(fraction) < 1:
            raise ValueError(
                f"validation_fraction must be at least 0 and below 1, not {fraction!r}"
            )
        share = float(fraction) if num_rows * float(fraction) >= 1 else 0.0
        return {"data.split.train": 1 - share, "data.split.val": share, "data.split.test": 0.0}

    def _table(self, X: Any, *, reset: bool) -> pl.DataFrame:
        """X as a table of ours; the columns have the names that they had in training."""
        if hasattr(X, "columns") and hasattr(X, "shape"):
            validate_data(self, X, reset=reset, skip_check_array=True)
            types = None
        else:
            X = validate_data(
                self,
                X,
                reset=reset,
                dtype=None,
                ensure_all_finite="allow-nan",
                ensure_min_samples=2 if reset else 1,
            )
            types = _types(X)
            X = X.astype(np.float64) if X.dtype.kind in "iuf" else X
        with _at_the_door():
            frame = read(X)
        if reset:
            self._columns, self._types = frame.columns, types
        return frame.rename(dict(zip(frame.columns, self._columns, strict=True)))

    def _predictions(self, X: Any) -> pl.DataFrame:
        check_is_fitted(self, "run_")
        frame = self._table(X, reset=False)
        with _at_the_door():
            table: pl.DataFrame = predict(self.run_, frame)
        return table


class NeuralClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A network that tells classes apart.

    Args:
        model: Name of a model, or a network of your own, which is copied and left as it was.
        epochs: Most passes over the training rows; None is the model's recipe.
        lr: Learning rate; None is the model's recipe, or a measured one.
        batch_size: Rows of a batch, or ``full``; None looks at the number of rows.
        time_limit: Most seconds of training.
        validation_fraction: Share of the rows that choose the best epoch; no row is kept back
            where it is less than one row.
        random_state: The seed of a run, or a generator that draws one.
        params: Dotted keys of the plan and their values, such as ``{"train.patience": 5}``.
            Where a key names classes, they are numbered as in ``classes_``.

    Attributes:
        classes_: The classes, sorted.
        n_features_in_: Number of input columns.
        feature_names_in_: Names of the input columns, where all are text.
        run_: The run, kept in memory.

    Columns of arrays of numbers are numbers, whatever they hold; the kinds of other arrays' and
    of tables' columns are inferred, as by :func:`glial.train`. NaN is a missing cell.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = NeuralClassifier("linear", epochs=60, lr=0.1, random_state=0).fit(X, y)
        >>> model.score(X, y) > 0.9, model.predict_proba(X).shape
        (True, (150, 3))
    """

    _task = "classification"
    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralClassifier:
        """Train.

        Args:
            X: Inputs, [row, column]: an array, lists, or a table of pandas or polars.
            y: The class of each row, [row]; predictions have its type.
            sample_weight: What each row weighs, [row]; a row of weight 0 is left out.

        Returns:
            The estimator.

        Raises:
            ValueError: If the data or a setting cannot be used.
            TypeError: If X is sparse.

        Example:
            >>> model = NeuralClassifier("linear", epochs=1, lr=0.1)
            >>> model.fit([[0.0], [1.0], [2.0]], ["a", "b", "b"]).classes_.tolist()
            ['a', 'b']
        """
        frame = self._table(X, reset=True)
        y = _checked_target(frame, y, dtype=None)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        weight = _checked_weight(frame, sample_weight)
        left = codes if weight is None else codes[weight > 0]
        if len(np.unique(left)) < 2:
            raise ValueError(
                "NeuralClassifier needs rows of at least two classes, each with a weight above 0; "
                f"got 1 class: {self.classes_[left[0]]!r}"
            )
        self._fit(frame, codes[:, None], weight)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each row, [row], in the type that y had.

        Raises:
            ValueError: If X cannot be used.
            NotFittedError: If the estimator was not fitted.
        """
        codes = self._predictions(X)["prediction"].to_numpy()
        return np.asarray(self.classes_[codes])

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probability of each class, [row, class], in the order of ``classes_``.

        They have the precision in which networks compute. A class whose rows all validate is
        unknown to the network, and has the probability 0.

        Raises:
            ValueError: If X cannot be used.
            NotFittedError: If the estimator was not fitted.
        """
        table = self._predictions(X)
        shares = np.zeros((table.height, len(self.classes_)), dtype=np.float32)
        for code in range(len(self.classes_)):
            if f"probability_{code}" in table.columns:
                shares[:, code] = table[f"probability_{code}"].to_numpy()
        return shares


class NeuralRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A network that predicts a number, or several.

    Args:
        model: As for :class:`NeuralClassifier`, and so are all others.
        epochs: Most passes over the training rows.
        lr: Learning rate.
        batch_size: Rows of a batch.
        time_limit: Most seconds of training.
        validation_fraction: Share of the rows that choose the best epoch.
        random_state: The seed of a run, or a generator that draws one.
        params: Dotted keys of the plan and their values.

    Attributes:
        n_features_in_: Number of input columns.
        feature_names_in_: Names of the input columns, where all are text.
        run_: The run, kept in memory.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = NeuralRegressor("linear", epochs=20, lr=0.05, random_state=0).fit(X, y)
        >>> model.score(X, y) > 0.4
        True
    """

    _task = "regression"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralRegressor:
        """Train.

        Args:
            X: Inputs, [row, column]: an array, lists, or a table of pandas or polars.
            y: Numbers, [row] or [row, output]; predictions have this shape.
            sample_weight: What each row weighs, [row]; a row of weight 0 is left out.

        Returns:
            The estimator.

        Raises:
            ValueError: If the data or a setting cannot be used.
            TypeError: If X is sparse.

        Example:
            >>> model = NeuralRegressor("linear", epochs=1, lr=0.1)
            >>> model.fit([[0.0], [1.0], [2.0]], [[0, 1], [1, 2], [2, 3]]).predict([[3.0]]).shape
            (1, 2)
        """
        frame = self._table(X, reset=True)
        targets = _checked_target(frame, y, dtype=np.float64)
        self._is_flat = targets.ndim == 1
        self._fit(frame, targets.reshape(len(targets), -1), _checked_weight(frame, sample_weight))
        return self

    def predict(self, X: Any) -> Floats:
        """The numbers of each row, [row] or [row, output], as y was.

        Raises:
            ValueError: If X cannot be used.
            NotFittedError: If the estimator was not fitted.
        """
        table = self._predictions(X)
        names = [name for name in table.columns if name.startswith("prediction")]
        values = table.select(names).to_numpy()
        return values[:, 0] if self._is_flat else values


@contextlib.contextmanager
def _at_the_door() -> Iterator[None]:
    """Say only warnings, and raise what scikit-learn's callers expect of wrong input."""
    logger = logging.getLogger("glial")
    level = logger.level
    logger.setLevel(max(logger.getEffectiveLevel(), logging.WARNING))
    try:
        yield
    except InputError as error:
        raise ValueError(str(error)) from error
    finally:
        logger.setLevel(level)


def _types(matrix: NDArray[Any]) -> dict[str, str] | None:
    """The kind of each column of numbers or truth values; None leaves it to be inferred."""
    kind = {"b": "boolean", "i": "number", "u": "number", "f": "number"}.get(matrix.dtype.kind)
    return None if kind is None else {str(i): kind for i in range(matrix.shape[1])}


def _checked_target(frame: pl.DataFrame, y: Any, dtype: Any) -> NDArray[Any]:
    """Targets as an array, a row for each of the table's, none missing or infinite."""
    if y is None:
        raise ValueError("this estimator requires y to be passed, but the target y is None")
    y = check_array(y, ensure_2d=False, dtype=dtype, input_name="y")
    check_consistent_length(frame, y)
    return np.asarray(y)


def _checked_weight(frame: pl.DataFrame, weight: Any) -> Floats | None:
    """Weights of rows as finite numbers of at least 0, not all 0."""
    if weight is None:
        return None
    values = check_array(weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if values.shape != (frame.height,):
        raise ValueError(f"sample_weight.shape == {values.shape}, expected {(frame.height,)}")
    if (values < 0).any():
        raise ValueError("Negative values in data passed to sample_weight")
    if not values.any():
        raise ValueError("Sample weights must contain at least one non-zero number")
    return np.asarray(values)


def _new_names(word: str, count: int, taken: list[str]) -> list[str]:
    """Names of columns that a table does not have yet."""
    while any(name.startswith(word) for name in taken):
        word = f"_{word}"
    return [word] if count == 1 else [f"{word}_{number}" for number in range(count)]
