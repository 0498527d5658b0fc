"""Parameters that nothing trained: in every spelling of optimisers, freezing and cutting off."""

from __future__ import annotations

import textwrap

import pytest
from tests.doctor.remedies.programs import Program

from glial.doctor.evidence import PlayersSeen

LOST = "untrained-parameters"


def left_out(text: str, name: str = "net", *lost: str, at: str | None = None) -> Program:
    program = Program(text).optimizer(made_at="Adam(", kind="Adam", at=".step(", model=None)
    program = program.model(name, calls={"train": 9})
    for one in lost or ("body.weight",):
        program = program.parameter(one, at=at)
    return program.parameter("head.weight", optimizer="opt", reached=9)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("net.head.parameters()", "net.parameters()"),
        ("list(net.parameters())[-2:]", "net.parameters()"),
        ("net[2].parameters()", "net.parameters()"),
        ("params=net.head.parameters()", "params=net.parameters()"),
        ("[*net.head.parameters()]", "net.parameters()"),
        ("[p for p in net.head.parameters()]", "net.parameters()"),
        ("other.parameters()", "[*other.parameters(), *net.parameters()]"),
        (
            "list(other.parameters()) + list(third.parameters())",
            "list(other.parameters()) + list(third.parameters()) + list(net.parameters())",
        ),
        (
            '[{"params": net.head.parameters(), "lr": 1}]',
            '[{"params": net.head.parameters(), "lr": 1}, {"params": net.body.parameters()}]',
        ),
    ],
)
def test_the_optimizer_is_given_every_parameter(before: str, after: str) -> None:
    text = f"net = Net()\nopt = torch.optim.Adam({before})\nfor x in xs:\n    opt.step()\n"
    line = "opt = torch.optim.Adam({})"
    told = [f"- {line.format(before)}", f"+ {line.format(after)}"]
    assert left_out(text).first(LOST, at="Adam(") == told


def test_the_optimizer_is_given_every_parameter_within_a_class() -> None:
    text = """
        class Module:
            def __init__(self):
                self.net = Net()
            def configure_optimizers(self):
                return Adam(self.net.head.parameters(), lr=1e-3)
    """
    (mended,) = left_out(text.replace("return", "opt =") + "            opt.step()").mended(LOST)
    assert "Adam(self.net.parameters(), lr=1e-3)" in mended


def test_a_module_that_makes_its_own_optimizer_gives_it_all_of_itself() -> None:
    text = """
        class Classifier(L.LightningModule):
            def training_step(self, batch, number):
                return self.loss(self.body(batch[0]), batch[1])
            def configure_optimizers(self):
                return torch.optim.Adam(self.head.parameters(), lr=1e-3)
        L.Trainer().fit(Classifier(), loader)
    """
    made = Program(text).model("model", calls={"train": 9}).parameter("body.weight")
    made.evidence.models[0].kind = "Classifier"
    made = made.optimizer("Adam", "Adam", made_at="Adam(", model="model")
    told = made.first(LOST, at="Adam(")
    assert told[1] == "+ return torch.optim.Adam(self.parameters(), lr=1e-3)"


@pytest.mark.parametrize(
    "change", ["net.head = nn.Linear(3, 2)", "net = copy.deepcopy(net)", "net[2] = nn.Linear(3, 2)"]
)
def test_the_optimizer_is_made_when_the_network_is_complete(change: str) -> None:
    text = (
        "net = Net()\nopt = Adam(\n    net.parameters(),\n    lr=1e-3,\n)\n"
        f"schedule = StepLR(opt, 3)\nprint(net)\n{change}\nfor x in xs:\n    opt.step()\n"
    )
    mended = left_out(text).mended(LOST, at="Adam(")[0]
    assert mended == (
        f"net = Net()\nprint(net)\n{change}\nopt = Adam(\n    net.parameters(),\n    lr=1e-3,\n)\n"
        "schedule = StepLR(opt, 3)\nfor x in xs:\n    opt.step()\n"
    )


@pytest.mark.parametrize(
    ("before", "lines"),
    [
        (
            "for p in net.body.parameters():\n    p.requires_grad = False\n",
            ["- for p in net.body.parameters():", "- p.requires_grad = False"],
        ),
        (
            "for p in list(net.parameters())[:-2]: p.requires_grad_(False)\n",
            ["- for p in list(net.parameters())[:-2]: p.requires_grad_(False)"],
        ),
        ("net.body.requires_grad_(False)\n", ["- net.body.requires_grad_(False)"]),
        ("net.emb.weight.requires_grad = False\n", ["- net.emb.weight.requires_grad = False"]),
    ],
)
def test_what_is_frozen_learns(before: str, lines: list[str]) -> None:
    text = f"net = Net()\n{before}opt = Adam(net.parameters())\nopt.step()\n"
    program = Program(text).optimizer(made_at="Adam(", kind="Adam", at="opt.step")
    program = program.model("net").parameter("body.weight", trainable=False, optimizer="opt")
    assert program.first(LOST) == lines


FORWARD = """
    class Net(nn.Module):
        def forward(self, x):
            {}
            return self.head(h)
    net = Net()
    opt = Adam(net.parameters())
    opt.step()
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("h = self.body(x).detach()", ["h = self.body(x)"]),
        ("h = (self.body(x) + x).detach()", ["h = self.body(x) + x"]),
        ("h = self.act(self.body(x).data)", ["h = self.act(self.body(x))"]),
        ("with torch.no_grad(): h = self.body(x)", ["h = self.body(x)"]),
    ],
)
def test_layers_are_joined_to_the_loss_again(before: str, after: list[str]) -> None:
    program = Program(FORWARD.format(before)).optimizer(made_at="Adam(", at=".step(")
    program = program.model("net", at="Net()").parameter("body.weight", optimizer="opt", missed=9)
    told = program.first(LOST)
    assert [line for line in told if line[0] == "-"] == [f"- {before}"]
    assert [line for line in told if line[0] == "+"] == [f"+ {line}" for line in after]


def test_a_block_without_gradient_is_undone() -> None:
    text = """
        def forward(self, x):
            with torch.no_grad():
                if x.dim() == 3:
                    x = x[None]
                h = self.body(x)
            return self.head(h)
        net = Net()
    """
    program = Program(text).model("net", at="Net()")
    program = program.parameter("body.weight", optimizer="opt", missed=9)
    (mended,) = program.mended(LOST)
    assert mended == (
        "def forward(self, x):\n    if x.dim() == 3:\n        x = x[None]\n    h = self.body(x)\n"
        "    return self.head(h)\nnet = Net()\n"
    )


def test_what_is_only_told_stays_cut_off() -> None:
    text = """
        for x in xs:
            loss = net(x)
            loss.backward()
            total += loss.detach().item()
    """
    program = Program(text).loss(backward_at="backward").model("net")
    assert not program.parameter("body.weight", optimizer="opt", missed=9).mended(LOST)


def test_a_term_that_the_network_returns_is_added_to_the_loss() -> None:
    text = """
        net = Net()
        opt = torch.optim.Adam(net.parameters())
        for x in xs:
            rebuilt, book_loss = net(x)
            loss = F.mse_loss(rebuilt, x)
            loss.backward()
            opt.step()
    """
    made = left_out(text, "net", "book.weight").loss(at="loss =", backward_at=".backward")
    made.evidence.models[0].parameters[0].optimizer = "opt"
    told = ["- loss = F.mse_loss(rebuilt, x)", "+ loss = F.mse_loss(rebuilt, x) + book_loss"]
    assert made.first(LOST) == told
    taken = left_out(text.replace("opt.step()", "opt.step(); print(book_loss)"), "net", "book.w")
    assert taken.loss(at="loss =", backward_at=".backward").all(LOST) == []


PENALISED = """
    judge = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    opt = torch.optim.Adam(judge.parameters())
    for real, fake in games:
        slope = torch.autograd.grad(judge(fake).sum(), fake, create_graph=True)[0]
        penalty = (slope.norm(dim=1) - 1).square().mean()
        loss = judge(fake).mean() - judge(real).mean()
        loss.backward()
        opt.step()
"""


def game(text: str) -> Program:
    program = Program("from torch import nn\nimport torch\n" + textwrap.dedent(text).lstrip("\n"))
    program = program.optimizer(made_at="Adam(", kind="Adam", at=".step(", model="judge")
    program = program.model("judge", calls={"train": 9}).layer("0", "Linear", at="Linear(2, 8)")
    program = program.loss("hand-written", at="- judge(real)", backward_at=".backward()")
    program.evidence.losses[-1].model = "judge"
    program.evidence.players.append(PlayersSeen("maker", "judge"))
    return program


def test_a_penalty_that_is_computed_and_not_taken_is_added() -> None:
    found = game(PENALISED).all(
        "players-unbalanced",
        at="- judge(real)",
        where="judge",
        numbers={"spread_of_answers": 9.0},
    )
    assert found[0] == [
        "- loss = judge(fake).mean() - judge(real).mean()",
        "+ loss = judge(fake).mean() - judge(real).mean() + penalty",
    ]


def test_a_judge_without_a_penalty_is_normalised() -> None:
    text = PENALISED.replace("penalty =", "seen =")
    (found,) = game(text).all(
        "players-unbalanced",
        at="- judge(real)",
        where="judge",
        numbers={"spread_of_answers": 9.0},
    )
    assert found == [
        "+ for layer in judge.modules():",
        "+ if isinstance(layer, nn.Linear):",
        "+ nn.utils.parametrizations.spectral_norm(layer)",
    ]
