"""States that go on from window to window, against the whole text read at once."""

from __future__ import annotations

import pytest
import torch

from glial.models.recurrent_lm import RecurrentLM, RecurrentLMSettings
from glial.nn import Carrying


def text(rows: int = 2, length: int = 12) -> torch.Tensor:
    return torch.randint(3, 9, (rows, length), generator=torch.Generator().manual_seed(0))


def made(unit: str, rows: int = 2) -> Carrying:
    torch.manual_seed(0)
    settings = RecurrentLMSettings(unit=unit, size=5, layers=2)
    return Carrying(RecurrentLM(settings, 9, 9), rows).train()


@pytest.mark.parametrize("unit", ["lstm", "gru", "rnn"])
def test_windows_in_turn_give_what_the_whole_gives(unit):
    carrying, tokens = made(unit), text()
    begins = [torch.full((2,), index == 0) for index in range(3)]
    windows = tokens.split(4, dim=1)
    found = torch.cat([carrying(w, b) for w, b in zip(windows, begins, strict=True)], dim=1)
    torch.testing.assert_close(found, carrying.network(tokens))


@pytest.mark.parametrize("unit", ["lstm", "gru", "rnn"])
def test_the_gradient_stops_at_the_windows_edge(unit):
    carrying, tokens = made(unit), text()
    seen: list[torch.Tensor] = []
    carrying.network.embedding.register_forward_hook(lambda *parts: seen.append(parts[-1]))
    carrying(tokens[:, :4], torch.tensor([True, True]))
    outputs = carrying(tokens[:, 4:8], torch.tensor([False, False]))
    for vectors in seen:
        vectors.retain_grad()
    outputs.square().sum().backward()
    assert seen[0].grad is None
    assert seen[1].grad.abs().sum() > 0


def test_rows_that_begin_start_from_zeros():
    carrying, tokens = made("lstm"), text()
    carrying(tokens[:, :4], torch.tensor([True, True]))
    found = carrying(tokens[:, 4:], torch.tensor([True, False]))
    torch.testing.assert_close(found[0], carrying.network(tokens[:, 4:])[0])
    torch.testing.assert_close(found[1], carrying.network(tokens)[1, 4:])


def test_nothing_is_carried_in_evaluation_or_for_other_rows():
    carrying, tokens = made("gru"), text()
    carrying(tokens, torch.tensor([True, True]))
    held = carrying.carried_0.clone()
    assert held.abs().sum() > 0
    one = carrying(tokens[:1], torch.tensor([False]))
    carrying.eval()
    both = carrying(tokens, torch.tensor([False, False]))
    torch.testing.assert_close(both, carrying.network(tokens))
    torch.testing.assert_close(one, both[:1])
    assert torch.equal(carrying.carried_0, held)


def test_a_checkpoint_holds_what_is_carried():
    carrying, other = made("lstm"), made("lstm")
    carrying(text(), torch.tensor([True, True]))
    other.load_state_dict(carrying.state_dict())
    more, goes_on = text()[:, :3], torch.tensor([False, False])
    assert torch.equal(other(more, goes_on), carrying(more, goes_on))
