"""Networks of sequences: what each sees of order and of what comes later, and values by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.models import build
from glial.models.sequence_rnn import SequenceRNNSettings
from glial.nn import GRU, LSTM, RNN, SequencePool, remember

NAMES = ("sequence_rnn", "sequence_transformer", "sequence_cnn")


def small(name: str, **settings: object) -> nn.Module:
    torch.manual_seed(0)
    return build(name, num_outputs=2, sequences=[[3]], size=8, **settings).eval()


@pytest.mark.parametrize("name", NAMES)
def test_without_lengths_all_steps_count(name: str) -> None:
    network, steps = small(name), torch.randn(4, 6, 3)
    torch.testing.assert_close(network(steps), network(steps, torch.full((4,), 6)))


@pytest.mark.parametrize("name", NAMES)
def test_each_sees_the_order_of_steps(name: str) -> None:
    network, steps = small(name), torch.randn(4, 6, 3)
    assert (network(steps) - network(steps.flip(1))).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "settings"),
    [("sequence_rnn", {"bidirectional": False}), ("sequence_cnn", {"causal": True})],
)
def test_who_reads_forwards_alone_does_not_see_what_comes_later(name, settings) -> None:
    network, steps = small(name, each_step=True, **settings), torch.randn(1, 9, 3)
    changed = steps.clone()
    changed[:, 5:] += 1
    before, after = network(steps), network(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().min() > 0


@pytest.mark.parametrize("name", NAMES)
def test_others_see_what_comes_later(name: str) -> None:
    network = small(name, each_step=True)
    steps = torch.randn(1, 9, 3, requires_grad=True)
    network(steps)[0, 0].sum().backward()
    assert steps.grad is not None
    assert (steps.grad[0, 3] != 0).any()


def test_a_step_reaches_as_far_as_its_dilations() -> None:
    network = small("sequence_cnn", each_step=True, layers=3, width=3)
    steps = torch.randn(1, 31, 3, requires_grad=True)
    network(steps)[0, 15].sum().backward()
    assert steps.grad is not None
    reached = (steps.grad[0] != 0).any(dim=1).nonzero()[:, 0]
    assert (int(reached.min()), int(reached.max())) == (15 - 7, 15 + 7)  # 1 + 2 + 4


@pytest.mark.parametrize(
    ("how", "expected"), [("last", 4.0), ("mean", 2.5), ("maximum", 6.0), ("attention", 2.5)]
)
def test_pools_by_hand(how, expected: float) -> None:
    pool = SequencePool(1, how)
    if how == "attention":
        nn.init.zeros_(pool.score.weight)
    states = torch.tensor([[[-1.0], [6.0], [1.0], [4.0], [99.0]]])
    assert pool(states, torch.tensor([4])).item() == expected


def test_the_last_states_of_both_directions_are_those_that_saw_all() -> None:
    network = small("sequence_rnn", pooling="last")
    steps, lengths = torch.randn(2, 6, 3), torch.tensor([6, 4])
    last = network.recurrent(steps, lengths)[1]  # [direction, row, unit]
    torch.testing.assert_close(network.embed(steps, lengths), torch.cat([last[0], last[1]], dim=1))


@pytest.mark.parametrize("name", NAMES)
def test_other_inputs_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="needs inputs"):
        build(name, num_outputs=1)
    with pytest.raises(InputError, match="one sequence and nothing else"):
        build(name, num_inputs=2, num_outputs=1, sequences=[[5]])


def test_plain_units_cannot_be_told_to_remember() -> None:
    with pytest.raises(InputError, match="gru or lstm"):
        SequenceRNNSettings.read({"unit": "rnn", "memory": 9}, where="model")
    with pytest.raises(InputError, match="how long to remember"):
        remember(RNN(2, 2), 9)


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_units_that_were_told_to_remember_do(kind) -> None:
    torch.manual_seed(0)
    kept = []
    for steps in (None, 200):
        layer = kind(1, 64)
        if steps:
            remember(layer, steps)
        with torch.no_grad():
            layer.weight_hh_l0.zero_()  # what gates keep, and no more
            inputs = torch.zeros(2, 100, 1)
            inputs[0, 0] = 3.0
            states = layer(inputs)[0]
            kept.append(float((states[0, -1] - states[1, -1]).norm()))
    assert kept[1] > 100 * kept[0]
