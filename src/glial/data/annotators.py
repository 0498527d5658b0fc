"""Labels from several annotators: who agrees with whom, and what each row's label is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import texts

Floats = NDArray[np.float64]
# A row of an annotator's confusion matrix starts with this many votes on the right label.
PRIOR_RIGHT, PRIOR_WRONG = 2.0, 1.0


@dataclass(frozen=True)
class Consensus:
    """What the votes of several annotators come to.

    Attributes:
        labels: A row an item: ``item``, ``label``, and its ``probability``.
        annotators: A row an annotator: ``annotator``, ``votes``, and the estimated
            ``accuracy``, the least first.

    Example:
        >>> votes = pl.DataFrame({"item": [1], "who": ["ann"], "says": ["cat"]})
        >>> agree_on_labels(votes, "item", "who", "says").labels["label"].to_list()
        ['cat']
    """

    labels: pl.DataFrame
    annotators: pl.DataFrame


def agree_on_labels(
    votes: pl.DataFrame, item: str, annotator: str, label: str, *, max_rounds: int = 100
) -> Consensus:
    """One label for each item from the votes of annotators who are not equally good.

    Each annotator's confusion matrix and each item's label are estimated in turns, so that the
    votes of those who err often count less.

    Args:
        votes: A row a vote.
        item: Column of what was labelled.
        annotator: Column of who labelled it.
        label: Column of the vote; missing votes are passed over.
        max_rounds: Most rounds of the estimation.

    Returns:
        Labels with their probabilities, and what each annotator's votes are worth.

    Raises:
        InputError: If a column is missing, or there is no vote.

    Source:
        Dawid and Skene (1979), "Maximum likelihood estimation of observer error-rates using the
        EM algorithm", doi:10.2307/2346806, with two right votes and one of each wrong kind as a
        prior, so that an annotator of few votes is taken for better than chance.

    Example:
        >>> votes = pl.DataFrame(
        ...     {
        ...         "row": [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
        ...         "who": ["ann", "bob", "cy"] * 4,
        ...         "says": ["cat"] * 5 + ["dog"] + ["dog"] * 5 + ["cat"],
        ...     }
        ... )
        >>> agree_on_labels(votes, "row", "who", "says").labels["label"].to_list()
        ['cat', 'cat', 'dog', 'dog']
    """
    for name in (item, annotator, label):
        if name not in votes.columns:
            raise InputError(
                f"the votes have no column {name!r}",
                expected=f"one of {', '.join(votes.columns)}",
                got=repr(name),
                do="name the columns of the item, the annotator and the label",
            )
    votes = votes.filter(texts(votes[label]).is_not_null())
    if votes.height == 0:
        raise InputError("there are no votes", expected="a label in some row", got="none")
    items, item_codes = _codes(votes[item])
    people, person_codes = _codes(votes[annotator])
    labels, label_codes = _codes(texts(votes[label]))
    cast = np.zeros((len(items), len(people), len(labels)))
    np.add.at(cast, (item_codes, person_codes, label_codes), 1.0)
    belief = cast.sum(axis=1)
    belief /= belief.sum(axis=1, keepdims=True)
    for _ in range(max_rounds):
        before = belief
        confusion = _confusion(cast, belief)
        belief = _beliefs(cast, confusion, belief.mean(axis=0))
        if np.abs(belief - before).max() < 1e-6:
            break
    share = belief.mean(axis=0)
    accuracy = np.einsum("pkk,k->p", _confusion(cast, belief), share)
    return Consensus(
        pl.DataFrame(
            {
                "item": items,
                "label": labels.gather(belief.argmax(axis=1)),
                "probability": belief.max(axis=1),
            }
        ),
        pl.DataFrame(
            {"annotator": people, "votes": cast.sum(axis=(0, 2)), "accuracy": accuracy}
        ).sort("accuracy"),
    )


def _codes(column: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """The different values, sorted, and the place of each cell among them."""
    values = column.unique().sort()
    places = pl.Series(range(len(values)), dtype=pl.Int64)
    return values, column.replace_strict(values, places).to_numpy().astype(np.int64)


def _confusion(cast: Floats, belief: Floats) -> Floats:
    """How each annotator labels each true class, [annotator, true, said]; rows sum to 1."""
    size = belief.shape[1]
    counts = np.einsum("ipl,it->ptl", cast, belief)
    counts = counts + PRIOR_WRONG + (PRIOR_RIGHT - PRIOR_WRONG) * np.eye(size)
    shares: Floats = counts / counts.sum(axis=2, keepdims=True)
    return shares


def _beliefs(cast: Floats, confusion: Floats, share: Floats) -> Floats:
    """Probability of each true class for each item, [item, true]."""
    logs = np.einsum("ipl,ptl->it", cast, np.log(confusion)) + np.log(share + 1e-12)
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    beliefs: Floats = shares / shares.sum(axis=1, keepdims=True)
    return beliefs
