"""Recurrent layers: torch's, formulas in NumPy, and laws of padding, gates and carried states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glial.nn import GRU, LSTM, RNN, BidirectionalGRU, detached, reset

KINDS: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
PEERS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
VARIANTS: dict[str, Any] = {
    **KINDS,
    "relu": lambda *a, **k: RNN(*a, activation="relu", **k),
    "normed rnn": lambda *a, **k: RNN(*a, layer_norm=True, **k),
    "normed gru": lambda *a, **k: GRU(*a, layer_norm=True, **k),
    "normed lstm": lambda *a, **k: LSTM(*a, layer_norm=True, **k),
    "peephole lstm": lambda *a, **k: LSTM(*a, peephole=True, **k),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def listed(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


def made(variant: str, *sizes: int, **options: Any) -> Any:
    torch.manual_seed(0)
    layer = VARIANTS[variant](*sizes, **options).double().eval()
    for weight in layer.parameters():
        weight.data.add_(0.3 * torch.randn_like(weight))
    return layer


def inputs_of(rows: int, times: int, features: int) -> Tensor:
    return torch.randn(
        rows, times, features, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


@every_kind
def test_weights_and_outputs_are_torchs(kind: str) -> None:
    own = made(kind, 3, 4, num_layers=2, bidirectional=True)
    peer = PEERS[kind](3, 4, 2, batch_first=True, bidirectional=True).double()
    peer.load_state_dict(own.state_dict())
    inputs, lengths = inputs_of(3, 5, 3), torch.tensor([5, 2, 4])
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    wanted, end = peer(packed)
    wanted = pad_packed_sequence(wanted, batch_first=True)[0]
    states, last = own(inputs, lengths)
    mask = (torch.arange(5) < lengths[:, None])[:, :, None]
    torch.testing.assert_close(states * mask, wanted)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("lengths", [[5, 5, 5], [5, 1, 3], [2, 1, 1]], ids=str)
def test_gradients_are_torchs_on_packed_sequences(lengths: list[int]) -> None:
    torch.manual_seed(0)
    own, oracle = BidirectionalGRU(3, 4), nn.GRU(3, 4, batch_first=True, bidirectional=True)
    oracle.load_state_dict(own.state_dict())
    inputs, counts = torch.randn(3, 5, 3), torch.tensor(lengths)
    mask = (torch.arange(5) < counts[:, None])[:, :, None]
    found = own(inputs, counts) * mask
    packed = pack_padded_sequence(inputs, counts, batch_first=True, enforce_sorted=False)
    wanted = pad_packed_sequence(oracle(packed)[0], batch_first=True, total_length=5)[0]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    found.square().sum().backward()
    wanted.square().sum().backward()
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(
            parameter.grad, oracle.get_parameter(name).grad, rtol=1e-4, atol=1e-6
        )


def test_gradients_of_a_gru_are_the_numeric_ones() -> None:
    torch.manual_seed(0)
    layer = BidirectionalGRU(2, 3).double()
    inputs = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 2])
    mask = (torch.arange(4) < lengths[:, None])[:, :, None]
    assert torch.autograd.gradcheck(lambda x: layer(x, lengths) * mask, inputs)


@every_kind
def test_numbers_of_parameters_are_as_derived(kind: str) -> None:
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind]
    count = sum(p.numel() for p in KINDS[kind](5, 7).parameters())
    assert count == gates * (7 * 5 + 7 * 7 + 2 * 7)


@every_variant
def test_steps_are_what_is_computed_at_once(variant: str) -> None:
    layer = made(variant, 3, 4, num_layers=2, bidirectional=True)
    inputs, lengths = inputs_of(3, 5, 3), torch.tensor([5, 1, 4])
    told = layer.trace(inputs, lengths)
    assert len(told) == len(layer.suffixes) == 4
    states, last = layer(inputs, lengths)
    both = torch.cat([told[2]["hidden"], told[3]["hidden"]], dim=2)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(states[row, :length], both[row, :length])
        torch.testing.assert_close(listed(last)[0][2, row], told[2]["hidden"][row, length - 1])
        torch.testing.assert_close(listed(last)[0][3, row], told[3]["hidden"][row, 0])


@pytest.mark.slow
@every_variant
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 3))
def test_padding_changes_nothing(variant: str, lengths: list[int], more: int) -> None:
    layer = made(variant, 2, 3, num_layers=2, bidirectional=True)
    inputs, counts = inputs_of(len(lengths), max(lengths) + more, 2), torch.tensor(lengths)
    states, last = layer(inputs, counts)
    for row, length in enumerate(lengths):
        alone, end = layer(inputs[row : row + 1, :length])
        torch.testing.assert_close(states[row, :length], alone[0])
        for part, single in zip(listed(last), listed(end), strict=True):
            torch.testing.assert_close(part[:, row], single[:, 0])


@every_variant
def test_what_is_carried_goes_on_as_if_never_cut(variant: str) -> None:
    layer, inputs = made(variant, 2, 3, num_layers=2), inputs_of(2, 6, 2)
    whole, end = layer(inputs)
    first, state = layer(inputs[:, :4])
    second, last = layer(inputs[:, 4:], state=state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)
    for part, traced in zip(listed(end), ("hidden", "cell"), strict=False):
        told = layer.trace(inputs[:, 4:], state=state)
        torch.testing.assert_close(told[-1][traced][:, -1], part[-1])


@every_kind
def test_gradients_end_where_the_state_is_detached(kind: str) -> None:
    layer, inputs = made(kind, 2, 3), inputs_of(2, 6, 2).requires_grad_()
    _, state = layer(inputs[:, :4])
    layer(inputs[:, 4:], state=detached(state))[0].sum().backward()
    assert inputs.grad is not None
    assert not inputs.grad[:, :4].any()
    assert inputs.grad[:, 4:].all()


@every_kind
def test_reset_rows_start_from_nothing(kind: str) -> None:
    layer, inputs = made(kind, 2, 3), inputs_of(2, 6, 2)
    _, state = layer(inputs[:, :4])
    states, _ = layer(inputs[:, 4:], state=reset(state, torch.tensor([True, False])))
    torch.testing.assert_close(states[:1], layer(inputs[:1, 4:])[0])
    torch.testing.assert_close(states[1:], layer(inputs[1:])[0][:, 4:])


@every_variant
def test_all_weights_learn_and_none_knows_the_length(variant: str) -> None:
    layer = made(variant, 2, 3)
    layer(inputs_of(2, 9, 2))[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in layer.parameters())
    assert {"weight_ih_l0", "weight_hh_l0"} <= set(dict(layer.named_parameters()))


@every_variant
def test_only_both_directions_see_what_comes_later(variant: str) -> None:
    inputs = inputs_of(1, 5, 2)
    other = inputs.clone()
    other[:, 4] += 1
    one, both = made(variant, 2, 3), made(variant, 2, 3, bidirectional=True)
    torch.testing.assert_close(one(inputs)[0][:, :4], one(other)[0][:, :4], rtol=0, atol=0)
    assert (both(inputs)[0][:, 0, 3:] != both(other)[0][:, 0, 3:]).any()
    assert (one(inputs)[0][:, -1] != one(inputs.flip(1))[0][:, -1]).any()


def sigmoid(sums: Any) -> Any:
    return 1 / (1 + np.exp(-sums))


def normalized(values: Any, weight: Any, bias: Any = 0.0) -> Any:
    centred = values - values.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("peephole", [False, True])
def test_an_lstm_is_its_formulas(normed: bool, peephole: bool) -> None:
    layer = made("lstm", 2, 3, layer_norm=normed, peephole=peephole)
    inputs = inputs_of(2, 4, 2)
    w = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    hidden, cell = np.zeros((2, 3)), np.zeros((2, 3))
    hole = w["peepholes.l0"] if peephole else np.zeros((3, 3))
    for now in inputs.numpy().swapaxes(0, 1):
        of_inputs, of_states = now @ w["weight_ih_l0"].T, hidden @ w["weight_hh_l0"].T
        if normed:
            of_inputs = normalized(of_inputs, w["norms.ih_l0.weight"])
            of_states = normalized(of_states, w["norms.hh_l0.weight"])
        sums = of_inputs + of_states + w["bias_ih_l0"] + w["bias_hh_l0"]
        i, f, g, o = np.split(sums, 4, axis=1)
        cell = sigmoid(f + hole[1] * cell) * cell + sigmoid(i + hole[0] * cell) * np.tanh(g)
        shown = (
            normalized(cell, w["norms.cell_l0.weight"], w["norms.cell_l0.bias"]) if normed else cell
        )
        hidden = sigmoid(o + hole[2] * cell) * np.tanh(shown)
    np.testing.assert_allclose(layer(inputs)[0][:, -1].detach(), hidden)


@pytest.mark.parametrize("kind", ["rnn", "gru"])
def test_norms_are_taken_of_what_inputs_and_states_bring(kind: str) -> None:
    layer, inputs = made(f"normed {kind}", 2, 3), inputs_of(2, 1, 2)
    w = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    sums = normalized(inputs[:, 0].numpy() @ w["weight_ih_l0"].T, w["norms.ih_l0.weight"])
    sums = sums + w["bias_ih_l0"]
    if kind == "rnn":
        wanted = np.tanh(sums + w["bias_hh_l0"])
    else:
        past = np.split(np.broadcast_to(w["bias_hh_l0"], sums.shape), 3, axis=1)
        r, z, n = np.split(sums, 3, axis=1)
        candidate = np.tanh(n + sigmoid(r + past[0]) * past[2])
        wanted = (1 - sigmoid(z + past[1])) * candidate
    np.testing.assert_allclose(layer(inputs)[0][:, 0].detach(), wanted)


def gates_at(forget: float, entering: float) -> LSTM:
    """An LSTM whose gates are shut (-1), open (1) or left to its weights (0)."""
    layer: LSTM = made("lstm", 2, 3)
    for gate, way in ((0, entering), (1, forget)):
        if way:
            for weight in layer.weights_of():
                weight.data.chunk(4)[gate].zero_()
            layer.bias_ih_l0.data.chunk(4)[gate].fill_(1000.0 * way)
    return layer


def test_an_open_forget_gate_keeps_the_cell_and_a_shut_one_clears_it() -> None:
    state = torch.ones(1, 2, 3).double(), torch.full((1, 2, 3), 0.7).double()
    inputs = inputs_of(2, 4, 2)
    kept = gates_at(forget=1, entering=-1)(inputs, state=state)[1][1]
    torch.testing.assert_close(kept, state[1], rtol=0, atol=0)
    cleared = gates_at(forget=-1, entering=-1)(inputs, state=state)[1][1]
    assert not cleared.any()


def test_the_gradient_along_the_cell_is_the_product_of_forget_gates() -> None:
    layer = made("lstm", 2, 3)
    # Gates that hang on the inputs alone: then the cell is the only way back.
    layer.weight_hh_l0.data.zero_()
    inputs = inputs_of(1, 6, 2)
    cell = torch.full((1, 1, 3), 0.3, dtype=torch.float64, requires_grad=True)
    _, (_, last) = layer(inputs, state=(torch.zeros_like(cell), cell))
    last.sum().backward()
    assert cell.grad is not None
    torch.testing.assert_close(cell.grad[0], layer.trace(inputs)[0]["forget"].prod(dim=1))


def test_forget_gates_begin_open() -> None:
    assert torch.equal(LSTM(2, 3).bias_ih_l0.chunk(4)[1], torch.ones(3))
    assert torch.equal(LSTM(2, 3, forget_bias=5.0).bias_ih_l0.chunk(4)[1], torch.full((3,), 5.0))
    assert not LSTM(2, 3).bias_hh_l0.any()


@every_kind
def test_weights_of_the_states_begin_orthogonal(kind: str) -> None:
    layer = KINDS[kind](2, 8)
    for gate in layer.weight_hh_l0.chunk(layer.gates):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(8), atol=1e-5, rtol=0)


@every_kind
def test_dropout_is_the_same_at_all_times_and_none_in_evaluation(kind: str) -> None:
    layer = made(kind, 40, 3, input_dropout=0.5)
    seen: list[Tensor] = []
    layer._at_once = lambda inputs, *rest: (
        seen.append(inputs),
        type(layer)._at_once(layer, inputs, *rest),
    )[1]
    inputs = torch.ones(6, 5, 40).double()
    layer.train()(inputs)
    assert torch.equal(seen[0], seen[0][:, :1].expand_as(seen[0]))
    assert 0.3 < (seen[0] == 0).double().mean() < 0.7
    assert set(seen[0].unique().tolist()) == {0.0, 2.0}
    layer.eval()(inputs)
    assert torch.equal(seen[1], inputs)


@every_kind
def test_dropped_states_are_dropped_at_every_step(kind: str) -> None:
    layer = made(kind, 2, 40, hidden_dropout=0.5)
    inputs = inputs_of(3, 4, 2)
    seen: list[Tensor] = []
    step = layer.step
    layer.step = lambda now, state, suffix, given: (
        seen.append(given / state[0]),
        step(now, state, suffix, given),
    )[1]
    layer.train()(inputs)
    assert torch.equal(seen[1], seen[2])
    assert set(seen[1].round(decimals=6).unique().tolist()) == {0.0, 2.0}
    layer.eval()
    del layer.step
    torch.testing.assert_close(layer(inputs)[0], layer.trace(inputs)[0]["hidden"])


@pytest.mark.slow
@every_kind
def test_it_is_exported_for_any_number_of_rows_and_times(kind: str) -> None:
    layer = KINDS[kind](2, 3, bidirectional=True).eval()
    rows, times = torch.export.Dim("rows", min=2), torch.export.Dim("times", min=2)
    program = torch.export.export(
        layer,
        (torch.randn(3, 5, 2), torch.tensor([5, 2, 4])),
        dynamic_shapes=({0: rows, 1: times}, {0: rows}),
    )
    inputs, lengths = torch.randn(4, 7, 2), torch.tensor([7, 1, 6, 2])
    found, wanted = program.module()(inputs, lengths), layer(inputs, lengths)
    mask = (torch.arange(7) < lengths[:, None])[:, :, None]
    torch.testing.assert_close(found[0] * mask, wanted[0] * mask, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1], wanted[1], atol=1e-5, rtol=1e-5)
