"""Where a sequence is cut off changes nothing of what networks that go forwards said before."""

from __future__ import annotations

import pytest
import torch

from glial.models import build

TEXTS = {
    "gpt2": {"size": 8, "layers": 2, "heads": 2, "context": 12},
    "lstm_lm": {"size": 8, "layers": 2},
}
PAIRS = {
    "seq2seq": {"size": 8},
    "transformer": {"size": 8, "layers": 2, "heads": 2},
}


@pytest.mark.parametrize("length", [1, 4, 11])
@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_cut_off_is_foretold_as_before(name, length):
    torch.manual_seed(0)
    network = build(name, num_outputs=9, vocabularies=[9], **TEXTS[name]).eval()
    tokens = torch.randint(1, 9, (3, 12))
    whole, cut = (first(network(part)) for part in (tokens, tokens[:, :length]))
    torch.testing.assert_close(whole[:, :length], cut, atol=1e-5, rtol=1e-5)
    assert (whole[:, 1:] - whole[:, :-1]).abs().max() > 1e-3


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("name", PAIRS)
def test_a_translation_that_is_cut_off_is_scored_as_before(name, length):
    torch.manual_seed(0)
    network = build(name, num_outputs=7, vocabularies=[9, 7], **PAIRS[name]).eval()
    sources, targets = torch.randint(1, 9, (3, 5)), torch.randint(1, 7, (3, 8))
    whole, cut = (network(sources, part) for part in (targets, targets[:, :length]))
    torch.testing.assert_close(whole[:, :length], cut, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("unit", ["rnn", "lstm", "gru"])
def test_steps_that_are_cut_off_are_labelled_as_before(unit):
    torch.manual_seed(0)
    shape = {"num_outputs": 2, "sequences": [[3]], "each_step": True, "bidirectional": False}
    network = build("sequence_rnn", unit=unit, size=8, **shape).eval()
    steps = torch.randn(2, 9, 3)
    torch.testing.assert_close(network(steps)[:, :4], network(steps[:, :4]), atol=1e-5, rtol=1e-5)


def first(found):
    return found[0] if isinstance(found, tuple) else found
