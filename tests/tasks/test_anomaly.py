"""Anomalies: which rows are marked, thresholds by three rules, what is said of rows."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from glial.core.errors import InputError
from glial.functional.extremes import extreme_quantile
from glial.tasks import TaskSettings, fit_task, load_task
from glial.tasks.anomaly import Anomaly, anomaly_scores
from glial.tasks.marks import Marks

SETTINGS = TaskSettings(name="anomaly")


def fitted(column=None, **settings):
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], **({} if column is None else {"y": column})})
    settings = TaskSettings(name="anomaly", **settings)
    return fit_task(frame, [] if column is None else ["y"], settings)


def column_of(values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_the_rarer_of_two_values_marks_anomalies():
    task = fitted([1, 0, 0])
    assert task.marked(pl.DataFrame({"y": ["1", "0", "7"]})).tolist() == [True, False, True]
    assert fitted([-1, 1, 1]).marked(pl.DataFrame({"y": [-1, 1]})).tolist() == [True, False]
    assert task.learns_from(pl.DataFrame({"y": [0, 1, 0]})).height == 2
    assert task.learns_from(pl.DataFrame({"x": [0, 1, 0]})).height == 3  # nothing is marked
    assert task.num_outputs == 0


def test_where_training_rows_are_all_normal_every_other_value_marks_anomalies():
    task = fitted(["ok", "ok", "ok"])
    assert task.marked(pl.DataFrame({"y": ["ok", "worn"]})).tolist() == [False, True]


def test_values_that_mark_anomalies_can_be_named():
    task = fitted(["a", "b", "c"], anomaly_labels=["c", "a"])
    assert task.marked(pl.DataFrame({"y": ["a", "b", "c"]})).tolist() == [True, False, True]
    task.threshold = 0.5
    told = task.decode(column_of([1.0, 0.0])).frame()
    assert told["prediction"].to_list() == ["anomaly", "normal"]  # no one spelling is the truth


@pytest.mark.parametrize(
    ("column", "labels", "message"),
    [
        (["a", "b", "c"], "auto", "does not say which"),
        ([0, 1], "auto", "equally common"),
        ([0, 0, 1], ["2"], "task.anomaly_labels"),
        ([0, 0, 1], ["0", "1"], "every value"),
    ],
)
def test_a_column_that_marks_nothing_is_refused(column, labels, message):
    with pytest.raises(InputError, match=message):
        Marks.of(pl.Series("y", column), labels)


def test_a_threshold_by_labels_needs_some():
    with pytest.raises(InputError, match="without a column"):
        fitted(anomaly_threshold="labels")
    task = fitted([0, 0, 1], anomaly_threshold="labels")
    with pytest.raises(InputError, match="there are none"):
        task.tune(column_of([1.0, 2.0]), pl.DataFrame({"y": [0, 0]}))


def test_the_quantile_counts_the_new_row_in():
    task = fitted(anomaly_share=0.1)
    task.tune(
        column_of(np.random.default_rng(0).permutation(np.arange(1.0, 100.0))), pl.DataFrame()
    )
    assert task.threshold == 90  # a hundredth row lies above it in 10 of 100 places


def test_new_normal_rows_are_flagged_no_more_often_than_asked():
    generator, task, shares = np.random.default_rng(0), fitted(anomaly_share=0.1), []
    for _ in range(300):
        scores = generator.exponential(size=40)
        task.tune(column_of(scores[:39]), pl.DataFrame())
        shares.append(task.flags(scores[39:])[0])
    # Exactly 4 of 40 ranks: 0.1, give or take what 300 draws are.
    assert np.mean(shares) == pytest.approx(0.1, abs=3 * np.sqrt(0.09 / 300))


def test_too_few_rows_take_the_largest_score_and_say_so(caplog):
    task = fitted(anomaly_share=0.01)
    task.tune(column_of([3.0, 1.0, 2.0]), pl.DataFrame())
    assert task.threshold == 3
    assert "too few" in caplog.text


def test_anomalies_count_neither_for_the_quantile_nor_for_what_is_usual():
    task = fitted([0, 0, 1], anomaly_share=0.5)
    outputs = torch.tensor([[1.0, 1.0, 0.0], [2.0, 1.0, 1.0], [90.0, 80.0, 10.0]])
    task.tune(outputs, pl.DataFrame({"y": [0, 0, 1]}))
    assert task.threshold == 2
    assert task.usual == [1.0, 0.5]


def test_the_extreme_threshold_goes_beyond_the_largest_score():
    scores = np.random.default_rng(0).exponential(size=500)
    task = fitted(anomaly_threshold="extreme", anomaly_share=1e-4)
    task.tune(column_of(scores), pl.DataFrame())
    assert scores.max() < task.threshold == extreme_quantile(torch.from_numpy(scores), 1e-4)
    task.tune(column_of(scores[:5]), pl.DataFrame())
    assert task.threshold == scores[:5].max()


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_by_labels_has_the_best_f1_of_all(seed):
    generator = np.random.default_rng(seed)
    marked = generator.random(60) < 0.2
    scores = np.round(generator.normal(size=60) + 1.5 * marked, 1)  # with ties
    weight = np.where(marked, 0.5, 1.0)
    task = fitted([0, 0, 1], anomaly_threshold="labels")
    task.tune(column_of(scores), pl.DataFrame({"y": marked.astype(int)}), weight)

    def f1(level):
        return f1_score(marked, scores > level, sample_weight=weight)

    cuts = [-9.0, *np.unique(scores)]
    assert f1(task.threshold) == pytest.approx(max(f1(cut) for cut in cuts))
    assert not np.isin(task.threshold, scores)


def test_a_number_is_the_threshold():
    task = fitted(anomaly_threshold=2.5)
    task.tune(column_of([1.0, 9.0]), pl.DataFrame())
    assert task.threshold == 2.5


def test_an_anomaly_is_told_by_what_columns_add_more_than_usual():
    task = fitted([True, False, False])
    task.columns, task.usual, task.threshold = ["a", "b", "c", "d"], [1.0, 0.0, 0.0, 5.0], 2.0
    outputs = torch.tensor([[9.0, 2.0, 6.0, 3.0, 5.0], [1.0, 1.0, 0.0, 0.0, 0.0]])
    told = task.decode(outputs).frame()
    assert told["prediction"].to_list() == [True, False]
    assert told["because"].to_list() == ["b 0.60, c 0.30, a 0.10", ""]
    assert told["score"].to_list() == [9.0, 1.0]


def test_figures_are_scikit_learns():
    generator = np.random.default_rng(0)
    marked, scores = generator.random(50) < 0.3, generator.normal(size=50)
    weight = generator.random(50)
    task = fitted([0, 0, 1])
    task.threshold = 0.2
    found = task.scores(column_of(scores), pl.DataFrame({"y": marked.astype(int)}), weight)
    assert found["roc_auc"] == roc_auc_score(marked, scores, sample_weight=weight)
    assert found["average_precision"] == average_precision_score(
        marked, scores, sample_weight=weight
    )
    assert found["f1"] == pytest.approx(f1_score(marked, scores > 0.2, sample_weight=weight))
    assert found["flagged_share"] == pytest.approx(np.average(scores > 0.2, weights=weight))
    assert task.scores(column_of(scores), pl.DataFrame({"x": scores})).keys() == {"flagged_share"}


def test_rows_of_one_kind_have_no_curve_and_scores_without_end_are_the_most_anomalous():
    few = np.zeros(3, dtype=bool)
    assert np.isnan(anomaly_scores(few, np.arange(3.0), few)["roc_auc"])
    marked = np.array([False, True])
    for worst in (np.inf, np.nan):
        assert anomaly_scores(marked, np.array([5.0, worst]), marked)["roc_auc"] == 1


def test_the_trivial_predictor_flags_nothing():
    task = fitted([0, 0, 1])
    task.threshold = 0.0
    found = task.scores(task.trivial_outputs(4), pl.DataFrame({"y": [0, 0, 0, 1]}))
    assert (found["roc_auc"], found["average_precision"], found["recall"]) == (0.5, 0.25, 0)


def test_details_count_rows_of_each_kind_above_the_threshold():
    task = fitted([0, 0, 1])
    task.threshold = 1.0
    frame = pl.DataFrame({"y": [0, 0, 1, 1, 1]})
    told = task.details(column_of([0.0, 2.0, 0.0, 2.0, 3.0]), frame)
    assert told["threshold"] == 1
    assert told["confusion_matrix"]["counts"] == [[1, 1], [1, 2]]


def test_a_task_is_what_it_was_once_loaded_and_damage_is_seen():
    task = fitted(["ok", "ok", "bad"])
    task.columns, task.usual, task.threshold = ["a", "b"], [0.5, 1.0], 2.0
    state = json.loads(json.dumps(task.state()))
    loaded = load_task(state, SETTINGS)
    assert isinstance(loaded, Anomaly)
    assert loaded.state() == task.state()
    outputs = torch.tensor([[3.0, 1.0, 2.0]])
    assert loaded.decode(outputs).frame().equals(task.decode(outputs).frame())
    for change in (
        {"usual": [1.0]},
        {"normal": []},
        {"normal": ["bad"]},
        {"label_type": None},
        {"threshold": "2"},
        {"extra": 1},
    ):
        with pytest.raises(InputError, match="damaged"):
            load_task({**state, **change}, SETTINGS)
