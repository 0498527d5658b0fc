"""Methods for functions, put to runs over the raw columns of tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glial.core.errors import unknown_name
from glial.data import read
from glial.explanation.functions.contributions import Told, joined
from glial.explanation.functions.counterfactuals import Counterfactuals, find_counterfactuals
from glial.explanation.functions.importance import Importance, permutation_importance
from glial.explanation.functions.surrogates import Form, Surrogate, fit_surrogate
from glial.explanation.predictors import rows_of, run_predictor, some_rows
from glial.runs.prediction import answer
from glial.runs.run import Run
from glial.tasks.classification import Classification
from glial.tasks.metrics import LOWER_IS_BETTER

NUM_BACKGROUND = 100
_METRICS = {"classification": "accuracy", "multilabel": "f1_macro", "regression": "r2"}


def explain_rows(
    run: Run,
    method: Callable[..., Told],
    source: Any,
    background: Any = None,
    *,
    target: str | None = None,
    num_background: int = NUM_BACKGROUND,
    seed: int = 0,
    **options: Any,
) -> Told:
    """Explain a run's answers to rows by any method for functions.

    Args:
        run: The run.
        method: Such as `kernel_shap` or `lime`: ``method(predict, rows, background, **options)``.
        source: Rows to explain: a file, data set or table in memory.
        background: Rows to compare with; by default those to explain.
        target: The class or number that is explained; by default each row's likeliest class.
        num_background: Rows to compare with, drawn at random from the background.
        seed: Draws these rows.
        options: Of the method; ``seed`` is among them where it takes one.

    Returns:
        Contributions of each raw column to each row's probability of its class, or its number.

    Raises:
        InputError: If a column or the target is missing, or there are no rows.

    Example:
        >>> import glial
        >>> from glial.explanation import exact_shap
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> found = explain_rows(run, exact_shap, read("iris").head(3), "iris", num_background=10)
        >>> found.values.shape, bool(found.gap < 1e-6)
        ((3, 4), True)
    """
    predictor, rows = run_predictor(run), rows_of(run, source)
    others = rows_of(run, source if background is None else background, num_background, seed=seed)
    chosen = predictor.of_interest(rows, target)
    parts, places = [], []
    for place in np.unique(chosen):
        places.append(np.flatnonzero(chosen == place))
        predict = predictor.output(predictor.outputs[place])
        parts.append(method(predict, rows[places[-1]], others, **options))
    return joined(parts, places)


def run_importance(
    run: Run,
    source: Any,
    *,
    metric: str | None = None,
    most: int = 5_000,
    num_repeats: int = 5,
    seed: int = 0,
) -> Importance:
    """What a run's metric loses where a raw column is shuffled among rows.

    Args:
        run: The run.
        source: Rows with their targets that the run was not trained on.
        metric: One of the task's; by default ``accuracy`` of classes, ``f1_macro`` of several
            questions, ``r2`` of numbers.
        most: Rows at most, drawn at random.
        num_repeats: Shufflings of each column.
        seed: Draws rows and shufflings.

    Raises:
        InputError: If a column is missing, or there is no such metric.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=20, out=False)
        >>> run_importance(run, "iris").table()["feature"][0].startswith("petal")
        True
    """
    run_predictor(run)
    answered = answer(run, some_rows(read(source), most, seed))
    name = metric or _METRICS[run.task]
    known = run.decoder.scores(answered.outputs, answered.frame, answered.weight)
    if name not in known:
        raise unknown_name("metric", name, known)

    def score(told: NDArray[Any], places: NDArray[np.int64]) -> float:
        weight = None if answered.weight is None else answered.weight[places]
        outputs = torch.from_numpy(told[places])
        return run.decoder.scores(outputs, answered.frame[places], weight)[name]

    return permutation_importance(
        lambda rows: run.outputs(rows, notice=False).numpy(),
        answered.frame.select(run.encoding.columns),
        score,
        lower_is_better=name in LOWER_IS_BETTER,
        name=name,
        num_repeats=num_repeats,
        seed=seed,
    )


def run_surrogate(
    run: Run,
    source: Any,
    *,
    form: Form = "tree",
    target: str | None = None,
    most: int = 20_000,
    seed: int = 0,
    **options: Any,
) -> Surrogate:
    """A tree or a linear model of raw columns in a run's place.

    Args:
        run: The run.
        source: Rows such as the run was trained on, better not the same; targets are not needed,
            but where they are there, both models are compared with them.
        form: See `fit_surrogate`.
        target: The target, where the run has several.
        most: Rows at most, drawn at random.
        seed: Draws rows, and divides them.
        options: Of `fit_surrogate`, such as ``most_leaves``.

    Raises:
        InputError: If a column or target is missing, or the run always says the same.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="mlp", epochs=10, out=False)
        >>> run_surrogate(run, "iris").fidelity.value > 0.8
        True
    """
    predictor = run_predictor(run)
    rows_of(run, source)
    frame = some_rows(read(source), most, seed)
    types = run.plan.data.types
    return fit_surrogate(
        lambda rows: predictor.answers(rows, target),
        frame.select(predictor.columns),
        predictor.truth(frame, target),
        form=form,
        kinds={name: types[name] for name in predictor.columns if name in types},
        seed=seed,
        **options,
    )


def run_counterfactuals(
    run: Run,
    source: Any,
    background: Any,
    *,
    wanted: Any = None,
    fixed: Sequence[str] = (),
    target: str | None = None,
    count: int = 3,
    most: int = 2_000,
    seed: int = 0,
) -> Counterfactuals:
    """The nearest changes of one row's raw columns after which a run decides otherwise.

    Args:
        run: The run.
        source: One row: a file or table in memory.
        background: Rows such as occur: a source.
        wanted: See `find_counterfactuals`; a class is spelt as in training.
        fixed: Columns that may not change.
        target: The target, where the run has several.
        count: Counterfactuals at most.
        most: Rows of the background at most, drawn at random.
        seed: Draws these rows and mixtures.

    Raises:
        InputError: If a column, class or target is unknown, or there is not one row.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="mlp", epochs=20, out=False)
        >>> found = run_counterfactuals(run, read("iris").tail(1), "iris", wanted="versicolor")
        >>> set(found.answers.tolist())
        {'versicolor'}
    """
    predictor = run_predictor(run)
    decoder: Any = run.decoder
    if isinstance(decoder, Classification) and wanted is not None:
        if str(wanted) not in predictor.outputs:
            raise unknown_name("class", str(wanted), predictor.outputs)
        wanted = str(wanted)
    return find_counterfactuals(
        lambda rows: predictor.answers(rows, target),
        rows_of(run, source),
        rows_of(run, background, most, seed=seed),
        wanted=wanted,
        fixed=fixed,
        count=count,
        seed=seed,
    )
