"""Faults of the network: activations, initial weights, widths, what is cut off or left out."""

from __future__ import annotations

import ast
import itertools
import re

from doctor.catalogue import Program
from doctor.mutations.data import ready
from doctor.mutations.operator import Operator, Plant
from doctor.script import Fault, Script, name_of

MODULES = ("ReLU", "LeakyReLU", "Tanh", "ELU", "SELU", "GELU", "SiLU")
FUNCTIONS = ("relu", "leaky_relu", "tanh", "elu", "selu", "gelu", "silu")


def activations(script: Script) -> list[ast.Call]:
    """Where hidden activations are made or called; those in a loss by hand are none."""
    return [
        call
        for call in script.calls(*MODULES, *FUNCTIONS)
        if name_of(call.func) in MODULES or (call.args and not script.trains(call))
    ]


def linear(script: Script, program: Program) -> Fault | None:
    """No activations."""
    if "linear" in program.kinds:
        return None
    edits = []
    for call in activations(script):
        if name_of(call.func) in MODULES:
            edits.append(script.replace(call, "torch.nn.Identity()"))
        else:
            given, code = call.args[0], script.code(call.args[0])
            whole = isinstance(given, (ast.Name, ast.Call, ast.Attribute))
            edits.append(script.replace(call, code if whole else f"({code})"))
    near: list[ast.AST] = [script.statement(call) for call in activations(script)]
    return Fault(edits, [*near, *script.layers]) if edits else None


def sigmoids(script: Script, program: Program) -> Fault | None:
    """Sigmoids in place of all activations."""
    edits = []
    for call in activations(script):
        if name_of(call.func) in MODULES:
            edits.append(script.replace(call, "torch.nn.Sigmoid()"))
        else:
            edits.append(script.replace(call, f"torch.sigmoid({script.code(call.args[0])})"))
    return Fault(edits, script.layers) if len(edits) >= 2 else None


def doubled(script: Script, program: Program) -> Fault | None:
    """One activation stands twice."""
    made = [c for c in activations(script) if name_of(c.func) in MODULES and not c.keywords]
    return Fault([script.wrap(made[0], "{0}, {0}")]) if made else None


def initialised(*lines: str) -> Plant:
    """The first network's weights are set anew; ``{net}`` is its name."""

    def plant(script: Script, program: Program) -> Fault | None:
        if not script.networks or script.networks[0].startswith("self"):
            return None
        made = script.statement(script.optimizers[0])
        text = "\n".join(lines).format(net=script.networks[0])
        return Fault([script.before(made, text)], script.layers)

    return plant


def narrow(script: Script, program: Program) -> Fault | None:
    """Hidden layers of a plain network have one unit."""
    layers = script.calls("Linear")
    if len(layers) < 2 or re.search(r"BatchNorm|LayerNorm|Conv|GRU|LSTM|Embedding", script.text):
        return None
    if len(script.networks) != 1:
        return None
    edits = []
    for left, right in itertools.pairwise(layers):
        if len(left.args) < 2 or script.code(left.args[1]) != script.code(right.args[0]):
            return None
        edits += [script.replace(left.args[1], "1"), script.replace(right.args[0], "1")]
    return Fault(edits)


def outputs(change: int) -> Plant:
    """The last layer has more or fewer outputs than there are classes."""

    def plant(script: Script, program: Program) -> Fault | None:
        layers = script.calls("Linear")
        if "classification" not in program.kinds or not layers or len(script.networks) != 1:
            return None
        width = layers[-1].args[1]
        if not isinstance(width, ast.Constant) or not isinstance(width.value, int):
            return None
        return Fault(
            [script.replace(width, str(max(1, width.value + change)))],
            layers=[script.layer(layers[-1])],
        )

    return plant


def dropout(script: Script, program: Program) -> Fault | None:
    """Dropout of 97 %."""
    edits = [script.replace(c.args[0], "0.97") for c in script.calls("Dropout") if c.args]
    return Fault(edits) if edits else None


def last_of_sequential(script: Script) -> ast.Call | None:
    """The last linear layer, where it ends an ``nn.Sequential``."""
    for call in script.calls("Linear")[-1:]:
        parent = script.parents[call]
        if isinstance(parent, ast.Call) and name_of(parent.func) == "Sequential":
            return call if parent.args[-1] is call else None
    return None


def ended(layer: str, *kinds: str) -> Plant:
    """A layer after the last one."""

    def plant(script: Script, program: Program) -> Fault | None:
        last = last_of_sequential(script)
        if last is None or not set(kinds) & set(program.kinds):
            return None
        path = script.layer(last)
        after = f"{path[: -len(path.split('.')[-1])]}{int(path.split('.')[-1]) + 1}"
        return Fault([script.wrap(last, "{}, " + layer)], layers=[path, after])

    return plant


def last_input(script: Script) -> ast.expr | None:
    """What a network's ``forward`` hands to its last layer, where that is one call."""
    for node in script.nodes:
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            last = node.body[-1]
            call = last.value if isinstance(last, ast.Return) else None
            if not isinstance(call, ast.Call) or not call.args or "inplace" in script.text:
                return None
            layer = script.code(call.func).removeprefix("self.")
            return call.args[0] if layer.isidentifier() else None
    return None


def detached(script: Script, program: Program) -> Fault | None:
    """A hidden layer's output is cut off from the gradient."""
    given = last_input(script)
    return Fault([script.wrap(given, "({}).detach()")], script.layers[:-1]) if given else None


def statistics_kept(script: Script, program: Program) -> Fault | None:
    """Batch normalisation never updates its statistics."""
    calls = script.calls("BatchNorm1d", "BatchNorm2d")
    return Fault([script.wrap(c.args[0], "{}, momentum=0.0") for c in calls]) if calls else None


def across_rows(script: Script, program: Program) -> Fault | None:
    """Hidden values go through a softmax over the batch."""
    given = last_input(script)
    return Fault([script.wrap(given, "torch.softmax({}, dim=0)")]) if given else None


def deeper(layer: str, count: int) -> Plant:
    """Many more hidden layers with one activation."""

    def plant(script: Script, program: Program) -> Fault | None:
        for call in activations(script):
            parent = script.parents[call]
            if not isinstance(parent, ast.Call) or name_of(parent.func) != "Sequential":
                continue
            before = parent.args[max(0, parent.args.index(call) - 1)]
            if isinstance(before, ast.Call) and name_of(before.func) == "Linear":
                width = script.code(before.args[1])
                block = f"(torch.nn.Linear({width}, {width}), torch.nn.{layer}())"
                many = f"*[layer for _ in range({count}) for layer in {block}]"
                return Fault([script.wrap(call, "{}, " + many)], script.layers)
        return None

    return plant


def low_precision(script: Script, program: Program) -> Fault | None:
    """Weights and inputs are kept in bfloat16."""
    if len(script.networks) != 1 or not {"classification"} & set(program.kinds):
        return None
    if "flat" not in program.kinds or not script.optimizers:
        return None
    x, _, xt, _ = program.arrays
    place = script.statement(script.optimizers[0])
    lines = f"{script.networks[0]}.bfloat16()"
    done = ready(script, program)
    if done is None or not xt:
        return None
    cast = script.after(done, f"{x}, {xt} = {x}.bfloat16(), {xt}.bfloat16()")
    return Fault([cast, script.before(place, lines)])


WEIGHTS = "for p in {net}.parameters():"
MATRICES = "for p in {net}.parameters():\n    if p.dim() > 1:"
OPERATORS = (
    Operator("no-activations", ("missing-nonlinearity",), linear),
    Operator("sigmoids", ("vanishing-gradient", "saturated-units", "bad-initial-scale"), sigmoids),
    Operator("deep-sigmoids", ("vanishing-gradient", "saturated-units"), deeper("Sigmoid", 8)),
    Operator("deep-relus", ("vanishing-gradient", "bad-initial-scale"), deeper("ReLU", 20)),
    Operator("activation-twice", ("redundant-layer",), doubled),
    Operator(
        "zero-weights",
        ("symmetric-units", "bad-initial-scale", "dead-units"),
        initialised(WEIGHTS, "    torch.nn.init.zeros_(p)"),
    ),
    Operator(
        "constant-weights",
        ("symmetric-units",),
        initialised(WEIGHTS, "    torch.nn.init.constant_(p, 0.02)"),
    ),
    Operator(
        "large-weights",
        ("bad-initial-scale", "exploding-gradient", "saturated-units"),
        initialised(MATRICES, "        torch.nn.init.normal_(p, std=3.0)"),
    ),
    Operator(
        "small-weights",
        ("bad-initial-scale", "vanishing-gradient"),
        initialised(MATRICES, "        torch.nn.init.normal_(p, std=1e-5)"),
    ),
    Operator(
        "dead-biases",
        ("dead-units", "bad-initial-scale"),
        initialised(
            "for p in list({net}.parameters())[:-1]:\n    if p.dim() == 1:",
            "        torch.nn.init.constant_(p, -20.0)",
        ),
    ),
    Operator("one-unit-wide", ("underfitting",), narrow),
    Operator("too-many-outputs", ("wrong-output-width",), outputs(7)),
    Operator("too-few-outputs", ("wrong-output-width",), outputs(-1)),
    Operator("dropout-0.97", ("over-regularised",), dropout),
    Operator(
        "dropout-last",
        ("misplaced-activation", "over-regularised"),
        ended("torch.nn.Dropout(0.5)", "classification", "binary", "regression"),
    ),
    Operator(
        "relu-output",
        ("wrong-output-activation", "dead-units"),
        ended("torch.nn.ReLU()", "classification", "binary", "regression", "multilabel"),
    ),
    Operator(
        "sigmoid-output", ("wrong-output-activation",), ended("torch.nn.Sigmoid()", "regression")
    ),
    Operator(
        "softmax-output", ("softmax-twice",), ended("torch.nn.Softmax(dim=1)", "classification")
    ),
    Operator(
        "softmax-one-unit",
        ("wrong-output-activation", "wrong-output-width"),
        ended("torch.nn.Softmax(dim=1)", "binary", "regression"),
    ),
    Operator(
        "sigmoid-and-logits",
        ("softmax-twice",),
        ended("torch.nn.Sigmoid()", "binary", "multilabel"),
    ),
    Operator("hidden-detached", ("untrained-parameters",), detached),
    Operator("statistics-kept", ("stale-statistics",), statistics_kept),
    Operator("softmax-over-rows", ("cross-sample-leak", "wrong-axis"), across_rows),
    Operator("bfloat16-weights", ("low-precision",), low_precision),
)
