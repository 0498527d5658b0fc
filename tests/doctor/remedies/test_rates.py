"""The step is mended in the source, however somebody spells the rate."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.seen import (
    case_of,
    lines_changed,
    network,
    optimizer_in,
    proposed,
    stride,
)

from glial.doctor.evidence import Series
from glial.doctor.remedies.program.numbers import tidy, written

HIGH = "learning-rate-too-high"
# What is written, how the line is known again, and what a tenth of the rate looks like there.
SPELLINGS = [
    (
        "o = torch.optim.SGD(net.parameters(), lr=0.5)",
        "SGD",
        "o = torch.optim.SGD(net.parameters(), lr=0.05)",
    ),
    ("o = SGD(net.parameters(), 0.5)", "SGD", "o = SGD(net.parameters(), 0.05)"),
    (
        "o = SGD(net.parameters(), 5 * 1e-1, momentum=0.9)",
        "SGD",
        "o = SGD(net.parameters(), 0.05, momentum=0.9)",
    ),
    (
        "make = lambda p: optim.SGD(p, lr=0.5)\no = make(net.parameters())",
        "lambda",
        "make = lambda p: optim.SGD(p, lr=0.05)",
    ),
    ("lr = 0.5\no = SGD(net.parameters(), lr=lr)", "SGD(", "lr = 0.05"),
    ("lr, epochs = 0.5, 3\no = SGD(net.parameters(), lr=lr)", "SGD(", "lr, epochs = 0.05, 3"),
    ("LR: float = .5\no = SGD(net.parameters(), lr=LR)", "SGD(", "LR: float = 0.05"),
    (
        "config = {'lr': 0.5}\no = SGD(net.parameters(), lr=config['lr'])",
        "SGD(",
        "config = {'lr': 0.05}",
    ),
    (
        "config = dict(lr=0.5)\no = SGD(net.parameters(), **config)",
        "SGD(",
        "config = dict(lr=0.05)",
    ),
    (
        "p.add_argument('--lr', default=0.5)\na = p.x()\no = SGD(net.parameters(), lr=a.lr)",
        "SGD(",
        "p.add_argument('--lr', default=0.05)",
    ),
    (
        "p.add_argument('--lr', default=0.1)\na = p.x()\no = SGD(net.parameters(), lr=a.lr)",
        "SGD(",
        "o = SGD(net.parameters(), lr=a.lr / 10)",
    ),
    (
        "def train(net, lr=0.5):\n    o = SGD(net.parameters(), lr=lr)\n    return o",
        "SGD(",
        "def train(net, lr=0.05):",
    ),
    (
        "def train(net, lr=0.1):\n    o = SGD(net.parameters(), lr=lr)\ntrain(n, lr=0.5)",
        "SGD(",
        "train(n, lr=0.05)",
    ),
    (
        "o = SGD(net.parameters(), lr=base * scale)",
        "SGD(",
        "o = SGD(net.parameters(), lr=(base * scale) / 10)",
    ),
    (
        "o = SGD(net.parameters(), lr=10 ** -x)",
        "SGD(",
        "o = SGD(net.parameters(), lr=(10 ** -x) / 10)",
    ),
    (
        "if x: o = SGD(net.parameters(), lr=0.5); y = 1",
        "SGD(",
        "if x: o = SGD(net.parameters(), lr=0.05); y = 1",
    ),
    (
        "o = SGD([{'params': a, 'lr': 0.5}, {'params': b, 'lr': 0.2}], momentum=0.9)",
        "SGD(",
        "o = SGD([{'params': a, 'lr': 0.05}, {'params': b, 'lr': 0.02}], momentum=0.9)",
    ),
    (
        "o = getattr(torch.optim, name)(net.parameters(), lr=0.5)",
        "getattr",
        "o = getattr(torch.optim, name)(net.parameters(), lr=0.05)",
    ),
    ("o = partial(SGD, lr=0.5)\no = o(net.parameters())", "o(net", "o = partial(SGD, lr=0.05)"),
    (
        "n = NeuralNetClassifier(Net, optimizer=torch.optim.SGD, lr=0.5)\nn.fit(x, y)",
        "fit",
        "n = NeuralNetClassifier(Net, optimizer=torch.optim.SGD, lr=0.05)",
    ),
    (
        "t = TrainingArguments(learning_rate=0.5)\nTrainer(net, t).train()",
        ".train()",
        "t = TrainingArguments(learning_rate=0.05)",
    ),
]


@pytest.mark.parametrize(("text", "made_at", "line"), SPELLINGS)
def test_a_rate_is_divided_by_ten_where_it_is_written(text: str, made_at: str, line: str) -> None:
    case = case_of(text, HIGH, optimizer_in(text, made_at=made_at, lr=0.5))
    assert lines_changed(text, proposed(case)["lower-rate"]) == [line.strip()]


def test_a_rate_that_is_not_given_is_given() -> None:
    text = "o = torch.optim.Adam(net.parameters(), weight_decay=0.1)\n"
    case = case_of(text, HIGH, optimizer_in(text, "Adam", made_at="Adam", lr=1e-3))
    assert "weight_decay=0.1, lr=1e-4)" in proposed(case)["lower-rate"]


def test_the_peak_of_a_schedule_is_lowered_in_place_of_what_it_ignores() -> None:
    text = (
        "o = Adam(net.parameters(), lr=9)\n"
        "s = torch.optim.lr_scheduler.OneCycleLR(o, max_lr=5.0, total_steps=300)\n"
    )
    seen = optimizer_in(
        text, "Adam", made_at="Adam", scheduler_at="OneCycle", lr=0.2, rates=Series([1], [5.0])
    )
    assert lines_changed(text, proposed(case_of(text, HIGH, seen))["lower-rate"]) == [
        "s = torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.5, total_steps=300)"
    ]


def test_lightning_s_rate_is_lowered_where_the_module_is_made() -> None:
    text = (
        "class Lit(L.LightningModule):\n"
        "    def __init__(self, lr=0.003):\n"
        "        self.lr = lr\n"
        "    def configure_optimizers(self):\n"
        "        return torch.optim.SGD(self.parameters(), lr=self.lr)\n"
        "model = Lit(lr=30.0)\n"
    )
    case = case_of(text, HIGH, optimizer_in(text, made_at="SGD(", lr=30.0))
    found = proposed(case)
    assert lines_changed(text, found["lower-rate"]) == ["model = Lit(lr=3)"]
    assert lines_changed(text, found["adam"]) == [
        "return torch.optim.Adam(self.parameters(), lr=0.001)"
    ]


def test_the_rate_of_a_loop_s_own_update_is_known_by_what_it_did() -> None:
    text = "lr = 30.0\nfor x in data:\n    w.data -= lr * w.grad\n"
    seen = optimizer_in(text, "by hand", at="w.data", lr=30.0001)
    assert lines_changed(text, proposed(case_of(text, HIGH, seen))["lower-rate"]) == ["lr = 3"]


def test_first_steps_say_how_much_too_high_a_rate_is() -> None:
    text = "o = torch.optim.SGD(net.parameters(), lr=20)\nfor x in d:\n    o.step()\n"
    models = [network(parameters=[stride(4.0)])]
    case = case_of(text, HIGH, optimizer_in(text, made_at="SGD", lr=20), models=models)
    found = proposed(case)
    # 300 steps: each should move weights by 6 / 300; at 20 they moved by 4.
    assert lines_changed(text, found["measured-rate"]) == [
        "o = torch.optim.SGD(net.parameters(), lr=0.1)"
    ]
    assert list(found) == ["measured-rate", "lower-rate", "adam", "clip-gradients"]


def test_first_steps_say_how_much_too_low_a_rate_is() -> None:
    text = "o = torch.optim.AdamW(net.parameters(), lr=1e-7)\n"
    models = [network(parameters=[stride(1e-6)])]
    seen = optimizer_in(text, "AdamW", made_at="AdamW", lr=1e-7)
    found = proposed(case_of(text, "learning-rate-too-low", seen, models=models))
    assert lines_changed(text, found["measured-rate"]) == [
        "o = torch.optim.AdamW(net.parameters(), lr=0.002)"
    ]
    assert lines_changed(text, found["usual-rate"]) == [
        "o = torch.optim.AdamW(net.parameters(), lr=0.001)"
    ]
    assert "adam" not in found


@pytest.mark.parametrize(
    ("text", "name", "value", "line"),
    [
        ("o = Adam(net.parameters(), eps=1.0)", "eps", 1.0, "o = Adam(net.parameters(), eps=1e-8)"),
        (
            "o = Adam(net.parameters(), betas=(0.999, 0.99))",
            "beta1",
            0.999,
            "o = Adam(net.parameters(), betas=(0.9, 0.99))",
        ),
        ("o = Adam(net.parameters(), betas=b)", "beta2", 0.1, "o = Adam(net.parameters())"),
        ("m = 0.999\no = Adam(net.parameters(), momentum=m)", "momentum", 0.999, "m = 0.9"),
        (
            "momentum = 0.999\no = Adam(net.parameters(), momentum=momentum)",
            "momentum",
            0.999,
            "momentum = 0.9",
        ),
        (
            "n = Net(Adam, optimizer__momentum=0.999)\nn.fit(Adam)",
            "momentum",
            0.999,
            "n = Net(Adam, optimizer__momentum=0.9)",
        ),
    ],
)
def test_a_setting_becomes_the_usual_one(text: str, name: str, value: float, line: str) -> None:
    made_at = "fit" if "fit" in text else "Adam("
    case = case_of(
        text,
        "wrong-optimizer-setting",
        optimizer_in(text, "Adam", made_at=made_at),
        evidence={name: value},
        at=made_at,
    )
    assert lines_changed(text, proposed(case)["usual-setting"]) == [line]


@pytest.mark.parametrize(
    "text",
    [
        "torch.nn.utils.clip_grad_norm_(net.parameters(), 1e-6)\no.step()\n",
        "clip = 1e-6\nclip_grad_norm_(net.parameters(), max_norm=clip)\no.step()\n",
        "accelerator.clip_grad_norm_(net.parameters(), 1e-6)\no.step()\n",
        "trainer = L.Trainer(gradient_clip_val=1e-6)\no.step()\n",
    ],
)
def test_gradients_are_clipped_less(text: str) -> None:
    case = case_of(text, "wrong-optimizer-setting", optimizer_in(text), evidence={"max_norm": 1e-6})
    found = proposed(case)["clip-less"]
    assert "1e-6" not in found
    assert "1.0" in found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "import torch\no = SGD(net.parameters())\nfor x in d:\n    o.step()\n",
            "torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)",
        ),
        (
            "from torch import nn\no = SGD(net.parameters())\nfor x in d: o.step()\n",
            "for x in d: nn.utils.clip_grad_norm_(net.parameters(), 1.0); o.step()",
        ),
    ],
)
def test_gradients_are_clipped_before_the_step(text: str, line: str) -> None:
    case = case_of(text, "exploding-gradient", optimizer_in(text, made_at="SGD("))
    assert lines_changed(text, proposed(case)["clip-gradients"]) == [line]


@pytest.mark.parametrize(
    "text",
    [
        "o = SGD(net.parameters())\nclip_grad_norm_(net.parameters(), 5)\no.step()\n",
        "def f(net):\n    o = SGD(net.parameters())\n    return o\ndef g(o, m):\n    o.step()\n",
        "o = SGD(net.parameters())\nscaler.unscale_(o)\no.step()\n",
    ],
)
def test_gradients_are_not_clipped_where_they_are_or_cannot_be_named(text: str) -> None:
    case = case_of(text, "exploding-gradient", optimizer_in(text, made_at="SGD("))
    assert "clip-gradients" not in proposed(case)


def test_numbers_are_written_as_people_do() -> None:
    assert [written(tidy(x)) for x in (4.3e-5, 0.0123, 0.7, 17, 61000)] == [
        "5e-5",
        "0.01",
        "0.5",
        "20",
        "50000",
    ]
