"""What all networks of running text keep: causality, steps that equal the whole, tied weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import glial
from glial.core.errors import InputError
from glial.functional import Stepwise, beam_search, greedy, sample
from glial.models import MODELS
from glial.models.gpt2 import GPT2Settings
from glial.models.recurrent_lm import RecurrentLMSettings

KINDS: dict[str, dict[str, Any]] = {
    "gpt2": {"name": "gpt2", "size": 16, "layers": 2, "heads": 2, "context": 300},
    "lstm": {"name": "lstm_lm", "size": 8, "layers": 2},
    "gru": {"name": "lstm_lm", "unit": "gru", "size": 8},
    "rnn": {"name": "lstm_lm", "unit": "rnn", "size": 8, "tied": False},
}
VOCABULARY = 11


def made(kind: str, **more: Any) -> Any:
    torch.manual_seed(0)
    settings = MODELS.resolve(KINDS[kind]["name"]).read({**KINDS[kind], **more}, where="model")
    return settings.build(0, VOCABULARY, vocabularies=[VOCABULARY]).eval()


def tokens(rows: int = 3, length: int = 9) -> torch.Tensor:
    return torch.randint(VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_no_place_sees_what_comes_later(kind):
    network, text = made(kind), tokens()
    other = text.clone()
    other[:, 5] = (other[:, 5] + 1) % VOCABULARY
    torch.testing.assert_close(network(other)[:, :5], network(text)[:, :5])
    assert (network(other)[:, 5:] != network(text)[:, 5:]).any(dim=2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_steps_give_what_the_whole_gives(kind):
    network, text = made(kind), tokens()
    assert isinstance(network, Stepwise)
    with torch.no_grad():
        state, found = network.start(3), []
        for token in text.unbind(dim=1):
            scores, state = network.step(token, state)
            found.append(scores)
        torch.testing.assert_close(torch.stack(found, 1), network(text), atol=1e-5, rtol=1e-4)
        prompt, state = network.step(text[:, :6], network.start(3))
        torch.testing.assert_close(prompt, found[5], atol=1e-5, rtol=1e-4)
        rows = torch.tensor([2, 0, 2])
        scores, _ = network.step(text[rows, 6], network.select(state, rows))
        torch.testing.assert_close(scores, found[6][rows], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_may_go_on_in_two_ways(kind):
    network, text = made(kind), tokens()
    with torch.no_grad():
        _, state = network.step(text[:, :4], network.start(3))
        first, one = network.step(text[:, 4], state)
        second, _ = network.step((text[:, 4] + 1) % VOCABULARY, state)
        again, _ = network.step(text[:, 5], one)
        assert not torch.allclose(first, second)
        torch.testing.assert_close(again, network(text[:, :6])[:, -1], atol=1e-5, rtol=1e-4)


def test_memory_that_grows_in_blocks_is_the_whole_text():
    network, text = made("gpt2"), tokens(2, 200)
    with torch.no_grad():
        state = network.start(2)
        for token in text.unbind(dim=1):
            scores, state = network.step(token, state)
        torch.testing.assert_close(scores, network(text)[:, -1], atol=1e-5, rtol=1e-4)
    scores, state = network.step(text[:, 0], network.start(2))  # with gradients
    scores, _ = network.step(text[:, 1], state)
    scores.sum().backward()
    assert network.transformer.wpe.weight.grad[0].abs().sum() > 0


class Whole(nn.Module):
    """A network that reads all again for each step: the oracle of those that remember."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def step(self, new: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        seen = new[:, None] if state is None else torch.cat([state, new[:, None]], dim=1)
        return self.network(seen)[:, -1], seen

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return None if state is None else state[rows]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_with_memory_equals_decoding_without(kind):
    network, start = made(kind), tokens()[:, 0]
    whole: Any = Whole(network)
    limits: dict[str, Any] = {"end": 0, "max_length": 12}
    for decode, more in (
        (greedy, {}),
        (beam_search, {"width": 3, "best": 2}),
        (sample, {"temperature": 0.7, "top_k": 5}),
    ):
        found = []
        for model, state in ((network, network.start(3)), (whole, None)):
            drawn = {"generator": torch.Generator().manual_seed(3)} if decode is sample else {}
            found.append(decode(model, state, start, **limits, **more, **drawn))
        assert torch.equal(found[0].tokens, found[1].tokens)
        torch.testing.assert_close(
            found[0].log_likelihoods, found[1].log_likelihoods, atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("kind", ["gpt2", "lstm"])
def test_tied_weights_are_one(kind):
    network = made(kind)
    head = network.lm_head if kind == "gpt2" else network.head
    vectors = network.transformer.wte if kind == "gpt2" else network.embedding
    assert head.weight is vectors.weight
    assert made("rnn").head.weight is not made("rnn").embedding.weight


def test_sizes_are_those_of_the_text_and_given_ones_stay():
    small, large = (GPT2Settings().for_data(n, 1, 65) for n in (10_000, 10**9))
    assert small.size < large.size
    assert small.vocabulary == large.vocabulary == 65
    kept = GPT2Settings(size=24, heads=3).for_data(10_000, 1, 65)
    assert (kept.size, kept.heads, kept.layers) == (24, 3, small.layers)
    few, many = (RecurrentLMSettings(layers=1).for_data(n, 1, 65) for n in (10_000, 10**9))
    assert few.size < many.size
    assert few.layers == many.layers == 1


@pytest.mark.slow
def test_gpt2_alone_is_the_published_network():
    with torch.device("meta"):
        network = glial.models.build("gpt2")
    assert sum(p.numel() for p in network.parameters()) == 124_439_808


def test_what_is_no_text_is_refused():
    for name in ("gpt2", "lstm_lm"):
        with pytest.raises(InputError, match="one text"):
            glial.models.build(name, num_outputs=5, vocabularies=[5, 6])
    with pytest.raises(InputError, match="heads"):
        glial.models.build("gpt2", num_outputs=5, vocabularies=[5], size=10, heads=3)


def test_gelu_is_exact_where_that_is_asked_for():
    x = torch.linspace(-4, 4, 41, dtype=torch.float64)
    exact = x * torch.special.ndtr(x)
    acts = {}
    for gelu in ("tanh", "exact"):
        settings = GPT2Settings(vocabulary=5, context=4, size=4, layers=1, heads=1, gelu=gelu)
        acts[gelu] = next(m for m in settings.network().modules() if isinstance(m, nn.GELU))(x)
    torch.testing.assert_close(acts["exact"], exact)
    assert 1e-5 < (acts["tanh"] - exact).abs().max() < 1e-3
