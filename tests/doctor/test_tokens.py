"""What the doctor sees of networks over tokens: what places can see, and what they must predict."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glial.doctor import Doctor

pytestmark = pytest.mark.slow

TOKENS, LENGTH, WIDTH = 9, 8, 16


class Reader(nn.Module):
    """One layer of attention; what is not asked for is made all the same."""

    def __init__(self, *, causal: bool = True, places: bool = True, mean: bool = False) -> None:
        super().__init__()
        self.causal, self.places, self.mean = causal, places, mean
        self.token = nn.Embedding(TOKENS, WIDTH)
        self.pos = nn.Embedding(LENGTH, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.head = nn.Linear(WIDTH, TOKENS)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens)
        if self.places:
            x = x + self.pos(torch.arange(tokens.shape[1]))
        length = tokens.shape[1]
        mask = torch.ones(length, length, dtype=torch.bool).triu(1) if self.causal else None
        return self.head(x + self.attention(x, x, x, attn_mask=mask, need_weights=False)[0])


def rows(number: int = 48) -> Tensor:
    """Runs of tokens that count up from anywhere."""
    first = torch.randint(TOKENS, (number, 1))
    return (first + torch.arange(LENGTH + 2)) % TOKENS


def problems(reader: nn.Module, first: int, last: int | None, target: int) -> list[str]:
    """What is found where tokens from one place on must tell those from another place on."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(reader.parameters(), lr=0.01)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(150):
            batch = rows()
            tokens = batch[:, first:last]
            wanted = batch[:, target : target + tokens.shape[1]]
            loss = F.cross_entropy(reader(tokens).reshape(-1, TOKENS), wanted.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return [one.problem for one in doctor.findings if one.severity != "note"]


def test_the_next_token_is_what_a_causal_network_is_asked_for():
    assert problems(Reader(), 0, -2, 1) == []


@pytest.mark.parametrize(
    ("options", "target", "problem"),
    [
        ({}, 0, "target-in-input"),
        ({"causal": False}, 1, "target-in-input"),
        ({}, 2, "wrong-target"),
        ({"places": False}, 1, "missing-position"),
    ],
)
def test_what_is_asked_or_seen_wrongly_is_told(options, target, problem):
    assert problem in problems(Reader(**options), 0, -2, target)


def test_a_bag_of_tokens_is_told_where_nothing_was_made_for_places():
    reader = Reader(places=False)
    del reader.pos
    assert "missing-position" in problems(reader, 0, -2, 1)


@pytest.mark.parametrize(("shown", "found"), [(0, ["target-in-input"]), (1, [])])
def test_a_decoder_that_is_shown_what_it_must_say_is_told(shown, found):
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(TOKENS + 1, WIDTH)
            self.rnn = nn.GRU(WIDTH, WIDTH, batch_first=True)
            self.out = nn.Linear(WIDTH, TOKENS)

        def forward(self, tokens: Tensor, state: Tensor) -> Tensor:
            return self.out(self.rnn(self.token(tokens), state)[0])

    torch.manual_seed(0)
    encoder, decoder = nn.GRU(1, WIDTH, batch_first=True), Decoder()
    both = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(both, lr=0.01)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(150):
            batch = rows()[:, :LENGTH]
            _, state = encoder(batch[:, :, None].float() / TOKENS - 0.5)
            begun = torch.full((len(batch), 1), TOKENS)
            tokens = torch.cat([begun, batch[:, :-1]], 1) if shown else batch
            loss = F.cross_entropy(decoder(tokens, state).flatten(0, 1), batch.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    told = [one.problem for one in doctor.findings if one.severity != "note"]
    assert [one for one in told if one in ("target-in-input", "wrong-target")] == found


def test_gates_whose_biases_begin_far_from_nought_are_told():
    torch.manual_seed(0)
    net, head = nn.GRU(1, WIDTH, batch_first=True), nn.Linear(WIDTH, TOKENS)
    both = [*net.parameters(), *head.parameters()]
    for parameter in both[:-1]:
        if parameter.dim() == 1:
            nn.init.constant_(parameter, -20.0)
    optimizer = torch.optim.Adam(both, lr=0.01)
    with Doctor.watch(budget=math.inf) as doctor:
        for _ in range(60):
            batch = rows()
            states, _ = net(batch[:, :LENGTH, None].float() / TOKENS - 0.5)
            loss = F.cross_entropy(head(states[:, -1]), batch[:, LENGTH])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert "bad-initial-scale" in [one.problem for one in doctor.findings]
