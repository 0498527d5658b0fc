"""Networks that write one text from another: peers, laws of padding, decoding with caches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.functional import Stepwise, beam_search, greedy
from glial.models import build

END, START = 5, 6
VARIANTS = [
    ("seq2seq", {"attention": "general"}),
    ("seq2seq", {"attention": "additive", "unit": "lstm", "num_layers": 2, "num_units": 5}),
    ("seq2seq", {"attention": "none"}),
    ("seq2seq", {"attention": "dot"}),
    ("transformer", {"heads": 2}),
    ("transformer", {"heads": 2, "positions": "rotary", "norm": "last"}),
    ("transformer", {"heads": 2, "positions": "learned", "context": 20, "layers": 1}),
]
SOURCES = torch.tensor([[3, 4, 7, 5], [6, 0, 0, 0], [1, 7, 2, 0]])
TARGETS = torch.tensor([[START, 2, 3], [START, 4, 0], [START, 1, 1]])


def made(name="transformer", num_outputs=7, **settings):
    torch.manual_seed(0)
    sizes = {"num_outputs": num_outputs, "vocabularies": [9, num_outputs]}
    return build(name, size=8, dropout=0.0, **sizes, **settings).eval()


@pytest.mark.parametrize("first", [True, False])
def test_a_transformer_is_torchs(first):
    network = made(heads=2, hidden=12, norm="first" if first else "last")
    layers = nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=first)
    encoder = nn.TransformerEncoder(layers, 2, nn.LayerNorm(8), enable_nested_tensor=False)
    peer = nn.Transformer(
        8, 2, 2, 2, 12, 0.0, custom_encoder=encoder, batch_first=True, norm_first=first
    )
    state = network.state_dict()
    peer.load_state_dict({n: v for n, v in state.items() if n.startswith(("encoder", "decoder"))})
    peer.train()  # its fast path gives zeros for padding
    padding = SOURCES == 0
    read = network._placed(network.source_embedding, SOURCES, 0)
    written = network._placed(network.target_embedding, TARGETS, 0)
    causal = torch.ones(3, 3).triu(1).bool()
    found = peer(
        read,
        written,
        tgt_mask=causal,
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    expected = network.head(found)
    torch.testing.assert_close(network(SOURCES, TARGETS), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_padding_and_the_batch_change_nothing(name, settings):
    network = made(name, **settings)
    whole = network(SOURCES, TARGETS)
    longer = torch.nn.functional.pad(SOURCES, (0, 6)), torch.nn.functional.pad(TARGETS, (0, 4))
    torch.testing.assert_close(network(*longer)[:, :3], whole, rtol=1e-5, atol=1e-5)
    for row, (places, positions) in enumerate([(4, 3), (1, 2), (3, 3)]):
        alone = network(SOURCES[row : row + 1, :places], TARGETS[row : row + 1, :positions])
        torch.testing.assert_close(alone[0], whole[row, :positions], rtol=1e-5, atol=1e-5)
    order = torch.tensor([2, 0, 1])
    turned = network(SOURCES[order], TARGETS[order])
    torch.testing.assert_close(turned, whole[order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_what_comes_later_is_not_seen(name, settings):
    network = made(name, **settings)
    whole = network(SOURCES, TARGETS)
    for length in (1, 2):
        torch.testing.assert_close(
            network(SOURCES, TARGETS[:, :length]), whole[:, :length], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_step_by_step_is_all_at_once(name, settings):
    network = made(name, **settings)
    assert isinstance(network, Stepwise)
    targets = torch.tensor([[START, 2, 3, 3, 4, 1], [START, 4, 1, 2, 2, 3], [START, 1, 1, 4, 4, 2]])
    whole = network(SOURCES, targets)
    state = network.read(SOURCES)
    for position in range(6):
        before = state
        scores, state = network.step(targets[:, position], state)
        torch.testing.assert_close(scores, whole[:, position], rtol=1e-5, atol=1e-5)
        # A step leaves the state that it was given as it was.
        again, _ = network.step(targets[:, position], before)
        torch.testing.assert_close(again, scores)
        order = torch.tensor([1, 0, 2])
        state = network.select(network.select(state, order), order)


class Uncached:
    """The same network, asked with all tokens each time."""

    def __init__(self, network):
        self.network = network

    def step(self, tokens, state):
        sources, before = state
        before = torch.cat([before, tokens[:, None]], dim=1)
        return self.network(sources, before)[:, -1], (sources, before)

    def select(self, state, rows):
        return state[0][rows], state[1][rows]


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_searches_with_and_without_a_cache_agree(name, settings):
    network = made(name, **settings)
    start, options = torch.full((3,), START), {"end": END, "max_length": 6}
    bare = (SOURCES, torch.zeros(3, 0, dtype=torch.long))
    for search, more in ((greedy, {}), (beam_search, {"width": 3, "best": 2})):
        cached = search(network, network.read(SOURCES), start, **options, **more)
        plain = search(Uncached(network), bare, start, **options, **more)
        assert cached.tokens.equal(plain.tokens)
        torch.testing.assert_close(cached.scores, plain.scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "settings"), VARIANTS[:5])
def test_a_beam_of_one_is_greedy_and_a_wide_one_is_exhaustive(name, settings):
    network = made(name, 4, **settings)
    start, end, longest = torch.full((3,), 3), 2, 3
    options = {"end": end, "max_length": longest}
    one = beam_search(network, network.read(SOURCES), start, width=1, **options)
    assert one.tokens.equal(greedy(network, network.read(SOURCES), start, **options).tokens)
    wide = beam_search(network, network.read(SOURCES), start, width=4**longest, best=3, **options)
    every = torch.cartesian_prod(*[torch.arange(4)] * longest)
    before = torch.cat([torch.full((len(every), 1), 3), every[:, :-1]], dim=1)
    for row in range(3):
        with torch.no_grad():
            told = network(SOURCES[row : row + 1].expand(len(every), -1), before).log_softmax(dim=2)
        told = told.gather(2, every[:, :, None])[..., 0]
        whole = set()
        for tokens, sums in zip(every.tolist(), told, strict=True):
            kept = tokens[: tokens.index(end) + 1] if end in tokens else tokens
            whole.add((round(float(sums[: len(kept)].sum()), 4), tuple(kept)))
        for place, (sums, kept) in enumerate(sorted(whole, reverse=True)[:3]):
            assert wide.log_likelihoods[row, place].item() == pytest.approx(sums, abs=2e-4)
            assert tuple(wide.tokens[row, place, : len(kept)].tolist()) == kept


def test_a_network_without_attention_knows_places_by_the_last_state_alone():
    network = made("seq2seq", attention="none")
    state = network.read(SOURCES)
    scores, _ = network.step(TARGETS[:, 0], state)
    blind = type(state)(torch.zeros_like(state.places), state.mask, state.carried)
    assert network.step(TARGETS[:, 0], blind)[0].equal(scores)
    attentive = made("seq2seq")
    state = attentive.read(SOURCES)
    blind = type(state)(torch.zeros_like(state.places), state.mask, state.carried)
    seen, unseen = (attentive.step(TARGETS[:, 0], part)[0] for part in (state, blind))
    assert not torch.allclose(seen, unseen)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="two texts"):
        build("seq2seq", num_outputs=3, vocabularies=[4])
    with pytest.raises(InputError, match="cut into heads"):
        build("transformer", num_outputs=3, vocabularies=[4, 3], size=9, heads=2)
    network = made(heads=2, positions="learned", context=3)
    with pytest.raises(InputError, match="longer than the network's context"):
        network(SOURCES, TARGETS)
