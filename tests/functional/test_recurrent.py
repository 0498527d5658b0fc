"""Recurrent layers over whole sequences: torch's layers are the oracle, and numeric gradients."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from glial.functional import gru, lstm, recurrent, rnn, through_time

LAYERS: dict[str, tuple[Any, Any]] = {
    "tanh": (rnn, lambda *sizes: nn.RNN(*sizes, batch_first=True)),
    "relu": (
        lambda *given: rnn(*given, activation="relu"),
        lambda *sizes: nn.RNN(*sizes, batch_first=True, nonlinearity="relu"),
    ),
    "gru": (gru, lambda *sizes: nn.GRU(*sizes, batch_first=True)),
    "lstm": (lstm, lambda *sizes: nn.LSTM(*sizes, batch_first=True)),
}


def drawn(kind: str, rows: int, times: int, features: int, units: int) -> tuple[Any, Any, Any]:
    """A layer of torch's with weights that matter, inputs, and states to start from."""
    torch.manual_seed(rows + 10 * times + 100 * features + 1000 * units)
    layer = LAYERS[kind][1](features, units).double()
    for weight in layer.parameters():
        nn.init.normal_(weight, std=0.6)
    inputs = torch.randn(rows, times, features, dtype=torch.float64, requires_grad=True)
    parts = [torch.randn(rows, units, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    return layer, inputs, tuple(parts) if kind == "lstm" else parts[0]


def listed(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


def for_torch(state: Any) -> Any:
    return state[None] if isinstance(state, Tensor) else tuple(part[None] for part in state)


@pytest.mark.parametrize("kind", LAYERS)
@given(*[st.integers(1, 4)] * 3, st.integers(1, 6), st.integers(1, 12))
def test_states_and_gradients_are_those_of_torch(
    kind: str, rows: int, features: int, units: int, times: int, together: int
) -> None:
    layer, inputs, start = drawn(kind, rows, times, features, units)
    weights = tuple(layer.parameters())
    found, last = LAYERS[kind][0](inputs, start, weights)
    wanted, end = layer(inputs, for_torch(start))
    torch.testing.assert_close(found, wanted)
    for own, oracle in zip(listed(last), listed(end), strict=True):
        torch.testing.assert_close(own, oracle[0])
    # What comes back is drawn too, for the states of all times and for the last ones.
    pulls = [torch.randn_like(part) for part in (found, *listed(last))]
    leaves = (inputs, *listed(start), *weights)
    with mock.patch.object(through_time, "ROWS_TOGETHER", together):
        mine = torch.autograd.grad((found, *listed(last)), leaves, pulls)
    theirs = torch.autograd.grad((wanted, *(part[0] for part in listed(end))), leaves, pulls)
    for own, oracle in zip(mine, theirs, strict=True):
        torch.testing.assert_close(own, oracle)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_the_numeric_ones(kind: str) -> None:
    layer, inputs, start = drawn(kind, 2, 3, 2, 2)
    weights = tuple(layer.parameters())

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        inputs, *rest = given
        parts = rest[: len(listed(start))]
        states, last = LAYERS[kind][0](
            inputs, tuple(parts) if kind == "lstm" else parts[0], tuple(rest[len(parts) :])
        )
        return (states, *listed(last))

    assert torch.autograd.gradcheck(run, (inputs, *listed(start), *weights))


@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "by torch"])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("lengths", [[5, 5, 5], [5, 1, 3], [2, 1, 1], [1, 4, 5]], ids=str)
def test_the_last_state_is_that_of_packed_sequences(
    kind: str, lengths: list[int], by_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrent, "_by_hand", lambda inputs: by_hand)
    layer, inputs, start = drawn(kind, 3, 5, 2, 3)
    counts = torch.tensor(lengths)
    states, last = LAYERS[kind][0](inputs, start, tuple(layer.parameters()), counts)
    packed = pack_padded_sequence(inputs, counts, batch_first=True, enforce_sorted=False)
    wanted, end = layer(packed, for_torch(start))
    for own, oracle in zip(listed(last), listed(end), strict=True):
        torch.testing.assert_close(own, oracle[0])
    rows = [states[row, :length] for row, length in enumerate(lengths)]
    unpacked = nn.utils.rnn.unpack_sequence(wanted)
    for own, oracle in zip(rows, unpacked, strict=True):
        torch.testing.assert_close(own, oracle)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_row_without_any_time_keeps_its_start(kind: str) -> None:
    layer, inputs, start = drawn(kind, 2, 3, 2, 3)
    last = LAYERS[kind][0](inputs, start, tuple(layer.parameters()), torch.tensor([0, 3]))[1]
    for own, first in zip(listed(last), listed(start), strict=True):
        torch.testing.assert_close(own[0], first[0])


@pytest.mark.parametrize("kind", LAYERS)
def test_under_autocast_torch_computes(kind: str) -> None:
    layer, inputs, start = drawn(kind, 2, 3, 2, 3)
    layer, inputs = layer.float(), inputs.float()
    start = tuple(p.float() for p in start) if kind == "lstm" else start.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states, _ = LAYERS[kind][0](inputs, start, tuple(layer.parameters()))
    wanted = layer(inputs, for_torch(start))[0]
    torch.testing.assert_close(states.float(), wanted, atol=0.05, rtol=0.05)
