"""Vectors that are all alike: what holds them apart, however the loss is written."""

from __future__ import annotations

import pytest
from tests.doctor.remedies.programs import Program

ALIKE = "representation-collapse"
TERM = "torch.relu(1 - ({}.var(0) + 1e-4).sqrt()).mean()"


def taught(text: str) -> Program:
    program = Program(text).model("net", train_at="net(").optimizer(made_at="Adam(", at=".step(")
    return program.loss(at="loss =", backward_at=".backward", model="net")


@pytest.mark.parametrize(
    ("lines", "terms"),
    [
        ("z = net(x)\n    loss = -F.cosine_similarity(z, other).mean()", ["z"]),
        ("a = net(x)\n    b = net(y)\n    loss = (a - b).pow(2).mean()", ["a", "b"]),
        ("loss = (net(x) - net(x).mean(0)).pow(2).mean()", ["net(x)"]),
    ],
)
def test_the_deviation_of_what_a_network_gives_is_kept(lines: str, terms: list[str]) -> None:
    text = f"""
opt = Adam(net.parameters())
for x, y in pairs:
    {lines}
    loss.backward()
    opt.step()
"""
    told = taught(text).first(ALIKE)
    sums = " + ".join(TERM.format(term) for term in terms)
    assert told[-1].endswith(f".mean() + {sums}")
    assert told[-2] == f"- {lines.splitlines()[-1].strip()}"


def test_what_a_predictor_is_to_meet_is_held_still() -> None:
    text = """
opt = Adam(net.parameters())
for x, y in pairs:
    a, b = net(x), net(y)
    p, q = predictor(a), predictor(b)
    loss = distance(p, b) + distance(q, a)
    loss.backward()
    opt.step()
"""
    assert taught(text).first(ALIKE) == [
        "- loss = distance(p, b) + distance(q, a)",
        "+ loss = distance(p, b.detach()) + distance(q, a.detach())",
    ]
    still = text.replace("(p, b)", "(p, b.detach())").replace("(q, a)", "(q, a.detach())")
    assert all("stop" not in line for line in taught(still).first(ALIKE))
    assert taught(still).first(ALIKE) != taught(text).first(ALIKE)
