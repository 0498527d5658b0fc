"""Inputs and targets are mended in the source: what is taken out, what is put in, and where."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tests.doctor.remedies.scripts import (
    CUSTOM,
    LOADER,
    ROWS,
    after,
    case_of,
    gone,
    names,
    new,
    ran,
    text_after,
)

from glial.doctor.evidence import TensorSeen
from glial.doctor.remedies import changes
from glial.doctor.remedies.program.arrays import Arrays

# The script, and what its training inputs, targets and evaluation inputs are called.
SPELLINGS = {
    "loader": (LOADER, "x_train", "y_train", "x_test"),
    "rows": (ROWS, "train_x", "train_y", "test_x"),
    "custom": (CUSTOM, "images", "digits", "images_val"),
}
UNEVEN = TensorSeen(
    shape=[32, 4],
    dtype="float32",
    count=128,
    mean=200.0,
    std=300.0,
    means=[0.0, 1.0, 800.0, 0.0],
    stds=[1.0, 1.0, 300.0, 1.0],
)
LARGE = TensorSeen(shape=[32, 4], dtype="float32", count=128, mean=500.0, std=300.0)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_arrays_are_found_from_the_calls(spelling: str) -> None:
    text, x, y, asked = SPELLINGS[spelling]
    arrays = Arrays(case_of("leakage", text.format("pass")))
    assert arrays.inputs is not None
    assert arrays.targets is not None
    assert arrays.inputs.name == x
    assert arrays.targets.name == y
    assert [one.name for one in arrays.asked] == [asked]


@pytest.mark.parametrize(
    ("written", "mean", "std", "expected"),
    [
        ("(0.13,), (255 * 0.31,)", 7e-6, 0.0039, "(0.13,), (0.31,)"),
        ("(0.13,), (20,)", 0.0, 0.01, "(0.13,), (0.2,)"),
        ("mean=[0.0], std=[1.0]", 120.0, 60.0, "mean=[120], std=[60]"),
    ],
)
def test_what_normalises_pictures_is_given_their_scale(
    written: str, mean: float, std: float, expected: str
) -> None:
    script = LOADER.format(f"ready = transforms.Normalize({written})")
    seen = TensorSeen(shape=[32, 1, 8, 8], dtype="float32", count=2048, mean=mean, std=std)
    scaled = after(case_of("constant-input", script, inputs=seen), "fit-normalize")
    assert f"ready = transforms.Normalize({expected})\n" in scaled


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_inputs_are_scaled_by_numbers_of_training_rows(spelling: str) -> None:
    text, x, _, asked = SPELLINGS[spelling]
    script = text.format("pass")
    scaled = after(case_of("unscaled-input", script, inputs=UNEVEN), "scale-columns")
    assert gone(script, scaled) == []
    assert new(script, scaled) == [
        f"mean, std = {x}.mean(0), {x}.std(0)",
        "std[std == 0] = 1",
        f"{x} = ({x} - mean) / std",
        f"{asked} = ({asked} - mean) / std",
    ]
    even = after(case_of("unscaled-input", script, inputs=LARGE), "scale-inputs")
    assert new(script, even)[0] == f"mean, std = {x}.mean(), {x}.std()"


def test_scaled_rows_have_mean_0_and_deviation_1(tmp_path: Path) -> None:
    scaled = after(case_of("unscaled-input", LOADER.format("pass"), inputs=UNEVEN), "scale-columns")
    rows = torch.tensor([[1.0, 700.0, 3.0, 5.0], [2.0, 900.0, 3.0, 1.0], [4.0, 100.0, 3.0, 0.0]])
    held = ran(tmp_path, scaled.split("net = ")[0], load=lambda: (rows, rows[:1], None, None))
    x = held["x_train"]
    assert torch.allclose(x.mean(0), torch.zeros(4), atol=1e-6)
    assert torch.allclose(x.std(0), torch.tensor([1.0, 1.0, 0.0, 1.0]))
    assert torch.equal(held["x_test"], x[:1])


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("x_train = x_train * 1000\nx_test = x_test * 1000", ""),
        ("x_train *= 1000\nx_test *= 1000", ""),
        ("x_train, x_test = x_train * 1000, 1000 * x_test", ""),
        (
            "x_train = torch.tensor(a * 1000)\nx_test = torch.tensor(b * 1000)",
            "x_train = torch.tensor(a)\nx_test = torch.tensor(b)",
        ),
        ("x_train[:, 2] = x_train[:, 2] * 1000\nx_test[:, 2] = x_test[:, 2] * 1000", ""),
    ],
)
def test_a_factor_is_taken_out_of_all_arrays(lines: str, left: str) -> None:
    case = case_of("unscaled-input", LOADER.format(lines), inputs=UNEVEN)
    wanted = LOADER.format(left).replace("load()\n\nnet", "load()\nnet")
    assert after(case, "drop-factor") == wanted


def test_a_factor_that_scales_rightly_stays() -> None:
    small = TensorSeen(shape=[32, 4], dtype="float32", count=128, mean=0.5, std=0.3)
    case = case_of("unscaled-input", LOADER.format("x_train = x_train / 255"), inputs=small)
    assert "drop-factor" not in names(case)


def test_data_that_are_made_up_keep_their_factors() -> None:
    lines = "area = torch.rand(9, 1) * 2000\nx_train = torch.cat([area, area], 1)"
    case = case_of("unscaled-input", LOADER.format(lines), inputs=LARGE)
    assert "drop-factor" not in names(case)


def test_what_is_divided_twice_is_divided_once() -> None:
    tiny = TensorSeen(shape=[32, 4], dtype="float32", count=128, mean=0.002, std=0.0012)
    script = LOADER.format("x_train = x_train / 255\nx_test = x_test / 255")
    once = after(case_of("constant-input", script, inputs=tiny), "drop-factor")
    assert gone(script, once) == ["x_train = x_train / 255", "x_test = x_test / 255"]


def test_inputs_that_have_no_name_are_scaled_by_the_network() -> None:
    script = LOADER.format("pass").replace("TensorDataset(x_train, y_train)", "Unknown()")
    script = script.replace("net(x_test)", "net(next(stream))")
    by_columns = after(case_of("unscaled-input", script, inputs=UNEVEN), "normalise-first")
    assert new(script, by_columns) == ["net = nn.Sequential(nn.BatchNorm1d(4, affine=False), net)"]
    first = after(case_of("unscaled-input", script, inputs=LARGE), "scale-first")
    assert "lambda module, inputs: ((inputs[0] - 500) / 300, *inputs[1:])" in new(script, first)


def test_targets_that_are_the_inputs_are_not_scaled() -> None:
    script = LOADER.format("pass").replace("for xb, yb in", "for xb in")
    script = script.replace("TensorDataset(x_train, y_train)", "x_train").replace(
        "), yb)", "), xb)"
    )
    assert "scale-inputs" not in names(case_of("unscaled-input", script, inputs=LARGE))


AMOUNTS = TensorSeen(shape=[32, 1], dtype="float32", count=128, mean=5000.0, std=1000.0)


def test_targets_are_scaled_and_answers_keep_their_units() -> None:
    script = LOADER.format("pass").replace("CrossEntropyLoss", "MSELoss")
    case = case_of("unscaled-target", script, target=AMOUNTS, loss="mse_loss")
    (change,) = changes(case)
    assert change.alters_loss
    assert new(script, text_after(case, change)) == [
        "target_mean, target_std = y_train.mean(), y_train.std()",
        "net.register_forward_hook("
        "lambda module, inputs, output: output * target_std + target_mean)",
        "loss = loss_fn(net(xb) / target_std, yb / target_std)",
    ]


TOOLS = """
from torch.utils.data import DataLoader, TensorDataset


def step(net):
    with torch.no_grad():
        for parameter in net.parameters():
            parameter -= 0.1 * parameter.grad
            parameter.grad = None


def accuracy(answers, targets):
    return ""


torch.manual_seed(0)
"""


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("mse_loss", "loss_fn(net(xb), yb)"),
        ("hand-written", "((net(xb) - yb) ** 2).mean()"),
    ],
)
def test_scaled_targets_give_the_steps_of_standardised_ones(
    name: str, loss: str, tmp_path: Path
) -> None:
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    y = 5000 + 1000 * x.sum(1, keepdim=True)
    script = LOADER.format(TOOLS).replace("CrossEntropyLoss", "MSELoss").replace("8, 3)", "8, 1)")
    script = script.replace("32)", "64)").replace("range(9)", "range(3)")
    script = script.replace("loss.backward()", "loss.backward(); step(net)")
    script = script.replace("loss_fn(net(xb), yb)", loss)
    scaled = after(case_of("unscaled-target", script, target=AMOUNTS, loss=name), "scale-targets")

    def answers(text: str, targets: torch.Tensor) -> torch.Tensor:
        given: torch.Tensor = ran(tmp_path, text, load=lambda: (x, x, targets, targets))["net"](x)
        return given.detach()

    plain = answers(script, (y - y.mean()) / y.std())
    assert plain.std() > 0.1
    assert torch.allclose(answers(scaled, y), plain * y.std() + y.mean(), rtol=1e-4)


@pytest.mark.parametrize(
    "line", ["x_train[7, 0] = float('nan')", "x_train[torch.rand(x_train.shape) < 0.1] = -999.0"]
)
def test_what_makes_values_missing_is_taken_out(line: str) -> None:
    script = LOADER.format(line)
    assert gone(script, after(case_of("missing-values", script, where="net"), "keep-values")) == [
        line.split("  # ")[0]
    ]


def test_numbers_that_stand_for_nothing_are_no_scale() -> None:
    line = "x_train[torch.rand(x_train.shape) < 0.1] = -999.0"
    case = case_of("unscaled-input", LOADER.format(line), inputs=LARGE)
    assert names(case)[0] == "keep-values"


def test_rows_with_missing_values_are_left_out() -> None:
    inputs = TensorSeen(shape=[32, 4], dtype="float32", count=128, not_finite=0.001)
    script = LOADER.format("pass")
    case = case_of("missing-values", script, inputs=inputs, where="net")
    assert new(script, after(case, "drop-missing")) == [
        "known = torch.isfinite(x_train).all(1)",
        "x_train, y_train = x_train[known], y_train[known]",
    ]


def test_missing_values_are_filled_with_the_training_median(tmp_path: Path) -> None:
    script = LOADER.format("pass")
    case = case_of("missing-values", script, numbers={"stand_in": -999.0})
    lines = new(script, after(case, "fill-missing"))
    assert lines == [
        "median = x_train.masked_fill(x_train == -999, torch.nan).nanmedian(0).values",
        "x_train = torch.where(x_train == -999, median, x_train)",
        "x_test = torch.where(x_test == -999, median, x_test)",
    ]
    rows = torch.tensor([[1.0, -999.0], [2.0, 4.0], [9.0, 5.0]])
    held = ran(tmp_path, "\n".join(lines), torch=torch, x_train=rows, x_test=rows)
    assert held["x_test"].tolist() == [[1.0, 4.0], [2.0, 4.0], [9.0, 5.0]]


def test_logarithms_are_taken_of_sizes(tmp_path: Path) -> None:
    script = LOADER.format("x_train, x_test = torch.log(x_train), x_test.log()")
    lost = TensorSeen(shape=[32, 4], dtype="float32", count=128, not_finite=0.3)
    case = case_of("missing-values", script, where="net", inputs=lost)
    guarded = after(case, "guard-logarithm")
    assert new(script, after(case, "drop-logarithm")) == []
    (line,) = new(script, guarded)
    x = torch.tensor([0.0, -math.e + 1])
    held = ran(tmp_path, line, torch=torch, x_train=x, x_test=x)
    assert held["x_train"].tolist() == pytest.approx([0.0, -1.0])
    assert held["x_test"].tolist() == pytest.approx([0.0, -1.0])


def test_rows_that_lose_the_loss_are_left_out_where_none_was_seen(tmp_path: Path) -> None:
    script = LOADER.format("pass")
    target = TensorSeen(shape=[32], dtype="float32", count=32)
    case = case_of("loss-not-finite", script, target=target)
    assert "fill-missing" not in names(case)
    lines = new(script, after(case, "drop-missing"))
    x = torch.tensor([[1.0, 2.0], [math.nan, 1.0], [3.0, 4.0], [5.0, 6.0]])
    y = torch.tensor([1.0, 2.0, math.inf, 4.0])
    held = ran(tmp_path, "\n".join(lines), torch=torch, x_train=x, y_train=y)
    assert held["y_train"].tolist() == [1.0, 4.0]


def test_numbers_that_were_lost_in_the_data_are_kept_there() -> None:
    script = LOADER.format("x_train[7, 0] = float('nan')")
    assert names(case_of("loss-not-finite", script))[0] == "keep-values"
    known = {"mean": 0.5, "min": -1.0, "max": 2.0}
    lost = TensorSeen(shape=[32, 4], dtype="float32", count=128, not_finite=0.01, **known)
    assert "fill-first" in names(case_of("loss-not-finite", script, inputs=lost))


def test_losses_that_are_no_distances_keep_their_targets() -> None:
    script = LOADER.format("pass").replace("CrossEntropyLoss", "PoissonNLLLoss")
    case = case_of("unscaled-target", script, target=AMOUNTS, loss="poisson_nll_loss")
    assert names(case) == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (
            "x = torch.from_numpy(images).reshape(-1, 3, 16, 20)",
            "x = torch.from_numpy(images).reshape(-1, 16, 20, 3).permute(0, 3, 1, 2)",
        ),
        (
            "x = images.view(-1, 3, 16, 20)",
            "x = images.reshape(-1, 16, 20, 3).permute(0, 3, 1, 2)",
        ),
        (
            "x = images.reshape(len(images), 3, height, width)",
            "x = images.reshape(len(images), height, width, 3).transpose(0, 3, 1, 2)",
        ),
    ],
)
def test_images_that_a_reshape_scattered_are_permuted(wrong: str, right: str) -> None:
    script = LOADER.format(wrong)
    numbers = {"channels": 3, "height": 16, "width": 20, "roughness_with_channels_last": 0.4}
    mended = after(case_of("wrong-layout", script, numbers=numbers), "channels-first")
    assert new(script, mended) == [right]
    other = case_of("wrong-layout", LOADER.format("x = a.view(-1, 1, 16, 20)"), numbers=numbers)
    assert names(other) == []


def test_channels_are_moved_to_the_front_wherever_the_network_is_called() -> None:
    script = LOADER.format("pass")
    lines = new(script, after(case_of("wrong-layout", script), "channels-first"))
    assert lines == [
        "loss = loss_fn(net(xb.permute(0, 3, 1, 2)), yb)",
        "print(accuracy(net(x_test.permute(0, 3, 1, 2)), y_test))",
    ]


def test_what_is_rebuilt_is_compared_as_it_was_given() -> None:
    script = LOADER.format("pass").replace("(net(xb), yb)", "(net(xb), xb * 16)")
    assert "(net(xb), xb * 16)" in script
    case = case_of("unscaled-target", script)
    assert "(net(xb), xb)" in after(case, "rebuild-as-given")
    assert "rebuild-as-given" not in names(case_of("unscaled-target", LOADER.format("pass")))


def test_targets_are_found_of_a_loss_that_is_known_by_its_gradient() -> None:
    script = LOADER.format("y_train[3] = float('nan')").replace(
        "loss = loss_fn(net(xb), yb)  # learns  # loss\n        loss.backward()",
        "loss = ((net(xb) - yb) ** 2).mean()  # learns\n        loss.backward()  # loss",
    )
    assert "loss.backward()  # loss" in script
    case = case_of("missing-values", script)
    assert Arrays(case).targets is not None
    assert gone(script, after(case, "keep-values")) == ["y_train[3] = float('nan')"]
