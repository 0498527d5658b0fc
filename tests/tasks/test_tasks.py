"""Tasks: losses against torch, decoding, starts, trivial predictors, and damaged states."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from glial.core.errors import InputError
from glial.tasks import TaskSettings, fit_task, healthy_first_loss, load_task

TABLES = {
    "classification": (pl.DataFrame({"y": list("abcab")}), ["y"]),
    "multilabel": (pl.DataFrame({"p": [0, 1, 1, 0], "q": list("ynyy")}), ["p", "q"]),
    "regression": (pl.DataFrame({"y": [1.0, 2.0, 4.0], "z": [0, 5, 1]}), ["y", "z"]),
    "embedding": (pl.DataFrame({"y": list("abcab")}), ["y"]),
}


def task_of(values, name="classification", **options):
    return fit_task(pl.DataFrame({"y": values}), ["y"], TaskSettings(name=name, **options))


@pytest.mark.parametrize("classes", [3, 10])
def test_a_healthy_first_loss_of_classes_is_ln_c(classes):
    task = task_of(list(range(classes)))
    target = task.encode(pl.DataFrame({"y": list(range(classes))}))
    assert healthy_first_loss(task, target) == pytest.approx(math.log(classes))


def test_a_healthy_first_loss_of_two_classes_is_ln_2_and_of_a_regression_1():
    frame = pl.DataFrame({"y": [0, 1, 1, 1]})
    task = task_of([0, 1, 1, 1])
    assert task.num_outputs == 1
    assert healthy_first_loss(task, task.encode(frame)) == pytest.approx(math.log(2))
    task = task_of([0, 1, 1, 1], "regression")
    assert healthy_first_loss(task, task.encode(frame)) == pytest.approx(1.0)


@pytest.mark.parametrize("members", [0, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_of_classes_are_torchs(members, smoothing):
    torch.manual_seed(0)
    shape = (6, members) if members else (6,)
    many, two = task_of(list("abc"), label_smoothing=smoothing), task_of(list("ab"))
    target = torch.randint(2, (6,))
    repeated = target.repeat_interleave(max(1, members))
    outputs = torch.randn(*shape, 3)
    expected = functional.cross_entropy(outputs.reshape(-1, 3), repeated, label_smoothing=smoothing)
    torch.testing.assert_close(many.loss(outputs, target), expected)
    outputs = torch.randn(*shape, 1)
    expected = functional.binary_cross_entropy_with_logits(outputs.reshape(-1), repeated.float())
    torch.testing.assert_close(two.loss(outputs, target), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean_squared_error", functional.mse_loss),
        ("mean_absolute_error", functional.l1_loss),
        ("huber", functional.huber_loss),
        ("half_squared_error", lambda o, t: functional.mse_loss(o, t) / 2),
    ],
)
def test_losses_of_numbers_are_torchs(name, expected):
    task = task_of([1.0, 2.0, 4.0], "regression", loss=name)
    outputs, target = torch.randn(3, 1), torch.randn(3, 1)
    torch.testing.assert_close(task.loss(outputs, target), expected(outputs, target))


def test_focal_without_gamma_is_cross_entropy():
    outputs, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    focal = task_of(list("abc"), loss="focal", focal_gamma=0.0)
    torch.testing.assert_close(
        focal.loss(outputs, target), task_of(list("abc")).loss(outputs, target)
    )


def test_cross_entropy_learns_from_a_confident_error_and_squared_error_hardly():
    z = torch.tensor([[-20.0]], requires_grad=True)
    task = task_of(["n", "y"])
    (gradient,) = torch.autograd.grad(task.loss(z, torch.tensor([1])), z)
    assert gradient.item() == pytest.approx(-1.0)
    (gradient,) = torch.autograd.grad((z.sigmoid() - 1).square().sum(), z)
    assert abs(gradient.item()) < 1e-8


def test_balanced_weights_make_every_class_count_alike():
    task = task_of(["a"] * 9 + ["b"], class_weights="balanced")
    outputs = torch.zeros(10, 1, requires_grad=True)
    target = torch.tensor([0] * 9 + [1])
    (gradient,) = torch.autograd.grad(task.loss(outputs, target), outputs)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-6)


def test_class_weights_raise_the_minoritys_recall():
    torch.manual_seed(0)
    target = (torch.rand(2000) < 0.08).long()
    x = torch.randn(2000, 1) + 1.2 * target[:, None]
    frame = pl.DataFrame({"y": target.numpy()})
    recalls = {}
    for weights in ("none", "balanced"):
        task = fit_task(frame, ["y"], TaskSettings(name="classification", class_weights=weights))
        model = torch.nn.Linear(1, 1)
        optimizer = torch.optim.Adam(model.parameters(), 0.1)
        for _ in range(150):
            optimizer.zero_grad()
            task.loss(model(x), target).backward()
            optimizer.step()
        recalls[weights] = task.scores(model(x).detach(), frame)["recall"]
    assert recalls["none"] < 0.4
    assert recalls["balanced"] > 0.6


def test_an_unknown_class_among_the_weights_is_refused():
    with pytest.raises(InputError, match="did you mean 'setosa'"):
        task_of(["setosa", "virginica"], class_weights={"setsa": 2.0})
    with pytest.raises(InputError, match="take this class out"):
        task_of(["a", "b"], class_weights={"zebra": 2.0})


@pytest.mark.parametrize("values", [["a", "a"], [None, None], ["a", "b", None]])
def test_targets_that_cannot_be_learnt_are_refused(values):
    with pytest.raises(InputError):
        task_of(pl.Series(values, dtype=pl.String))


def test_the_majority_predictor_has_high_accuracy_and_misses_the_minority():
    frame = pl.DataFrame({"y": ["no"] * 95 + ["yes"] * 5})
    task = fit_task(frame, ["y"], TaskSettings(name="classification"))
    scores = task.scores(task.trivial_outputs(100), frame)
    assert scores["accuracy"] == 0.95
    assert scores["balanced_accuracy"] == 0.5
    assert scores["recall"] == 0.0
    assert scores["log_loss"] == pytest.approx(-0.95 * math.log(0.95) - 0.05 * math.log(0.05))


@pytest.mark.parametrize("ends", [None, [0.0, 10.0]])
def test_the_mean_predictor_has_no_r2(ends):
    frame = pl.DataFrame({"y": [1.0, 2.0, 6.0]})
    task = task_of([1.0, 2.0, 6.0], "regression", output_range=ends)
    assert task.scores(task.trivial_outputs(3), frame)["r2"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("members", [1, 4])
def test_an_output_range_is_never_left(members):
    task = task_of([1.0, 2.0, 6.0], "regression", output_range=[0.5, 7.0])
    outputs = torch.randn(500, members, 1) * 100
    values = task.decode(outputs).predictions["prediction"]
    assert values.min() >= 0.5 - 1e-9
    assert values.max() <= 7 + 1e-9
    with pytest.raises(InputError, match="output_range"):
        task_of([1.0, 9.0], "regression", output_range=[0.0, 5.0])


def test_members_are_averaged_in_probabilities_and_the_positive_class_is_last():
    task = task_of(["n", "y"])
    decoded = task.decode(torch.tensor([[[10.0], [-1.0]]]))
    expected = (1 / (1 + math.exp(-10)) + 1 / (1 + math.e)) / 2
    assert decoded.probabilities["probability_y"][0] == pytest.approx(expected)
    assert decoded.frame()["prediction"].to_list() == ["y"]


def test_monitoring_with_a_range_looks_at_the_averaged_predictions():
    task = task_of([0.0, 10.0], "regression", output_range=[0.0, 10.0])
    target = torch.zeros(1, 1)  # the mean, 5
    outputs = torch.tensor([[[50.0], [-50.0]]])  # members say 10 and 0
    assert task.monitor(outputs, target)["loss"] == pytest.approx(0, abs=1e-6)


@given(st.floats(-1e6, 1e6), st.integers(2, 5))
def test_a_constant_target_is_divided_by_one(value, rows):
    task = task_of([value] * rows, "regression")
    assert [scaling.factor for scaling in task.scalings] == [1.0]


def test_whole_number_labels_come_back_whole():
    task = task_of([10, 9, 10])
    predictions = task.decode(torch.tensor([[-1.0], [1.0]])).predictions["prediction"]
    assert predictions.tolist() == [9, 10]
    assert np.issubdtype(predictions.dtype, np.integer)


def test_labels_never_shown_are_named_and_counted_as_errors():
    task = task_of(["a", "b"])
    frame = pl.DataFrame({"y": ["a", "zebra"]})
    assert task.labels.unseen(frame["y"]) == ["zebra"]
    assert task.scores(torch.tensor([[-9.0], [-9.0]]), frame)["accuracy"] == 0.5


@pytest.mark.parametrize("name", TABLES)
def test_the_state_goes_there_and_back(name):
    frame, targets = TABLES[name]
    options = TaskSettings(name=name)
    task = fit_task(frame, targets, options)
    again = load_task(json.loads(json.dumps(task.state())), options)
    outputs = torch.randn(len(frame), task.num_outputs)
    assert again.decode(outputs).frame().equals(task.decode(outputs).frame())
    assert again.scores(outputs, frame) == task.scores(outputs, frame)
    assert torch.equal(again.encode(frame), task.encode(frame))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_state_is_an_input_error_or_a_whole_task(name, data):
    frame, targets = TABLES[name]
    state = copy.deepcopy(fit_task(frame, targets, TaskSettings(name=name)).state())
    key = data.draw(st.sampled_from(sorted(state)))
    if data.draw(st.booleans()):
        del state[key]
    else:
        state[key] = data.draw(junk)
    try:
        task = load_task(state, TaskSettings(name=name))
    except InputError:
        return
    assert task.decode(torch.zeros(2, task.num_outputs)).frame().height == 2


def test_a_loss_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        task_of(["a", "b"], loss="huber")
    with pytest.raises(InputError, match="own"):
        task_of(["a", "b"], loss="custom")


@pytest.mark.parametrize("values", [["1", "x"], [1.0, math.nan], [1.0, math.inf], ["1", None]])
def test_targets_that_are_no_numbers_are_named(values):
    with pytest.raises(InputError, match="row 2"):
        task_of(values, "regression")
