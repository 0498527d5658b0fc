"""Labels from several annotators, by hand and against a plain majority."""

import numpy as np
import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import agree_on_labels


def simulated(accuracies, num_items=400, num_classes=3, seed=0):
    """Votes of annotators who are right as often as they are said to be."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(num_classes, size=num_items)
    rows = []
    for person, accuracy in enumerate(accuracies):
        right = generator.random(num_items) < accuracy
        wrong = (truth + generator.integers(1, num_classes, num_items)) % num_classes
        said = np.where(right, truth, wrong)
        rows += [(i, f"p{person}", f"c{label}") for i, label in enumerate(said)]
    votes = pl.DataFrame(rows, schema=["item", "who", "says"], orient="row")
    return votes, np.array([f"c{label}" for label in truth])


def test_better_than_the_majority_where_annotators_differ():
    votes, truth = simulated([0.95, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4])
    found = agree_on_labels(votes, "item", "who", "says")
    majority = votes.group_by("item").agg(pl.col("says").mode().sort().first()).sort("item")
    accuracy = (found.labels["label"].to_numpy() == truth).mean()
    plain = (majority["says"].to_numpy() == truth).mean()
    assert accuracy > plain + 0.05
    assert accuracy > 0.93
    worth = dict(zip(found.annotators["annotator"], found.annotators["accuracy"], strict=True))
    assert worth["p0"] == pytest.approx(0.95, abs=0.04)
    assert worth["p4"] == pytest.approx(0.4, abs=0.08)
    assert found.annotators["annotator"][-1] == "p0"


def test_probabilities_are_about_as_often_right():
    votes, truth = simulated([0.8, 0.7, 0.6], seed=1)
    labels = agree_on_labels(votes, "item", "who", "says").labels
    right = labels["label"].to_numpy() == truth
    assert labels["probability"].mean() == pytest.approx(right.mean(), abs=0.06)


def test_all_of_one_mind_and_votes_left_out():
    votes = pl.DataFrame(
        {"item": [1, 1, 2, 2, 3], "who": list("ababa"), "says": ["x", "x", "y", "y", None]}
    )
    found = agree_on_labels(votes, "item", "who", "says")
    assert found.labels["label"].to_list() == ["x", "y"]
    assert (found.labels["probability"] > 0.8).all()
    assert found.annotators["votes"].to_list() == [2.0, 2.0]


def test_one_round_by_hand():
    """Two voters disagree on the one item: both labels stay as likely."""
    votes = pl.DataFrame({"item": [1, 1], "who": ["a", "b"], "says": ["x", "y"]})
    found = agree_on_labels(votes, "item", "who", "says", max_rounds=1)
    assert found.labels["probability"].to_list() == pytest.approx([0.5])


def test_wrong_input():
    votes = pl.DataFrame({"item": [1], "who": ["a"], "says": [None]})
    with pytest.raises(InputError, match="no column 'label'"):
        agree_on_labels(votes, "item", "who", "label")
    with pytest.raises(InputError, match="no votes"):
        agree_on_labels(votes, "item", "who", "says")
