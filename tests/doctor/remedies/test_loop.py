"""Loops are mended as somebody would by hand, in every spelling."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.programs import Program

LOOP = """
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in loader:
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
"""
ACCUMULATED = """
    for i, (x, y) in enumerate(loader):
        loss = loss_fn(net(x), y) / 4
        loss.backward()
        if (i + 1) % 4 == 0:
            opt.step()
"""
CLOSURE = """
    def closure():
        loss = loss_fn(net(x), y)
        loss.backward()
        return loss
    opt.step(closure)
"""
SCALED = """
    for x, y in loader:
        scaler.scale(loss_fn(net(x), y)).backward()
        scaler.step(opt)
        scaler.update()
"""
IN_CLASS = """
    class Trainer:
        def fit(self):
            for x, y in self.loader:
                loss = self.loss(self.net(x), y); loss.backward(); self.opt.step()
"""
ACCELERATED = """
    for x, y in loader:
        accelerator.backward(loss_fn(net(x), y))
        opt.step()
"""
APART = """
    def backward(loss):
        loss.backward()
    def update():
        opt.step()
"""


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (LOOP, ["+ opt.zero_grad()"]),
        (ACCUMULATED, ["+ opt.zero_grad()"]),
        (CLOSURE, ["+ opt.zero_grad()"]),
        (SCALED, ["+ opt.zero_grad()"]),
        (ACCELERATED, ["+ opt.zero_grad()"]),
        (APART, ["+ opt.zero_grad()"]),
    ],
)
def test_gradients_are_cleared(text: str, lines: list[str]) -> None:
    program = Program(text).optimizer(at=".step(", backward_at="backward(")
    assert program.first("missing-zero-grad", at=".step(") == lines


def test_gradients_are_cleared_before_they_are_taken_or_after_they_were_used() -> None:
    plain = Program(LOOP).optimizer(at=".step(", backward_at="backward(")
    (text,) = plain.mended("missing-zero-grad", at=".step(")
    assert "    opt.zero_grad()\n    loss.backward()\n" in text
    summed = Program(ACCUMULATED).optimizer(at=".step(", backward_at="backward(")
    (text,) = summed.mended("missing-zero-grad", at=".step(")
    assert text.endswith("        opt.step()\n        opt.zero_grad()\n")
    closure = Program(CLOSURE).optimizer(at=".step(", backward_at="backward(")
    (text,) = closure.mended("missing-zero-grad", at=".step(")
    assert "    opt.zero_grad()\n    loss.backward()\n" in text


def test_gradients_are_cleared_on_a_line_of_several_statements() -> None:
    program = Program(IN_CLASS).optimizer(at=".step(", backward_at="backward(")
    (text,) = program.mended("missing-zero-grad", at=".step(")
    assert "y); self.opt.zero_grad(); loss.backward(); self.opt.step()" in text


def test_gradients_of_updates_by_hand_are_cleared_in_the_network() -> None:
    text = """
        for step in range(9):
            loss_of(net(x), y).backward()
            with torch.no_grad():
                for p in net.parameters():
                    p -= 0.1 * p.grad
    """
    program = Program(text).model("net", calls={"train": 5})
    program = program.optimizer("by hand", at="p -=", backward_at="backward(", model="net")
    assert program.first("missing-zero-grad", at="p -=") == ["+ net.zero_grad()"]


def test_each_optimizer_of_two_is_cleared_by_its_own_name() -> None:
    text = """
        d_loss.backward()
        d_opt.step()
        g_loss.backward()
        g_opt.step()
    """
    program = Program(text).optimizer("d_opt", at="d_opt.", backward_at="d_loss.")
    program = program.optimizer("g_opt", at="g_opt.", backward_at="g_loss.")
    assert program.first("missing-zero-grad", at="g_opt.") == ["+ g_opt.zero_grad()"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (LOOP.replace("        opt.step()\n", ""), ["+ opt.step()"]),
        (
            "opt = Adam(net.parameters())\nfor x in xs:\n    opt.zero_grad()\n"
            "    loss.backward()\n    clip_grad_norm_(net.parameters(), 1)\n    log(loss)\n",
            ["+ opt.step()"],
        ),
        (
            "def train(model, optimizer):\n    model.zero_grad()\n    loss.backward()\n"
            "adam = torch.optim.Adam(net.parameters())\ntrain(net, adam)\n",
            ["+ optimizer.step()"],
        ),
        (
            "class T:\n    def __init__(self):\n        self.opt = SGD(self.net.parameters(), 1)\n"
            "    def fit(self):\n        self.loss().backward()\n",
            ["+ self.opt.step()"],
        ),
        (
            "opt = SGD(net.parameters(), 1)\nscaler.scale(loss).backward()\n",
            ["+ scaler.step(opt)", "+ scaler.update()"],
        ),
        (
            "opt = SGD(net.parameters(), 1)\nscaler.scale(loss).backward()\nscaler.update()\n",
            ["+ scaler.step(opt)"],
        ),
    ],
)
def test_a_step_is_added(text: str, lines: list[str]) -> None:
    program = Program(text).model("net").model("model").loss(backward_at="backward(")
    assert program.first("missing-step", at="backward(") == lines


def test_a_step_follows_what_clips() -> None:
    text = (
        "opt = Adam(net.parameters())\nloss.backward()\n"
        "clip_grad_norm_(net.parameters(), 1)\nscheduler.step()\n"
    )
    (after,) = Program(text).loss(backward_at="backward(").mended("missing-step")
    assert after.endswith("parameters(), 1)\nopt.step()\nscheduler.step()\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss.backward()\nopt.zero_grad()\nopt.step()\n", "O.zero_grad() B O.step()"),
        ("opt.zero_grad()\nopt.step()\nloss.backward()\n", "O.zero_grad() B O.step()"),
        ("opt.step()\nopt.zero_grad()\nloss.backward()\n", "O.zero_grad() B O.step()"),
        ("loss.backward(); opt.zero_grad(); opt.step()\n", "O.zero_grad() B O.step()"),
    ],
)
def test_calls_are_put_in_order(before: str, after: str) -> None:
    text = "for x in xs:\n" + "".join(f"    {line}\n" for line in before.splitlines())
    program = Program(text).optimizer(at="opt.step", backward_at="backward")
    (mended,) = program.mended("wrong-order", at="opt.step")
    calls = [piece.strip() for piece in mended.replace("\n", ";").split(";")[1:] if piece.strip()]
    names = [call.replace("loss.backward()", "B").replace("opt", "O") for call in calls]
    assert " ".join(names) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(-loss).backward()", "loss.backward()"),
        ("loss = -criterion(net(x), y)", "loss = criterion(net(x), y)"),
        ("loss = -1 * criterion(net(x), y)", "loss = criterion(net(x), y)"),
        ("loss = criterion(net(x), y) * -1.0", "loss = criterion(net(x), y)"),
        ("loss = 0 - criterion(net(x), y)", "loss = criterion(net(x), y)"),
        ("loss = torch.neg(criterion(net(x), y))", "loss = criterion(net(x), y)"),
        ("return -loss", "return loss"),
        ("p += lr * p.grad", "p -= lr * p.grad"),
        ("p.add_(lr * p.grad)", "p.sub_(lr * p.grad)"),
        ("a(); (-loss).backward(); b()", "a(); loss.backward(); b()"),
    ],
)
def test_a_sign_is_turned(before: str, after: str) -> None:
    program = Program(f"def f():\n    {before}\n").loss(at=before)
    assert program.first("gradient-ascent", at=before) == [f"- {before}", f"+ {after}"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("loss = F.softplus(d(g(z))).mean()", "loss = F.softplus(-d(g(z))).mean()"),
        ("loss = (log_p * gain).mean()", "loss = -(log_p * gain).mean()"),
        ("loss = log_p * gain", "loss = -(log_p * gain)"),
        (
            "loss = bce(d(g(z)), torch.zeros(8, 1))",
            "loss = bce(d(g(z)), torch.ones(8, 1))",
        ),
    ],
)
def test_a_sign_that_is_missing_is_put(before: str, after: str) -> None:
    program = Program(before).loss("hand-written", at=before)
    assert program.first("gradient-ascent", at=before) == [f"- {before}", f"+ {after}"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("p += lr * dp", "p -= lr * dp"), ("p.add_(lr_grad * dp)", "p.sub_(lr_grad * dp)")],
)
def test_a_step_by_hand_goes_the_other_way(before: str, after: str) -> None:
    text = f"""
for rows in batches:
    grads = torch.autograd.grad(loss_of(rows), params)
    for p, dp in zip(params, grads):
        {before}
"""
    program = Program(text).loss("hand-written", at="grads =")
    assert program.all("gradient-ascent", at="grads =") == [
        [f"- {before}", f"+ {after}"],
        [
            "- grads = torch.autograd.grad(loss_of(rows), params)",
            "+ grads = torch.autograd.grad(-loss_of(rows), params)",
        ],
    ]


def test_a_step_by_hand_after_a_backward_pass_goes_the_other_way() -> None:
    text = """
for rows in batches:
    loss.backward()
    for p in net.parameters():
        p.data.add_(p.grad, alpha=lr)
    total += loss.item()
"""
    program = Program(text).loss("hand-written", at="backward")
    assert program.all("gradient-ascent", at="backward") == [
        ["- p.data.add_(p.grad, alpha=lr)", "+ p.data.add_(p.grad, alpha=-lr)"]
    ]


def test_maximize_is_taken_away() -> None:
    text = "opt = Adam(net.parameters(), lr=1e-3, maximize=True)\nopt.step()\n"
    program = Program(text).optimizer("opt", "Adam", made_at="Adam(", settings={"maximize": 1.0})
    (after,) = program.mended("gradient-ascent", at="Adam(")
    assert after.startswith("opt = Adam(net.parameters(), lr=1e-3)\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("total += loss", "total += loss.item()"),
        ("total += loss * len(x)", "total += loss.item() * len(x)"),
        ("losses.append(loss)", "losses.append(loss.item())"),
        ("total = total + loss", "total = total + loss.item()"),
        ("history += [loss]", "history += [loss.item()]"),
        ("history.append((epoch, loss))", "history.append((epoch, loss.item()))"),
        ("stacked.append(loss)", "stacked.append(loss.detach())"),
        ("self.total += loss", "self.total += loss.item()"),
    ],
)
def test_numbers_are_kept(before: str, after: str) -> None:
    text = f"""
        for x, y in loader:
            loss = loss_fn(net(x), y)
            loss.backward()
            {before}
        print(torch.stack(stacked))
    """
    program = Program(text).loss(backward_at="backward(").optimizer(backward_at="backward(")
    assert program.first("memory-growth", at="backward(") == [f"- {before}", f"+ {after}"]


def test_what_is_a_number_already_is_left_alone() -> None:
    text = """
        for x, y in loader:
            loss.backward()
            total += loss.item()
            seen += len(x)
    """
    assert not Program(text).loss(backward_at="backward(").mended("memory-growth")
