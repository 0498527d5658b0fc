"""Sequences are mended in the source: masks, shifts, padding, positions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.doctor.remedies.scripts import after, case_of, names, new, ran
from torch import nn

NEXT = {"targets_that_are_the_next_token": 1.0, "places_that_see_later_tokens": 1.0}

BLOCKS = '''
import torch
from torch import nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.qkv = nn.Linear(d, 3 * d)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        {}


class Reader(nn.Module):
    """Predicts the next token."""

    def __init__(self, vocab=9, d=8):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.attention = Attention(d)
        layer = nn.TransformerEncoderLayer(d, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.mha = nn.MultiheadAttention(d, 2, batch_first=True)
        other = nn.TransformerDecoderLayer(d, 2, 16, dropout=0.0, batch_first=True)
        self.decoder = nn.TransformerDecoder(other, 1)
        self.whole = nn.Transformer(d, 2, 1, 1, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(d, vocab)

    def forward(self, tokens):
        x = self.embed(tokens)
        x = {}
        return self.head(x)


torch.manual_seed(0)
net = Reader()
for batch in torch.zeros(1, 2, 5).long():
    x, y = batch[:, :-1], batch[:, 1:]
    loss = F.cross_entropy(net(x).transpose(1, 2), y)  # learns  # loss
'''

FORMS = {
    "encoder": ("return v", "self.encoder(x)"),
    "multihead": ("return v", "self.mha(x, x, x)[0]"),
    "function": ("return F.scaled_dot_product_attention(q, k, v)", "self.attention(x)"),
    "decoder": ("return v", "self.decoder(x, torch.zeros_like(x))"),
    "whole": ("return v", "self.whole(torch.zeros_like(x), x)"),
    "by hand": (
        "scores = q @ k.transpose(-2, -1) / 3\n        return F.softmax(scores, dim=-1) @ v",
        "self.attention(x)",
    ),
    "by method": (
        "scores = torch.matmul(q, k.mT)\n        return scores.softmax(-1) @ v",
        "self.attention(x)",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_no_place_sees_a_later_one_behind_a_mask(form: str, tmp_path: Path) -> None:
    script = BLOCKS.format(*FORMS[form])
    case = case_of("target-in-input", script, numbers=NEXT, kind="Reader")
    tokens = torch.arange(6)[None] % 5
    other = tokens.clone()
    other[0, -1] = 7

    def moved(text: str) -> torch.Tensor:
        net: nn.Module = ran(tmp_path, text)["net"]
        with torch.no_grad():
            difference: torch.Tensor = (net(tokens) - net(other)).abs().amax(-1)[0]
        return difference

    assert bool((moved(script)[:-1] > 1e-4).any())
    assert bool((moved(after(case, "mask-later"))[:-1] == 0).all())


def test_attention_that_is_masked_is_left_alone() -> None:
    form = "return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)"
    script = BLOCKS.format(form, "self.attention(x)")
    assert "mask-later" not in names(
        case_of("target-in-input", script, numbers=NEXT, kind="Reader")
    )


@pytest.mark.parametrize("form", ["by hand", "by method"])
def test_a_softmax_over_who_attends_is_turned(form: str) -> None:
    right = BLOCKS.format(*FORMS[form])
    wrong = right.replace("dim=-1) @ v", "dim=-2) @ v").replace("softmax(-1)", "softmax(-2)")
    assert wrong != right
    case = case_of("target-in-input", wrong, numbers=NEXT, kind="Reader")
    assert after(case, "attend-to-keys") == right
    healthy = case_of("target-in-input", right, numbers=NEXT, kind="Reader")
    assert "attend-to-keys" not in names(healthy)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (
            "att = q @ k.transpose(-2, -1) * 100",
            "att = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5",
        ),
        ("att = 3 * (q @ k.mT) / 2", "att = q @ k.mT / q.shape[-1] ** 0.5"),
        ("att = torch.matmul(q, k.mT)", "att = torch.matmul(q, k.mT) / q.shape[-1] ** 0.5"),
        (
            'att = torch.einsum("bqd,bkd->bqk", q, k)',
            'att = torch.einsum("bqd,bkd->bqk", q, k) / q.shape[-1] ** 0.5',
        ),
        ("att = q.bmm(k.mT) * 9", "att = q.bmm(k.mT) / q.shape[-1] ** 0.5"),
    ],
)
def test_what_attention_compares_is_scaled(wrong: str, right: str, tmp_path: Path) -> None:
    form = "{}\n        return torch.softmax(att, -1) @ v"
    script = BLOCKS.format(form.format(wrong), "self.attention(x)")
    case = case_of("saturated-units", script, at="torch.softmax", kind="Reader")
    mended = after(case, "scale-scores")
    assert new(script, mended) == [right]
    ran(tmp_path, mended)


def test_a_softmax_of_something_else_is_not_scaled() -> None:
    form = "att = self.qkv(q)\n        return torch.softmax(att, -1) @ v"
    script = BLOCKS.format(form, "self.attention(x)")
    case = case_of("saturated-units", script, at="torch.softmax", kind="Reader")
    assert "scale-scores" not in names(case)


def test_a_mask_that_is_only_made_hides_nothing() -> None:
    script = BLOCKS.format(*FORMS["by hand"])
    script = script.replace(
        "super().__init__()", "super().__init__()\n        torch.ones(1).tril()"
    )
    case = case_of("target-in-input", script, numbers=NEXT, kind="Reader")
    assert "torch.ones(1).tril()" in script
    assert "masked_fill" in after(case, "mask-later")


SAME = {"targets_that_are_the_token_itself": 1.0}

LANGUAGE = """
import torch

net = Reader()
loss_fn = torch.nn.CrossEntropyLoss()
for i in range(0, 900, 25):
    {}
    logits = net({})  # learns
    loss = loss_fn({})  # loss
"""


@pytest.mark.parametrize(
    ("made", "given", "loss", "wanted"),
    [
        (
            "x = rows[i]",
            "x",
            "logits.view(-1, 9), x.view(-1)",
            [
                "logits = net(x[:, :-1])",
                "loss = loss_fn(logits.reshape(-1, 9), x[:, 1:].reshape(-1))",
            ],
        ),
        (
            "x = ids[:, i:i + 25]; y = ids[:, i:i + 25]",
            "x",
            "logits.transpose(1, 2), y",
            ["x = ids[:, i:i + 25]; y = ids[:, i + 1:i + 26]"],
        ),
        (
            "x, y = b[:, :-1], b[:, :-1]",
            "x",
            "logits.mT, y",
            ["x, y = b[:, :-1], b[:, 1:]"],
        ),
    ],
)
def test_targets_are_shifted_to_the_next_token(
    made: str, given: str, loss: str, wanted: list[str]
) -> None:
    script = LANGUAGE.format(made, given, loss)
    case = case_of("target-in-input", script, numbers=SAME)
    assert new(script, after(case, "shift-targets")) == wanted


def test_targets_that_were_shifted_twice_are_shifted_once() -> None:
    script = LANGUAGE.format(
        "x, y = b[:, :-1], b[:, 1:]", "x", "logits[:, :-1].reshape(-1, 9), y[:, 1:].reshape(-1)"
    )
    case = case_of("wrong-target", script, numbers={"two_ahead": 1.0})
    assert new(script, after(case, "shift-targets")) == [
        "loss = loss_fn(logits.reshape(-1, 9), y.reshape(-1))"
    ]
    script = LANGUAGE.format("x, y = d[:, i:i + 25], d[:, i + 2:i + 27]", "x", "logits.mT, y")
    case = case_of("wrong-target", script, numbers={"two_ahead": 1.0})
    assert new(script, after(case, "shift-targets")) == [
        "x, y = d[:, i:i + 25], d[:, i + 1:i + 26]"
    ]


def test_values_end_where_episodes_end() -> None:
    script = LANGUAGE.format(
        "states, actions, rewards, after, done = draw()",
        "states",
        "logits, rewards + 0.9 * net(after).amax(1)",
    )
    case = case_of("wrong-target", script, numbers={"unused_marks": 1.0})
    assert new(script, after(case, "stop-at-ends")) == [
        "loss = loss_fn(logits, rewards + 0.9 * net(after).amax(1) * (1 - done.float()))"
    ]


def test_marks_of_the_end_are_known_by_how_they_were_kept() -> None:
    script = "memory = []\nmemory.append((s, a, r, s2, done))\n" + LANGUAGE.format(
        "bs, ba, br, bs2, bd = map(torch.tensor, zip(*memory))",
        "bs",
        "logits, br + 0.9 * net(bs2).amax(1)",
    )
    case = case_of("wrong-target", script, numbers={"unused_marks": 1.0})
    assert new(script, after(case, "stop-at-ends")) == [
        "loss = loss_fn(logits, br + 0.9 * net(bs2).amax(1) * (1 - bd.float()))"
    ]


PADDED = """
import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 8, padding_idx=0)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, tokens{}):
        x = self.embed(tokens)
        {}


torch.manual_seed(0)
net = Reader()
out = net(torch.ones(2, 3).long(){})  # learns  # loss
"""


@pytest.mark.parametrize(
    ("told", "body", "remedy"),
    [
        ("", "_, h = self.rnn(x)\n        return self.head(h[-1])", 0),
        (", lengths", "_, h = self.rnn(x)\n        return self.head(h[-1])", 0),
        ("", "x = self.encoder(x)\n        return self.head(x.mean(1))", 0),
    ],
)
def test_answers_do_not_depend_on_how_far_rows_are_filled_up(
    told: str, body: str, remedy: int, tmp_path: Path
) -> None:
    script = PADDED.format(told, body, ", torch.tensor([3, 3])" if told else "")
    case = case_of("unmasked-padding", script, kind="Reader")
    short = torch.tensor([[3, 4, 5]])
    long = torch.tensor([[3, 4, 5, 0, 0]])
    more = (torch.tensor([3]),) if told else ()

    def moved(text: str) -> float:
        net: nn.Module = ran(tmp_path, text)["net"].eval()
        with torch.no_grad():
            return float((net(short, *more) - net(long, *more)).abs().max())

    assert moved(script) > 1e-3
    assert moved(after(case, "mask-padding", remedy)) < 1e-6


def test_order_is_seen_after_positions_were_added(tmp_path: Path) -> None:
    script = BLOCKS.format(*FORMS["encoder"])
    case = case_of("missing-position", script, kind="Reader")
    mended = after(case, "add-positions")
    assert new(script, mended) == [
        "self.position = nn.Embedding(512, d)",
        "x = self.embed(tokens) "
        "+ self.position(torch.arange(tokens.size(1), device=tokens.device))",
    ]
    first, second = torch.tensor([[1, 2, 3]]), torch.tensor([[2, 1, 3]])

    def moved(text: str) -> float:
        net: nn.Module = ran(tmp_path, text)["net"].eval()
        with torch.no_grad():
            return float((net(first) - net(second))[0, -1].abs().max())

    assert moved(script) < 1e-5
    assert moved(mended) > 1e-3


def test_positions_that_were_made_and_forgotten_are_added() -> None:
    script = BLOCKS.format(*FORMS["encoder"]).replace(
        "self.attention =", "self.places = nn.Embedding(64, d)\n        self.attention ="
    )
    case = case_of("missing-position", script, kind="Reader")
    mended = after(case, "add-positions")
    assert new(script, mended) == [
        "x = self.embed(tokens) + self.places(torch.arange(tokens.size(1), device=tokens.device))"
    ]


def test_what_an_embedding_gave_is_used() -> None:
    script = BLOCKS.format(*FORMS["encoder"])
    script = script.replace(
        "self.attention =", "self.pos_emb = nn.Embedding(64, d)\n        self.attention ="
    )
    line = "x = self.embed(tokens)\n"
    assert line in script
    lines = [
        "place = self.pos_emb(torch.arange(tokens.size(1)))",
        "token = self.embed(tokens)",
        "x = self.drop(token)",
    ]
    script = script.replace(line, "\n        ".join(lines) + "\n")
    for problem in ("untrained-parameters", "missing-position"):
        mended = after(case_of(problem, script, kind="Reader"), "use-embedding")
        assert new(script, mended) == ["x = self.drop(token + place)"]


def test_targets_are_shifted_where_a_function_gives_them() -> None:
    script = LANGUAGE.format("x, y = batch(i)", "x", "logits.transpose(1, 2), y")
    script = script.replace(
        "net = Reader()",
        "def batch(i):\n    x, z = rows[:, i : i + 25], rows[:, i : i + 25]\n    return x, z\n\n"
        "net = Reader()",
    )
    case = case_of("target-in-input", script, numbers=SAME, kind="Reader")
    (line,) = new(script, after(case, "shift-targets"))
    assert line == "x, z = rows[:, i : i + 25], rows[:, i + 1:i + 26]"


def test_a_decoder_is_given_what_it_said_before() -> None:
    script = LANGUAGE.format("source, y = pair(i); x = y", "source, x", "logits.mT, y")
    script += "begun = torch.full((len(rows), 1), START)\n"
    case = case_of("target-in-input", script, numbers=SAME, kind="Reader")
    (line,) = new(script, after(case, "shift-targets"))
    assert line.endswith("x = torch.cat([torch.full_like(y[:, :1], START), y[:, :-1]], 1)")


FILLED = """
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, rows):
        padded = pad_sequence(rows, batch_first=True)
        _, last = self.gru(padded)
        return self.head(last[0])


torch.manual_seed(0)
net = Net()
for batch in []:
    loss = nn.functional.cross_entropy(net(batch), labels)  # learns  # loss
"""


def test_rows_that_the_network_fills_up_itself_are_packed(tmp_path: Path) -> None:
    case = case_of("unmasked-padding", FILLED, kind="Net")
    short, long = torch.randn(3, 1), torch.randn(9, 1)
    for text, alike in ((FILLED, False), (after(case, "mask-padding"), True)):
        net = ran(tmp_path, text)["net"]
        with torch.no_grad():
            assert torch.allclose(net([short])[0], net([short, long])[0], atol=1e-6) is alike
