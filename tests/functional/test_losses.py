"""Losses against hand values, torch, scikit-learn and finite differences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from torch.nn import functional as F

from glial.functional import (
    binary_cross_entropy,
    cross_entropy,
    focal,
    half_squared_error,
    huber,
    mean_absolute_error,
    mean_squared_error,
    reduce,
)

SEEDS = st.integers(0, 2**31 - 1)
REGRESSION = [half_squared_error, mean_squared_error, mean_absolute_error, huber]


def regression_data(seed, rows=7, outputs=2):
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, outputs)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


def class_data(seed, rows=7, labels=4):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, labels, generator=generator, dtype=torch.float64)
    return logits, torch.randint(labels, (rows,), generator=generator)


def test_half_squared_error_by_hand_and_its_derivative():
    outputs = torch.tensor([3.0, -1.0], requires_grad=True)
    target = torch.tensor([1.0, 2.0])
    loss = half_squared_error(outputs, target, reduction="sum")
    assert loss.item() == 0.5 * 4 + 0.5 * 9
    loss.backward()
    assert outputs.grad.tolist() == (outputs.detach() - target).tolist()


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_regression_losses_agree_with_scikit_learn_and_torch(seed):
    outputs, target = regression_data(seed)
    weight = torch.rand(7, dtype=torch.float64) + 0.1
    w = weight.numpy()
    mse = metrics.mean_squared_error(target, outputs, sample_weight=w)
    assert mean_squared_error(outputs, target, weight=weight).item() == pytest.approx(mse)
    assert half_squared_error(outputs, target, weight=weight).item() == pytest.approx(mse / 2)
    mae = metrics.mean_absolute_error(target, outputs, sample_weight=w)
    assert mean_absolute_error(outputs, target, weight=weight).item() == pytest.approx(mae)
    assert huber(outputs, target, delta=0.7).item() == pytest.approx(
        F.huber_loss(outputs, target, delta=0.7).item()
    )


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_cross_entropies_agree_with_scikit_learn(seed):
    logits, target = class_data(seed)
    weight = torch.rand(7, dtype=torch.float64) + 0.1
    expected = metrics.log_loss(
        target, logits.softmax(1), labels=range(4), sample_weight=weight.numpy()
    )
    assert cross_entropy(logits, target, weight=weight).item() == pytest.approx(expected)
    labels = (target > 1).long()
    expected = metrics.log_loss(
        labels, logits[:, 0].sigmoid(), labels=[0, 1], sample_weight=weight.numpy()
    )
    found = binary_cross_entropy(logits[:, 0], labels, weight=weight)
    assert found.item() == pytest.approx(expected)


def test_weights_by_class_and_smoothing_agree_with_torch():
    logits, target = class_data(0)
    class_weight = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    for name in ("mean", "sum", "none"):
        found = cross_entropy(logits, target, class_weight=class_weight, reduction=name)
        expected = F.cross_entropy(logits, target, weight=class_weight, reduction=name)
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        cross_entropy(logits, target, label_smoothing=0.2),
        F.cross_entropy(logits, target, label_smoothing=0.2),
    )


def test_weights_of_rows_and_classes_multiply():
    logits, target = class_data(1)
    class_weight = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    rows = torch.rand(7, dtype=torch.float64)
    found = cross_entropy(logits, target, weight=rows, class_weight=class_weight)
    both = rows * class_weight[target]
    losses = F.cross_entropy(logits, target, reduction="none")
    assert found.item() == pytest.approx(((losses * both).sum() / both.sum()).item())


def test_binary_class_weights_are_two_class_cross_entropys():
    logits, target = class_data(2, labels=2)
    margin, weights = logits[:, 1] - logits[:, 0], torch.tensor([0.3, 2.0], dtype=torch.float64)
    rows = torch.rand(7, dtype=torch.float64)
    torch.testing.assert_close(
        binary_cross_entropy(margin, target, class_weight=weights, weight=rows),
        cross_entropy(logits, target, class_weight=weights, weight=rows),
    )


@pytest.mark.parametrize("loss", REGRESSION)
def test_a_row_of_weight_two_is_two_rows(loss):
    outputs, target = regression_data(3)
    weight = torch.tensor([2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    rows = [0, 0, 2, 3, 4, 5, 6]
    torch.testing.assert_close(
        loss(outputs, target, weight=weight), loss(outputs[rows], target[rows])
    )
    torch.testing.assert_close(
        loss(outputs, target, weight=weight), loss(outputs, target, weight=9 * weight)
    )


@pytest.mark.parametrize("loss", [*REGRESSION, binary_cross_entropy])
def test_bounds_and_order_of_rows(loss):
    outputs, target = regression_data(4)
    target = target.sigmoid()
    value = loss(outputs, target)
    assert value >= 0
    order = torch.randperm(7)
    torch.testing.assert_close(loss(outputs[order], target[order]), value)


def test_regression_losses_are_zero_at_the_target():
    _, target = regression_data(5)
    assert [loss(target, target).item() for loss in REGRESSION] == [0.0] * 4


def test_no_weight_at_all_is_zero_not_nan():
    assert reduce(torch.ones(2), torch.zeros(2)).item() == 0


def test_cross_entropy_tends_to_zero_as_the_true_class_gets_certain():
    values = [
        cross_entropy(torch.tensor([[size, 0.0]]), torch.tensor([0])).item()
        for size in (0.0, 2.0, 10.0, 100.0)
    ]
    assert values[0] == pytest.approx(math.log(2))
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0


def test_focal_without_gamma_is_cross_entropy():
    logits, target = class_data(6)
    torch.testing.assert_close(focal(logits, target, gamma=0.0), cross_entropy(logits, target))
    labels = (target > 1).long()
    torch.testing.assert_close(
        focal(logits[:, 0], labels, gamma=0.0), binary_cross_entropy(logits[:, 0], labels)
    )


def test_focal_by_hand_and_the_binary_form_as_two_classes():
    loss = focal(torch.tensor([math.log(3.0)]), torch.tensor([1]), gamma=2.0)
    assert loss.item() == pytest.approx(0.25**2 * -math.log(0.75), rel=1e-5)
    logits, target = class_data(7, labels=2)
    torch.testing.assert_close(
        focal(logits[:, 1] - logits[:, 0], target, gamma=1.5), focal(logits, target, gamma=1.5)
    )


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_has_a_finite_gradient_where_the_row_is_certain(gamma):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    focal(logits, torch.tensor([0, 0]), gamma=gamma).backward()
    assert torch.isfinite(logits.grad).all()


def test_sigmoid_with_cross_entropy_learns_from_a_confident_error_and_squared_error_does_not():
    logit = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    target = torch.ones(1, dtype=torch.float64)
    (slope,) = torch.autograd.grad(binary_cross_entropy(logit, target), logit)
    assert slope.item() == pytest.approx(torch.sigmoid(logit).item() - 1)
    (slope,) = torch.autograd.grad(half_squared_error(logit.sigmoid(), target), logit)
    assert abs(slope.item()) < 1e-8


def test_gradients_agree_with_finite_differences():
    outputs, target = regression_data(8)
    outputs.requires_grad_()
    for loss in REGRESSION:
        assert torch.autograd.gradcheck(lambda o, f=loss: f(o, target), outputs, fast_mode=True)
    soft = target.sigmoid()
    assert torch.autograd.gradcheck(
        lambda o: binary_cross_entropy(o, soft), outputs, fast_mode=True
    )
    logits, labels = class_data(9)
    logits.requires_grad_()
    for loss in (cross_entropy, focal):
        assert torch.autograd.gradcheck(lambda o, f=loss: f(o, labels), logits, fast_mode=True)


def test_reduction_none_keeps_the_shape():
    outputs, target = regression_data(10)
    weight = torch.rand(7, dtype=torch.float64)
    values = mean_squared_error(outputs, target, weight=weight, reduction="none")
    torch.testing.assert_close(values, (outputs - target) ** 2 * weight[:, None])
