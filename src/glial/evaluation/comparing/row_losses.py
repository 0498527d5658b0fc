"""What each row costs a run: how surprised it is by the truth, or how far off."""

from __future__ import annotations

import numpy as np

from glial.evaluation.metrics.answers import Answers, ClassAnswers, LabelAnswers
from glial.evaluation.metrics.weighted import Flags, Floats


def row_losses(answers: Answers) -> Floats:
    """The loss of each row, whose mean is the run's: log loss, or squared error.

    Args:
        answers: What a run says of rows, and what is true.

    Returns:
        [row]; of several questions or numbers the mean. NaN where a class was never seen in
        training.

    Example:
        >>> shares, yes = np.array([[0.5, 0.5]]), np.array([1])
        >>> row_losses(ClassAnswers(["a", "b"], yes, shares, yes)).round(4)
        array([0.6931])
    """
    if isinstance(answers, ClassAnswers):
        chosen = answers.shares[np.arange(len(answers.truth)), np.maximum(answers.truth, 0)]
        surprise = -np.log(np.clip(chosen, np.finfo(np.float64).tiny, 1.0))
        return np.where(answers.truth < 0, np.nan, surprise)
    if isinstance(answers, LabelAnswers):
        shares = np.clip(answers.shares, 1e-15, 1 - 1e-15)
        return np.asarray(-np.log(np.where(answers.truth, shares, 1 - shares)).mean(axis=1))
    return np.asarray(((answers.predicted - answers.truth) ** 2).mean(axis=1))


def is_right(answers: Answers) -> Flags | None:
    """Which rows are answered rightly, with every question; None of numbers.

    Example:
        >>> shares, yes = np.array([[0.25, 0.75]]), np.array([1])
        >>> is_right(ClassAnswers(["a", "b"], yes, shares, yes))
        array([ True])
    """
    if isinstance(answers, ClassAnswers):
        return np.asarray(answers.guess == answers.truth)
    if isinstance(answers, LabelAnswers):
        return np.asarray((answers.guess == answers.truth).all(axis=1))
    return None
