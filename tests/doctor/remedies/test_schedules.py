"""Schedules, epochs, batches, penalties and players are mended in the source."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.seen import (
    case_of,
    lines_changed,
    network,
    optimizer_in,
    place,
    proposed,
)

from glial.doctor.evidence import LayerSeen, LoaderSeen, LossSeen, PlayersSeen, Series

MADE = "o = SGD(net.parameters(), lr=0.1)\n"
EPOCHS = [
    ("for e in range(2):\n    for x in d:\n        o.step()\n", "for e in range(6):"),
    ("for e in tqdm(range(2)):\n    for x in d: o.step()\n", "for e in tqdm(range(6)):"),
    ("n = 2\nfor e in range(n):\n    o.step()\n", "n = 6"),
    ("for e in range(1, n + 1):\n    o.step()\n", "for e in range(1, (n + 1) * 3):"),
    ("for e in range(len(s)):\n    o.step()\n", "for e in range(len(s) * 3):"),
    (
        "p.add_argument('--epochs', default=2)\nfor e in range(a.epochs):\n    o.step()\n",
        "p.add_argument('--epochs', default=6)",
    ),
    (
        "def one():\n    for x in d:\n        o.step()\nfor e in range(2): one()\n",
        "for e in range(6): one()",
    ),
    ("t = L.Trainer(max_epochs=2)\nt.fit(o.step())\n", "t = L.Trainer(max_epochs=6)"),
]


@pytest.mark.parametrize(("loop", "line"), EPOCHS)
def test_a_training_becomes_three_times_as_long(loop: str, line: str) -> None:
    text = MADE + loop
    case = case_of(
        text,
        "undertrained",
        optimizer_in(text, made_at="SGD(", at="o.step()"),
        evidence={"skill": 0.5},
    )
    assert lines_changed(text, proposed(case)["more-epochs"]) == [line]


def test_a_training_that_has_hardly_begun_becomes_much_longer() -> None:
    text = MADE + "for e in range(2):\n    o.step()\n"
    case = case_of(
        text, "undertrained", optimizer_in(text, made_at="SGD("), evidence={"skill": 0.02}
    )
    assert "for e in range(60):" in proposed(case)["many-more-epochs"]


def scheduled(made: str, loop: str) -> dict[str, str]:
    text = MADE + made + loop
    seen = optimizer_in(text, made_at="SGD(", at="o.step()", scheduler_at="s =", steps=200)
    return proposed(case_of(text, "schedule-collapse", seen))


def test_a_schedule_is_stepped_once_an_epoch() -> None:
    made = "s = torch.optim.lr_scheduler.StepLR(o, step_size=10, gamma=0.1)\n"
    loop = "for e in range(20):\n    for x in d:\n        o.step()\n        s.step()\n"
    found = scheduled(made, loop)
    assert [*found] == ["schedule-per-epoch", "whole-schedule", "constant-rate"]
    assert found["schedule-per-epoch"].endswith("        o.step()\n    s.step()\n")
    assert "s = torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=200)" in found["whole-schedule"]
    assert "s = torch.optim.lr_scheduler.ConstantLR(o, factor=1.0)" in found["constant-rate"]


def test_a_schedule_that_a_function_steps_is_stepped_where_it_is_called() -> None:
    made = "s = StepLR(o, step_size=10, gamma=0.1)\n"
    function = "def train(d, s):\n    for x in d:\n        o.step()\n        s.step()\n"
    epochs = "for e in range(20):\n    train(d, s)\n    test()\n"
    found = scheduled(made, function + epochs)
    assert found["schedule-per-epoch"].endswith("    train(d, s)\n    s.step()\n    test()\n")
    assert "        o.step()\nfor e" in found["schedule-per-epoch"]
    assert "schedule-per-epoch" not in scheduled(made, function)  # nobody calls it


def test_a_schedule_that_would_still_leave_nothing_is_replaced() -> None:
    made = "from torch.optim.lr_scheduler import ExponentialLR\ns = ExponentialLR(o, gamma=0.5)\n"
    loop = "for e in range(20):\n    for x in d:\n        o.step()\n    s.step()\n"
    found = scheduled(made, loop)
    assert "schedule-per-epoch" not in found
    assert "s = torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=20)" in found["whole-schedule"]


def test_a_warm_up_longer_than_the_training_is_shortened() -> None:
    text = "a = TrainingArguments(warmup_steps=100_000)\nTrainer(a).train()\n"
    seen = optimizer_in(text, "AdamW", at="train()", steps=300)
    found = proposed(case_of(text, "schedule-collapse", seen))
    assert "warmup_steps=30)" in found["shorter-warm-up"]


def test_a_schedule_that_keeps_the_rate_down_goes_before_the_rate_rises() -> None:
    text = MADE + "s = LambdaLR(o, slowly)\nfor e in range(9):\n    o.step()\n    s.step()\n"
    seen = optimizer_in(
        text,
        made_at="SGD(",
        at="o.step()",
        scheduler_at="s =",
        rates=Series([1, 9], [0.0, 1e-6]),
        settings={"initial_lr": 0.1},
    )
    found = proposed(case_of(text, "learning-rate-too-low", seen))
    assert [*found][:2] == ["whole-schedule", "constant-rate"]


def test_the_training_stops_where_the_evaluation_was_best() -> None:
    text = MADE + "for e in range(100):\n    o.step()\n"
    case = case_of(text, "overfitting", optimizer_in(text, made_at="SGD(", steps=1000))
    object.__setattr__(case.finding, "since_step", 230)
    assert "range(23)" in proposed(case)["stop-at-best"]


@pytest.mark.parametrize(
    "text",
    [
        "d = DataLoader(s, batch_size=2)\n",
        "d = DataLoader(s, 2)\n",
        "batch_size = 2\nd = DataLoader(s, batch_size)\n",
        "t = TrainingArguments(per_device_train_batch_size=2)\nDataLoader\n",
        "for i in torch.randperm(9).split(2): DataLoader\n",
    ],
)
def test_batches_become_larger(text: str) -> None:
    case = case_of(
        text,
        "batch-size-unsuitable",
        evidence={"rows": 2},
        at="DataLoader",
        loaders=[LoaderSeen("d", at=place(text, "DataLoader"), training=True)],
    )
    changed = proposed(case)["usual-batches"]
    assert changed == text.replace("=2", "=32").replace("= 2", "= 32").replace(
        "s, 2)", "s, 32)"
    ).replace("split(2)", "split(32)")


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("l = nn.Dropout(0.97)\n", "Dropout", "l = nn.Dropout(0.2)"),
        ("l = nn.Dropout(p=0.97)\n", "Dropout", "l = nn.Dropout(p=0.2)"),
        ("p = 0.97\nl = nn.Dropout(p)\n", "Dropout", "p = 0.2"),
        (
            "x = F.dropout(l, 0.97, self.training)\n",
            "dropout",
            "x = F.dropout(l, 0.2, self.training)",
        ),
    ],
)
def test_dropout_is_lowered(text: str, kind: str, line: str) -> None:
    layer = LayerSeen("0", kind, settings={"p": 0.97}, at=place(text, "ropout("))
    case = case_of(text, "over-regularised", models=[network(layer)], evidence={"p": 0.97})
    assert lines_changed(text, proposed(case)["less-dropout"]) == [line]


def test_decay_is_lowered() -> None:
    text = "o = AdamW(net.parameters(), weight_decay=2.0)\n"
    case = case_of(
        text,
        "over-regularised",
        optimizer_in(text, "AdamW", made_at="AdamW"),
        evidence={"weight_decay": 2.0},
    )
    assert "weight_decay=0.01)" in proposed(case)["less-decay"]


@pytest.mark.parametrize(
    ("text", "weight", "line"),
    [
        ("loss = f(x, y) + 100 * penalty\n", 100.0, "loss = f(x, y) + 0.5 * penalty"),
        ("lam = 100\nloss = f(x, y) + lam * penalty\n", 100.0, "lam = 0.5"),
        ("loss = f(x, y) + penalty\n", 1.0, "loss = f(x, y) + 0.005 * penalty"),
        ("loss += sum(w)\n", float("nan"), "loss += 0.005 * sum(w)"),
    ],
)
def test_what_is_added_is_weighed_by_what_it_was_beside_the_loss(
    text: str, weight: float, line: str
) -> None:
    loss = LossSeen(
        "mse_loss",
        added_at=place(text, "loss "),
        added_weight=weight,
        value=Series([1, 2], [30.0, 20.0]),
        own=Series([1, 2], [10.0, 9.0]),
    )
    case = case_of(
        text,
        "over-regularised",
        losses=[loss],
        evidence={"weight_of_what_is_added": weight},
        at="loss ",
    )
    assert lines_changed(text, proposed(case)["lighter-penalty"]) == [line]


def test_smoothing_is_lowered() -> None:
    text = "ce = CrossEntropyLoss(label_smoothing=0.95)\n"
    loss = LossSeen("cross_entropy", made_at=place(text, "ce ="))
    case = case_of(
        text, "over-regularised", losses=[loss], evidence={"label_smoothing": 0.95}, at="ce ="
    )
    assert "label_smoothing=0.1)" in proposed(case)["less-smoothing"]


def test_players_get_the_same_rate() -> None:
    text = "g = Adam(G.parameters(), lr=1e-6)\nd = Adam(D.parameters(), lr=0.002)\n"
    maker = optimizer_in(text, "Adam", made_at="g =", lr=1e-6, model="G")
    judge = optimizer_in(text, "Adam", made_at="d =", lr=0.002, model="D")
    judge.name, maker.at, judge.at = "d", place(text, "g ="), place(text, "d =")
    case = case_of(
        text,
        "players-unbalanced",
        maker,
        judge,
        at="g =",
        evidence={"ratio_of_rates": 5e-4},
        players=[PlayersSeen("G", "D")],
    )
    found = proposed(case)
    assert found["balanced-rates"] == text.replace("1e-6", "0.001")
    assert found["others-rate"] == text.replace("0.002", "1e-6")
