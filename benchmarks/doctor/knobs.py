"""What anybody can turn in a script without knowing what is wrong with it: rates, widths, kinds.

Each knob is a function from a script's text to another text; None where the script has no such
thing. The baselines of the repair bench are made of them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from doctor.catalogue import Program
from doctor.mutations.loop import learning_rate, setting
from doctor.mutations.network import FUNCTIONS, MODULES
from doctor.mutations.operator import Plant
from doctor.script import Edit, Fault, Script, name_of

Knob = Callable[[str], "str | None"]
_ANYTHING = Program("", ())
_BATCH_KEYWORDS = ("batch_size", "per_device_train_batch_size")


def knob(plant: Plant) -> Knob:
    """A knob of what finds edits in a script."""

    def turn(text: str) -> str | None:
        script = Script(text)
        fault = plant(script, _ANYTHING)
        if fault is None:
            return None
        turned = script.plant(fault).text
        try:
            ast.parse(turned)
        except SyntaxError:
            return None
        return turned if turned != text else None

    return turn


def rate(factor: float) -> Knob:
    """All learning rates times a factor."""
    return knob(learning_rate(factor))


def momentum(value: float) -> Knob:
    """Another momentum of stochastic gradient descent."""
    return knob(setting({"SGD"}, "momentum", f"{value:g}"))


def _scaled(script: Script, nodes: list[ast.expr], factor: float) -> list[Edit]:
    return [
        script.replace(node, str(max(1, round(node.value * factor))))
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, int)
    ]


def epochs(factor: float) -> Knob:
    """A longer or shorter training."""

    def plant(script: Script, program: Program) -> Fault | None:
        edits = _scaled(script, script.epochs, factor)
        return Fault(edits) if edits else None

    return knob(plant)


def batch(factor: float) -> Knob:
    """Larger or smaller batches."""

    def plant(script: Script, program: Program) -> Fault | None:
        keywords = [n for n in script.nodes if isinstance(n, ast.keyword)]
        sizes: list[ast.expr] = [k.value for k in keywords if k.arg in _BATCH_KEYWORDS]
        for node in script.nodes:
            if isinstance(node, ast.Assign) and script.code(node.targets[0]) == "batch_size":
                sizes.append(node.value)
        sizes += [c.args[0] for c in script.calls("split") if len(c.args) == 1 and script.trains(c)]
        edits = _scaled(script, sizes, factor)
        return Fault(edits) if edits else None

    return knob(plant)


def optimizer(kind: str, factor: float = 1.0) -> Knob:
    """Another optimiser, with the rate that was written down times a factor and no settings."""

    def plant(script: Script, program: Program) -> Fault | None:
        edits = []
        for call in script.optimizers:
            if name_of(call.func) in (kind, "LBFGS") or not call.args:
                continue
            written = script.code(call.func)
            dotted = isinstance(call.func, ast.Attribute)
            path = written[: -len(name_of(call.func))] if dotted else "torch.optim."
            given = [script.code(k.value) for k in call.keywords if k.arg == "lr"]
            given = given or [script.code(a) for a in call.args[1:2]] or ["1e-3"]
            times = f" * {factor:g}" if factor != 1 else ""
            made = f"{path}{kind}({script.code(call.args[0])}, lr={given[0]}{times})"
            edits.append(script.replace(call, made))
        return Fault(edits) if edits else None

    return knob(plant)


def activation(module: str, function: str) -> Knob:
    """Another activation in all hidden places.

    Args:
        module: Its class in ``torch.nn``.
        function: Its name in ``torch.nn.functional``.
    """

    def plant(script: Script, program: Program) -> Fault | None:
        edits = []
        for call in script.calls(*MODULES, "Sigmoid"):
            parent = script.parents[call]
            last = isinstance(parent, ast.Call) and parent.args and parent.args[-1] is call
            if not last or name_of(parent.func) != "Sequential":
                edits.append(script.replace(call, f"torch.nn.{module}()"))
        for call in script.calls(*FUNCTIONS, "sigmoid"):
            returned = isinstance(script.parents[call], ast.Return)
            if call.args and not returned and not script.trains(call):
                given = script.code(call.args[0])
                code = f"torch.nn.functional.{function}({given})"
                edits.append(script.replace(call, code))
        return Fault(edits) if edits else None

    return knob(plant)


def initialisation(name: str) -> Knob:
    """All matrices drawn anew, after whatever else was done to them."""

    def plant(script: Script, program: Program) -> Fault | None:
        if not script.networks or script.networks[0].startswith("self"):
            return None
        made = script.statement(script.optimizers[0])
        line = (
            f"for p in {script.networks[0]}.parameters():\n"
            f"    if p.dim() > 1:\n        torch.nn.init.{name}(p)"
        )
        return Fault([script.before(made, line)])

    return knob(plant)


def clipping(norm: float) -> Knob:
    """Gradients clipped to a norm before each step."""

    def plant(script: Script, program: Program) -> Fault | None:
        if not script.steps or not script.networks:
            return None
        line = f"torch.nn.utils.clip_grad_norm_({script.networks[0]}.parameters(), {norm:g})"
        return Fault([script.before(step, line) for step in script.steps])

    return knob(plant)


def normalisation(script: Script, program: Program) -> Fault | None:
    """Batch normalisation between layers and activations of plain chains."""
    edits = []
    for call in script.calls("Linear", "Conv2d"):
        parent = script.parents[call]
        chained = isinstance(parent, ast.Call) and name_of(parent.func) == "Sequential"
        if chained and len(call.args) > 1 and parent.args[-1] is not call:
            norm = "BatchNorm1d" if name_of(call.func) == "Linear" else "BatchNorm2d"
            width = script.code(call.args[1])
            edits.append(script.wrap(call, "{}, " + f"torch.nn.{norm}({width})"))
    return Fault(edits) if edits else None


def decaying(script: Script, program: Program) -> Fault | None:
    """A rate that falls by a five hundredth at every step."""
    if len(script.optimizers) != 1 or not script.steps or "lr_scheduler" in script.text:
        return None
    made, name = script.statement(script.optimizers[0]), script.optimizer_names[0]
    line = f"decay = torch.optim.lr_scheduler.ExponentialLR({name}, gamma=0.998)"
    stepped = [script.after(step, "decay.step()") for step in script.steps]
    return Fault([script.after(made, line), *stepped])


ACTIVATIONS = {
    "relu": ("ReLU", "relu"),
    "leaky-relu": ("LeakyReLU", "leaky_relu"),
    "selu": ("SELU", "selu"),
    "tanh": ("Tanh", "tanh"),
    "gelu": ("GELU", "gelu"),
}
# What a random search may turn, and where to: name of the knob, what makes it, its values.
SPACE: dict[str, tuple[Callable[[Any], Knob], tuple[Any, ...]]] = {
    "rate": (rate, (0.001, 0.01, 0.03, 0.1, 0.3, 3.0, 10.0, 30.0, 100.0, 1000.0)),
    "optimizer": (optimizer, ("SGD", "Adam", "AdamW", "RMSprop")),
    "batch": (batch, (0.25, 0.5, 2.0, 4.0)),
    "epochs": (epochs, (0.5, 1.5, 2.0, 3.0)),
    "activation": (lambda name: activation(*ACTIVATIONS[name]), tuple(ACTIVATIONS)),
    "initialisation": (
        initialisation,
        ("kaiming_normal_", "xavier_uniform_", "orthogonal_"),
    ),
    "clipping": (clipping, (0.1, 1.0, 5.0)),
}
