"""What recurrent networks remember: where plain units fail, what gates, attention, clipping do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glial.data.memory_tasks import adding_problem, copy_task
from glial.models import build
from glial.nn import LSTM, RNN, detached, draw_gradients, gradients_over_time

LENGTH = 40
GUESSED = 1 / 6  # the mean squared error of who always says 1


def reader(name: str, **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"num_outputs": 1, "sequences": [[2]], "size": 32, "dropout": 0.0}
    if name == "attention":
        return build("sequence_transformer", layers=1, heads=2, **shape)
    memory = None if name == "rnn" else LENGTH
    kind = {"unit": name, "bidirectional": False, "memory": memory, "pooling": "last"}
    return build("sequence_rnn", **{**shape, **kind, **settings})


def error_after(model: nn.Module, steps: int) -> float:
    """The error on new rows after so many steps of Adam."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        rows, sums = adding_problem(64, LENGTH, generator)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(rows), sums).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        rows, sums = adding_problem(1000, LENGTH, generator)
        return float(nn.functional.mse_loss(model(rows), sums))


@pytest.mark.parametrize(
    ("name", "steps", "low", "high"),
    [
        ("rnn", 500, 0.7 * GUESSED, math.inf),
        ("gru", 700, 0.0, 0.15 * GUESSED),
        ("lstm", 700, 0.0, 0.15 * GUESSED),
        ("attention", 150, 0.0, 0.15 * GUESSED),
    ],
)
def test_gates_and_attention_add_what_plain_units_forget(name, steps, low, high):
    assert low < error_after(reader(name), steps) < high


def curve(name: str, **settings: Any) -> Tensor:
    model, generator = reader(name, **settings), torch.Generator().manual_seed(0)
    rows, sums = adding_problem(16, LENGTH, generator)
    layer = model.embedding if name == "attention" else model.recurrent
    return gradients_over_time(layer, lambda: nn.functional.mse_loss(model(rows), sums))


def test_the_gradient_arrives_at_the_first_step_by_gates_and_by_attention_alone():
    with_gates = {name: curve(name) for name in ("gru", "lstm", "attention")}
    for norms in with_gates.values():
        assert norms.shape == (LENGTH,)
        assert norms[0] > 1e-3 * norms.max()
    torch.manual_seed(0)
    layer = RNN(2, 32)
    with torch.no_grad():
        layer.weight_hh_l0.mul_(0.5)
    rows = adding_problem(16, LENGTH, torch.Generator().manual_seed(0)).steps
    plain = gradients_over_time(layer, lambda: layer(rows)[0][:, -1].square().sum())
    assert plain[0] < 1e-9 * plain[-1]
    assert draw_gradients({**with_gates, "rnn": plain}).count("<polyline") == 4


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_gradients_grow_and_shrink_as_the_recurrent_weights_say(scale):
    layer = RNN(1, 8, activation="relu").double()
    with torch.no_grad():
        layer.weight_hh_l0.copy_(scale * torch.eye(8))
        layer.weight_ih_l0.fill_(1.0)
    rows = torch.ones(1, 20, 1, dtype=torch.float64)
    norms = gradients_over_time(layer, lambda: layer(rows)[0][:, -1].sum())
    expected = [8**0.5 * scale ** (19 - step) for step in range(20)]
    torch.testing.assert_close(norms, torch.tensor(expected, dtype=torch.float64))


def test_the_gradient_along_a_cell_is_the_product_of_its_forget_gates():
    torch.manual_seed(0)
    layer, rows = LSTM(1, 1).double(), torch.randn(1, 6, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()  # the cell is then the only way through time
    gates = layer.trace(rows)[0]
    last = gates["output"][0, -1] * (1 - gates["cell"][0, -1].tanh() ** 2)
    found = gradients_over_time(layer, lambda: layer(rows)[0][:, -1].sum())
    for step in range(5):
        product = gates["forget"][0, step + 1 :].prod() * last
        torch.testing.assert_close(found[step], product.abs()[0])


def test_exploding_gradients_are_cured_by_clipping():
    def losses(clip: float) -> tuple[list[float], float]:
        torch.manual_seed(0)
        layer, head = RNN(2, 32, activation="relu"), nn.Linear(32, 1)
        with torch.no_grad():
            layer.weight_hh_l0.copy_(1.1 * torch.eye(32))  # 1.1 ** 40 is 45
        weights = [*layer.parameters(), *head.parameters()]
        optimizer, generator = torch.optim.SGD(weights, lr=0.03), torch.Generator().manual_seed(0)
        found, largest = [], 0.0
        for _ in range(150):
            rows, sums = adding_problem(64, LENGTH, generator)
            loss = nn.functional.mse_loss(head(layer(rows)[0][:, -1]), sums)
            optimizer.zero_grad()
            loss.backward()
            largest = max(largest, nn.utils.clip_grad_norm_(weights, clip).item())
            optimizer.step()
            found.append(loss.item())
        return found, largest

    wild, _ = losses(math.inf)
    tame, norm = losses(1.0)
    assert norm > 1e3
    assert not math.isfinite(wild[-1])
    assert sum(tame[-50:]) / 50 < 4 * GUESSED


def test_a_shorter_window_keeps_less_for_going_back():
    kept: dict[int, int] = {}
    layer, rows = LSTM(2, 16), torch.randn(4, 60, 2)
    for window in (60, 20, 5):
        sizes: list[int] = []
        state = None
        for part in rows.split(window, dim=1):
            sizes.append(0)

            def keep(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
                sizes[-1] += tensor.numel()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                states, state = layer(part, state=state)
                states.square().mean().backward()
            state = detached(state)
        kept[window] = max(sizes)
    assert kept[20] < 0.6 * kept[60]
    assert kept[5] < 0.6 * kept[20]


def test_gradients_end_where_a_state_is_detached():
    layer, rows = LSTM(2, 4), torch.randn(1, 9, 2, requires_grad=True)
    _, state = layer(rows[:, :6])
    states, _ = layer(rows[:, 6:], state=detached(state))
    states[:, -1].sum().backward()
    assert rows.grad is not None
    assert not rows.grad[0, :6].any()
    assert rows.grad[0, 6:].any(dim=1).all()


def test_a_gru_that_remembers_copies():
    torch.manual_seed(0)
    model = build(
        "sequence_rnn",
        num_outputs=4,
        sequences=[[6]],
        size=32,
        unit="gru",
        bidirectional=False,
        each_step=True,
        dropout=0.0,
        memory=20,
    )
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        rows, symbols = copy_task(64, 20, generator, count=1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(rows)[:, -1], symbols[:, 0]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    rows, symbols = copy_task(500, 20, generator, count=1)
    assert (model(rows)[:, -1].argmax(dim=1) == symbols[:, 0]).float().mean() > 0.95
