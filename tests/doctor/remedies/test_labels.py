"""Labels, order, noise, splits and leaks are mended in the source."""

from __future__ import annotations

import textwrap
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
)

from glial.doctor.evidence import TensorSeen

CLASSES = TensorSeen(shape=[32], dtype="int64", count=900, counts={"0": 600, "1": 200, "2": 100})


# -- which row labels belong to


@pytest.mark.parametrize(
    "lines",
    [
        "y_train = y_train[torch.randperm(len(y_train))]",
        "x_train = x_train[torch.randperm(len(x_train))]",
        "moved = torch.randperm(len(y_train))\ny_train = y_train[moved]",
        "np.random.shuffle(y_train)",
        "y_train = np.random.permutation(y_train)",
        "x_train = x_train[torch.randperm(9)]\ny_train = y_train[torch.randperm(9)]",
    ],
)
def test_what_moves_labels_alone_is_taken_out(lines: str) -> None:
    script = LOADER.format(lines)
    assert gone(script, after(case_of("misaligned-labels", script), "pair-labels")) == (
        lines.splitlines()
    )


@pytest.mark.parametrize(
    "lines",
    [
        "p = torch.randperm(9)\nx_train, y_train = x_train[p], y_train[p]",
        "p = torch.randperm(9)\nx_train = x_train[p]\ny_train = y_train[p]",
        "x_train, y_train = shuffle(x_train, y_train)",
        "y_train = y_train.long()",
    ],
)
def test_what_moves_both_stays(lines: str) -> None:
    assert "pair-labels" not in names(case_of("misaligned-labels", LOADER.format(lines)))


def test_labels_that_were_cut_by_another_order_are_cut_by_none() -> None:
    script = LOADER.format("p = torch.randperm(9)\nx_train, y_train = a, b[p]")
    assert "x_train, y_train = a, b" in after(case_of("misaligned-labels", script), "pair-labels")


def test_labels_of_a_batch_are_picked_as_its_inputs() -> None:
    script = (
        ROWS.format("pass").replace("i:i + 35", "rows").replace("train_y[rows]", "train_y[other]")
    )
    mended = after(case_of("misaligned-labels", script), "same-rows")
    assert "train_y[rows])" in mended
    assert len(gone(script, mended)) == 1


@pytest.mark.parametrize(
    "lines",
    [
        "wrong = torch.rand(9) < 0.4\ny_train[wrong] = y_train[torch.randperm(9)][wrong]",
        "y_train[y_train == 1] = 0",
        "y_train[::3] = torch.randint(0, 3, (3,))",
        "y_train = torch.where(torch.rand(9) < 0.2, 0, y_train)",
    ],
)
def test_what_overwrites_labels_is_taken_out(lines: str) -> None:
    script = LOADER.format(lines)
    assert gone(script, after(case_of("label-noise", script), "keep-labels")) == lines.splitlines()


def test_labels_that_are_only_cast_stay() -> None:
    script = LOADER.format("y_train = y_train.long()\nx_train[y_train == 1] = 0")
    assert "keep-labels" not in names(case_of("label-noise", script))


def test_rows_whose_neighbours_disagree_are_left_out(tmp_path: Path) -> None:
    script = LOADER.format("pass")
    case = case_of("label-noise", script, target=CLASSES)
    lines = new(script, after(case, "drop-suspects"))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    x[:30] += 9
    y = torch.tensor([0] * 30 + [1] * 30)
    wrong = torch.tensor([3, 17, 44])
    y[wrong] = 1 - y[wrong]
    held = ran(tmp_path, "\n".join(lines), torch=torch, x_train=x, y_train=y)
    assert len(held["y_train"]) == 57
    assert held["trusted"].logical_not().nonzero().flatten().tolist() == wrong.tolist()


def test_labels_are_smoothed_where_the_loss_is_made() -> None:
    script = LOADER.format("pass")
    smoothed = after(case_of("label-noise", script, target=CLASSES), "smooth-labels")
    assert new(script, smoothed) == ["loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)"]


def test_large_errors_are_bounded() -> None:
    script = LOADER.format("pass").replace("CrossEntropyLoss", "MSELoss")
    bounded = after(case_of("label-noise", script, loss="mse_loss"), "bound-errors")
    assert new(script, bounded) == ["loss_fn = nn.SmoothL1Loss()"]


# -- rare classes


def test_classes_are_weighed_by_how_rare_they_are(tmp_path: Path) -> None:
    script = LOADER.format("pass")
    weighed = after(case_of("class-imbalance", script, target=CLASSES), "weigh-classes")
    *lines, loss = new(script, weighed)
    assert loss == "loss_fn = nn.CrossEntropyLoss(weight=weight)"
    y = torch.tensor([0] * 6 + [1] * 2 + [2])
    held = ran(tmp_path, "\n".join(lines), torch=torch, y_train=y)
    assert held["weight"].tolist() == pytest.approx([9 / 18, 9 / 6, 9 / 3])


def test_one_logit_is_weighed_too(tmp_path: Path) -> None:
    script = LOADER.format("pass").replace("CrossEntropyLoss", "BCEWithLogitsLoss")
    case = case_of(
        "class-imbalance", script, loss="binary_cross_entropy_with_logits", target=CLASSES
    )
    line, loss = new(script, after(case, "weigh-classes"))
    assert loss == "loss_fn = nn.BCEWithLogitsLoss(pos_weight=weight)"
    y = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert float(ran(tmp_path, line, torch=torch, y_train=y)["weight"]) == 3


def test_weights_stand_before_the_loops_that_compute_the_loss() -> None:
    script = ROWS.format("Y = Y.long()")
    weighed = after(case_of("class-imbalance", script, target=CLASSES), "weigh-classes")
    before = weighed.index("weight = counts.sum()")
    assert weighed.index("net = Network()") < before < weighed.index("for epoch in")
    assert "cross_entropy(out, train_y[i:i + 35], weight=weight)" in weighed


def test_weights_are_counted_where_labels_are_known() -> None:
    top, inside = ROWS.format("pass").split("    X, Y = read()\n    pass\n")
    fold = "    for X, Y in folds():\n" + textwrap.indent(inside, "    ")
    script = top + fold
    weighed = after(case_of("class-imbalance", script, target=CLASSES), "weigh-classes")
    assert weighed.index("train_x, train_y, test_x =") < weighed.index("weight = counts.sum()")
    assert weighed.index("weight = counts.sum()") < weighed.index("for epoch in")


# -- order


def test_loaders_shuffle() -> None:
    script = LOADER.format("pass")
    shuffled = after(case_of("unshuffled-data", script), "shuffle")
    assert new(script, shuffled) == [
        "loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)"
    ]
    positional = CUSTOM.format("pass").replace("digits), 32)", "digits), 32, False)")
    shuffled = after(case_of("unshuffled-data", positional), "shuffle")
    assert "Rows(images, digits), 32, True)" in shuffled


def test_rows_that_are_cut_in_order_are_drawn() -> None:
    script = ROWS.format("pass").replace("i:i + 35", "rows")
    script = script.replace("for i in range(0, 700, 35)", "for rows in torch.arange(700).split(35)")
    shuffled = after(case_of("unshuffled-data", script), "shuffle")
    assert new(script, shuffled) == ["for rows in torch.randperm(700).split(35):"]


def test_arrays_are_shuffled_together_each_epoch(tmp_path: Path) -> None:
    script = ROWS.format("pass")
    lines = new(script, after(case_of("unshuffled-data", script), "shuffle"))
    x = torch.arange(20)
    held = ran(tmp_path, "\n".join(lines), torch=torch, train_x=x, train_y=x * 2)
    assert held["train_y"].tolist() == (held["train_x"] * 2).tolist()
    assert sorted(held["train_x"].tolist()) == x.tolist()
    assert held["train_x"].tolist() != x.tolist()


# -- random changes of inputs


@pytest.mark.parametrize(
    "given",
    [
        "xb + 8 * torch.randn_like(xb)",
        "torch.randn_like(xb) * 8 + xb",
        "xb * (torch.rand_like(xb) > 0.9)",
        "xb[..., torch.randperm(xb.shape[-1])]",
    ],
)
def test_a_random_change_is_taken_out(given: str) -> None:
    script = LOADER.format("pass").replace("net(xb)", f"net({given})")
    mended = after(case_of("harmful-augmentation", script), "drop-noise")
    assert mended == LOADER.format("pass")


def test_a_random_change_by_a_function_is_taken_out_of_training() -> None:
    script = LOADER.format("def jitter(x):\n    return x + torch.randn_like(x)\n\n")
    script = script.replace("net(xb)", "net(jitter(xb))")
    mended = after(case_of("harmful-augmentation", script), "drop-noise")
    assert new(script, mended) == ["loss = loss_fn(net(xb), yb)"]


def test_a_random_change_is_made_smaller() -> None:
    script = LOADER.format("pass").replace("net(xb)", "net(xb + 8 * torch.randn_like(xb))")
    mended = after(case_of("harmful-augmentation", script), "weaken-noise")
    assert new(script, mended) == ["loss = loss_fn(net(xb + 0.8 * torch.randn_like(xb)), yb)"]


# -- preparation


@pytest.mark.parametrize("line", ["x_test = x_test * 255", "x_test += 3.0", "x_test /= 2"])
def test_what_is_done_to_evaluation_rows_alone_is_taken_out(line: str) -> None:
    script = LOADER.format(line)
    mended = after(case_of("preprocessing-mismatch", script), "prepare-alike")
    assert gone(script, mended) == [line]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("x_train = x_train / 255", "x_test = x_test / 255"),
        ("x_train -= 4.9", "x_test -= 4.9"),
        (
            "x_train = (x_train - x_train.mean(0)) / x_train.std(0)",
            "x_test = (x_test - x_train.mean(0)) / x_train.std(0)",
        ),
        ("x_train = scaler.fit_transform(x_train)", "x_test = scaler.transform(x_test)"),
    ],
)
def test_what_is_done_to_training_rows_is_done_to_evaluation_rows(line: str, wanted: str) -> None:
    script = LOADER.format(line)
    mended = after(case_of("preprocessing-mismatch", script), "prepare-alike")
    assert new(script, mended) == [wanted]
    lines = [one.strip() for one in mended.splitlines()]
    assert ("fit_transform" in line) == (lines.index(wanted) > lines.index(line))


def test_a_scaler_is_fitted_once() -> None:
    script = LOADER.format(
        "x_train = scaler.fit_transform(x_train)\nx_test = scaler.fit_transform(x_test)"
    )
    mended = after(case_of("preprocessing-mismatch", script), "prepare-alike")
    assert new(script, mended) == ["x_test = scaler.transform(x_test)"]


def test_what_the_network_is_asked_is_prepared_as_what_it_is_taught() -> None:
    script = LOADER.format("pass").replace("net(xb)", "net(xb / 255)")
    mended = after(case_of("preprocessing-mismatch", script), "prepare-alike")
    assert new(script, mended) == ["print(accuracy(net(x_test / 255), y_test))"]
    script = LOADER.format("pass").replace("net(x_test)", "net(x_test * 255)")
    mended = after(case_of("preprocessing-mismatch", script), "prepare-alike")
    assert new(script, mended) == ["print(accuracy(net(x_test), y_test))"]


def test_what_picks_rows_is_no_preparation() -> None:
    assert names(case_of("preprocessing-mismatch", ROWS.format("pass"))) == []


def test_what_is_done_to_both_stays() -> None:
    script = LOADER.format("x_train = x_train / 255\nx_test = x_test / 255")
    assert names(case_of("preprocessing-mismatch", script)) == []


# -- splits and leaks


@pytest.mark.parametrize(
    "lines",
    [
        "seen = y_train != 0\nx_train, y_train = x_train[seen], y_train[seen]",
        "x_train, y_train = x_train[:24], y_train[:24]",
        "x_train = x_train[:24]\ny_train = y_train[:24]",
    ],
)
def test_rows_are_not_left_out(lines: str) -> None:
    script = LOADER.format(lines)
    assert gone(script, after(case_of("bad-split", script), "keep-rows")) == lines.splitlines()


def test_a_split_is_drawn_and_stratified() -> None:
    script = LOADER.replace("load()", "train_test_split(X, y, test_size=0.4, shuffle=False)")
    mended = after(case_of("bad-split", script.format("pass"), target=CLASSES), "split-at-random")
    assert "train_test_split(X, y, test_size=0.4, stratify=y)" in mended


def test_rows_are_shuffled_before_they_are_cut(tmp_path: Path) -> None:
    script = ROWS.format("pass")
    lines = new(script, after(case_of("bad-split", script), "split-at-random"))
    rows = torch.arange(20)
    held = ran(tmp_path, "\n".join(lines), torch=torch, X=rows, Y=rows * 2)
    assert held["Y"].tolist() == (held["X"] * 2).tolist()
    assert sorted(held["X"].tolist()) == rows.tolist()


def test_targets_among_the_inputs_are_taken_out() -> None:
    lines = "x_train[:, 0] = y_train\nx_test[:, 0] = y_train[:9]"
    script = LOADER.format(lines)
    case = case_of("leakage", script, numbers={"column": 0, "score": 1.0})
    assert gone(script, after(case, "drop-leak")) == lines.splitlines()
    assert new(script, after(case, "empty-column")) == ["x_train[:, 0] = 0", "x_test[:, 0] = 0"]


def test_copies_of_evaluation_rows_are_left_out_of_training(tmp_path: Path) -> None:
    script = LOADER.format("pass")
    case = case_of("leakage", script, numbers={"share": 0.5, "rows": 2})
    lines = new(script, after(case, "drop-copies"))
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    held = ran(
        tmp_path, "\n".join(lines), torch=torch, x_train=x, y_train=torch.arange(3), x_test=x[1:2]
    )
    assert held["y_train"].tolist() == [0, 2]


def test_what_trains_on_evaluation_rows_is_taken_out() -> None:
    line = "x_train[:9], y_train[:9] = x_test[:9], y_test[:9]"
    script = LOADER.format(line)
    case = case_of("leakage", script, numbers={"share": 0.5, "rows": 9})
    assert gone(script, after(case, "drop-leak")) == [line]
