"""Faults of the loss: what it is given, how it is summed, whether it fits the task."""

from __future__ import annotations

import ast
import re

from doctor.catalogue import Program
from doctor.mutations.operator import Operator, Plant
from doctor.script import LOSSES, Fault, Script, name_of


def given(template: str, *kinds: str, position: int = 0) -> Plant:
    """What losses of some kinds are given as outputs (or as target) is put into a template."""

    def plant(script: Script, program: Program) -> Fault | None:
        edits = [
            script.wrap(call.args[position], template)
            for kind, call in script.losses
            if kind in kinds
        ]
        return Fault(edits) if len(edits) == 1 else None

    return plant


def replaced(template: str, *kinds: str, needs: tuple[str, ...] = ()) -> Plant:
    """Losses of some kinds give way to code with ``{out}`` and ``{target}``."""

    def plant(script: Script, program: Program) -> Fault | None:
        edits = []
        if needs and not set(needs) & set(program.kinds):
            return None
        for kind, call in script.losses:
            if kind in kinds:
                out, target = (script.code(a) for a in call.args[:2])
                edits.append(script.replace(call, template.format(out=out, target=target)))
        return Fault(edits) if len(edits) == 1 else None

    return plant


def summed(script: Script, program: Program) -> Fault | None:
    """The loss is summed over the batch."""
    edits = []
    for call in script.calls(*LOSSES):
        if any(k.arg == "reduction" for k in call.keywords):
            continue
        made = name_of(call.func)[0].isupper()
        if made or (call in [c for _, c in script.losses]):
            inner = script.code(call)[:-1].rstrip().rstrip(",")
            comma = "" if inner.endswith("(") else ", "
            edits.append(script.replace(call, f"{inner}{comma}reduction='sum')"))
    return Fault(edits) if len(edits) == 1 else None


def penalised(script: Script, program: Program) -> Fault | None:
    """A penalty on all weights outweighs the loss."""
    if len(script.backwards) != 1 or len(script.networks) != 1:
        return None
    call = script.backwards[0].value
    assert isinstance(call, ast.Call)  # noqa: S101
    loss = script.code(call.func).removesuffix(".backward")
    if not loss.isidentifier() or script.networks[0].startswith("self"):
        return None
    line = f"{loss} = {loss} + sum(p.abs().sum() for p in {script.networks[0]}.parameters())"
    return Fault([script.before(script.backwards[0], line)])


def scrambled(script: Script, program: Program) -> Fault | None:
    """Every batch's columns are shuffled, as if that were an augmentation."""
    if not set(program.kinds) & {"flat", "image"} or len(script.losses) != 1:
        return None
    loop = script.loop(script.losses[0][1])
    if not isinstance(loop, ast.For) or len(script.networks) != 1:
        return None
    for node in ast.walk(loop):
        if (
            isinstance(node, ast.Call)
            and script.code(node.func) == script.networks[0]
            and node.args
        ):
            given = script.code(node.args[0])
            whole = given if given.isidentifier() or given.endswith("]") else f"({given})"
            shuffled = f"{whole}[..., torch.randperm({whole}.shape[-1])]"
            return Fault([script.replace(node.args[0], shuffled)])
    return None


def noisy(script: Script, program: Program) -> Fault | None:
    """Noise that drowns the inputs, as if that were an augmentation."""
    kinds = set(program.kinds) & {"flat", "image", "sequence"}
    if not kinds or not program.arrays[0] or len(script.losses) != 1:
        return None
    loop = script.loop(script.losses[0][1])
    if not isinstance(loop, ast.For) or len(script.networks) != 1:
        return None
    for node in ast.walk(loop):
        if (
            isinstance(node, ast.Call)
            and script.code(node.func) == script.networks[0]
            and node.args
        ):
            given = script.code(node.args[0])
            return Fault([script.replace(node.args[0], f"{given} + 8 * torch.randn_like({given})")])
    return None


def flattened(script: Script, program: Program) -> Fault | None:
    """Outputs of one column against targets without columns, or the other way round."""
    if not set(program.kinds) & {"regression"} or len(script.losses) != 1:
        return None
    kind, call = script.losses[0]
    if kind not in ("mse", "l1", "huber", "poisson"):
        return None
    template = "{}.squeeze(1)" if "column" in program.kinds else "{}.unsqueeze(1)"
    return Fault([script.wrap(call.args[1], template)])


def by_hand(script: Script, program: Program) -> Fault | None:
    """Cross-entropy by hand, with a logarithm of what may be zero."""
    template = (
        "-torch.log(torch.softmax(30 * {out}, 1))[torch.arange(len({target})), {target}].mean()"
    )
    return replaced(template, "cross_entropy", needs=("classification",))(script, program)


def unsmooth(script: Script, program: Program) -> Fault | None:
    """Labels smoothed by 0.95."""
    if re.search("label_smoothing", script.text):
        return None
    calls = list(script.calls("CrossEntropyLoss", "cross_entropy"))
    if len(calls) != 1:
        return None
    inner = script.code(calls[0])[:-1].rstrip().rstrip(",")
    comma = "" if inner.endswith("(") else ", "
    return Fault([script.replace(calls[0], f"{inner}{comma}label_smoothing=0.95)")])


POINTS = ("mse", "l1", "huber", "binary", "poisson")
OPERATORS = (
    Operator(
        "softmax-before-loss",
        ("softmax-twice",),
        given("torch.softmax({}, dim=1)", "cross_entropy"),
    ),
    Operator(
        "log-softmax-over-rows",
        ("wrong-axis", "cross-sample-leak", "softmax-twice"),
        given("torch.log_softmax({}, dim=0)", "cross_entropy"),
    ),
    Operator("sigmoid-before-loss", ("softmax-twice",), given("torch.sigmoid({})", "binary")),
    Operator("loss-summed", ("wrong-reduction", "learning-rate-too-high"), summed),
    Operator("penalty-huge", ("over-regularised",), penalised),
    Operator("columns-shuffled", ("harmful-augmentation",), scrambled),
    Operator("noise-drowns", ("harmful-augmentation",), noisy),
    Operator("column-against-row", ("shape-broadcast",), flattened),
    Operator(
        "squares-for-classes",
        ("wrong-loss",),
        replaced(
            "torch.nn.functional.mse_loss({out}.max(1).values, {target}.float())",
            "cross_entropy",
            needs=("classification",),
        ),
    ),
    Operator(
        "entropy-of-one-column",
        ("wrong-loss", "wrong-output-width"),
        replaced("torch.nn.functional.cross_entropy({out}, {target})", *POINTS, needs=("column",)),
    ),
    Operator("logarithm-of-zero", ("unsafe-numerics", "loss-not-finite"), by_hand),
    Operator("labels-smoothed-away", ("over-regularised",), unsmooth),
    Operator(
        "output-relu-in-loss",
        ("wrong-output-activation",),
        given("torch.relu({})", "mse", "l1", "huber"),
    ),
)
