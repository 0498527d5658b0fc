"""Faults of the loop: the optimiser, its rate and schedule, the order of calls, modes, time."""

from __future__ import annotations

import ast
import re

from doctor.catalogue import Program
from doctor.mutations.operator import Operator, Plant
from doctor.script import Fault, Script, name_of

ADAPTIVE = {"Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adamax"}


def number(script: Script, node: ast.expr, factor: float) -> str:
    """A number of the script times a factor, as somebody would write it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return f"{float(node.value) * factor:g}"
    return f"{script.code(node)} * {factor:g}"


def learning_rate(factor: float) -> Plant:
    """All learning rates times a factor."""

    def plant(script: Script, program: Program) -> Fault | None:
        edits = [script.replace(rate, number(script, rate, factor)) for rate in script.rates]
        return Fault(edits) if edits else None

    return plant


def setting(classes: set[str], name: str, value: str) -> Plant:
    """One keyword of every optimiser of some classes."""

    def plant(script: Script, program: Program) -> Fault | None:
        edits = []
        for call in script.optimizers:
            if name_of(call.func) not in classes:
                continue
            given = [k for k in call.keywords if k.arg == name]
            if given:
                edits.append(script.replace(given[0].value, value))
            else:
                last = call.keywords[-1].value if call.keywords else call.args[-1]
                edits.append(script.wrap(last, "{}, " + f"{name}={value}"))
        return Fault(edits) if edits else None

    return plant


def missing_zero_grad(script: Script, program: Program) -> Fault | None:
    """Gradients are never cleared."""
    cleared = [s for s in script.methods("zero_grad") if script.backwards]
    near: list[ast.AST] = [s for c in cleared for s in body(script, c) if s is not c]
    return Fault([script.remove(s) for s in cleared], near) if cleared else None


def body(script: Script, statement: ast.stmt) -> list[ast.stmt]:
    """The simple statements beside one."""
    loop = script.loop(statement)
    return [s for s in getattr(loop, "body", []) if not hasattr(s, "body")]


def missing_step(script: Script, program: Program) -> Fault | None:
    """The first optimiser never steps."""
    if not script.steps or not script.backwards:
        return None
    name = script.code(script.steps[0].value).split("(")[0]
    gone = [s for s in script.steps if script.code(s).startswith(name)]
    near: list[ast.AST] = [s for g in gone for s in body(script, g) if s is not g]
    near += [script.statement(script.optimizers[0])]
    return Fault([script.remove(s) for s in gone], near)


def step_first(script: Script, program: Program) -> Fault | None:
    """The optimiser steps before gradients are taken; those are cleared before their use."""
    edits = []
    for step in script.steps:
        beside = body(script, step)
        ahead = [s for s in beside if s in script.backwards and s.lineno < step.lineno]
        cleared = [s for s in beside if s in script.methods("zero_grad")]
        if ahead and cleared and cleared[0].lineno < ahead[-1].lineno:
            edits += script.swap(ahead[-1], step)
    return Fault(edits) if edits else None


def cleared_late(script: Script, program: Program) -> Fault | None:
    """Gradients are cleared between backward and step."""
    edits = []
    for clear in script.methods("zero_grad"):
        beside = body(script, clear)
        after = [s for s in beside if s in script.backwards and s.lineno > clear.lineno]
        if after:
            edits += [script.remove(clear), script.after(after[0], script.code(clear))]
    return Fault(edits) if edits else None


def ascent(script: Script, program: Program) -> Fault | None:
    """The sign of the loss is wrong."""
    calls = [s.value for s in script.backwards if isinstance(s.value, ast.Call)]
    if len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
        return None
    return Fault([script.wrap(calls[0].func.value, "(-{})")])


def ascent_returned(script: Script, program: Program) -> Fault | None:
    """The sign of the loss that a training step returns is wrong."""
    for node in script.nodes:
        if isinstance(node, ast.FunctionDef) and node.name == "training_step":
            last = node.body[-1]
            if isinstance(last, ast.Return) and last.value is not None:
                return Fault([script.wrap(last.value, "-{}")])
    return None


def eval_while_training(script: Script, program: Program) -> Fault | None:
    """The network is put into evaluation mode for training."""
    if not re.search(r"Dropout|BatchNorm", script.text):
        return None
    edits = [
        script.replace(s, script.code(s).replace(".train()", ".eval()"))
        for s in script.methods("train")
        if ".train()" in script.code(s)
    ]
    return Fault(edits) if edits else None


def train_while_evaluating(script: Script, program: Program) -> Fault | None:
    """Nobody calls ``eval()``."""
    if not re.search(r"Dropout|BatchNorm", script.text):
        return None
    found = script.methods("eval")
    if not found:
        return None
    near: list[ast.AST] = []
    for statement in found:
        block = next(
            b
            for _, b in ast.iter_fields(script.parents[statement])
            if isinstance(b, list) and statement in b
        )
        near += block[block.index(statement) + 1 :][:2]
    return Fault([script.remove(s) for s in found], near)


def last_layer_only(script: Script, program: Program) -> Fault | None:
    """The optimiser is given the last layer's parameters only."""
    for call in script.optimizers[:1]:
        if call.args and script.code(call.args[0]).endswith(".parameters()"):
            return Fault([script.wrap(call.args[0], "list({})[-2:]")], script.layers[:-1])
    return None


def frozen(script: Script, program: Program) -> Fault | None:
    """All but the last layer's parameters are frozen."""
    for call in script.optimizers[:1]:
        if call.args and script.code(call.args[0]).endswith(".parameters()"):
            given = script.code(call.args[0])
            line = f"for p in list({given})[:-2]:\n    p.requires_grad_(False)"
            near = [script.statement(call), *script.layers[:-1]]
            return Fault([script.before(script.statement(call), line)], near)
    return None


def head_replaced(script: Script, program: Program) -> Fault | None:
    """The last layer is replaced after the optimiser was given the old one."""
    linear = [c for c in script.calls("Linear") if script.layer(c)]
    if len(script.optimizers) != 1 or len(script.networks) != 1 or not linear:
        return None
    made, path = script.statement(script.optimizers[0]), script.layer(linear[-1])
    network = script.networks[0]
    if network == "self" or not all(isinstance(a, ast.Constant) for a in linear[-1].args):
        return None
    target = "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in path.split("."))
    line = f"{network}{target} = {script.code(linear[-1])}"
    return Fault([script.after(made, line)], [made], [path])


def network_replaced(script: Script, program: Program) -> Fault | None:
    """The network is copied after the optimiser was given the old one, and the copy trained."""
    if len(script.networks) != 1 or not script.networks[0].isidentifier() or not script.backwards:
        return None
    made, network = script.statement(script.optimizers[0]), script.networks[0]
    line = f"import copy\n\n{network} = copy.deepcopy({network})"
    return Fault([script.after(made, line)], [made, *script.layers])


def fewer_epochs(script: Script, program: Program) -> Fault | None:
    """Training stops at a thirtieth of its time."""
    edits = []
    for node in script.epochs:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            edits.append(script.replace(node, str(max(1, node.value // 30))))
        elif not isinstance(node, ast.Constant):
            edits.append(script.wrap(node, "max(1, {} // 30)"))
    return Fault(edits) if edits else None


def decays_at_once(script: Script, program: Program) -> Fault | None:
    """A schedule halves the rate at every update."""
    if len(script.optimizers) != 1 or len(script.steps) != 1 or "lr_scheduler" in script.text:
        return None
    made, name = script.statement(script.optimizers[0]), script.optimizer_names[0]
    line = f"scheduler = torch.optim.lr_scheduler.ExponentialLR({name}, gamma=0.5)"
    return Fault([script.after(made, line), script.after(script.steps[0], "scheduler.step()")])


def warms_up_forever(script: Script, program: Program) -> Fault | None:
    """A warm-up a thousand times longer than the training."""
    if len(script.optimizers) != 1 or len(script.steps) != 1 or "lr_scheduler" in script.text:
        return None
    made, name = script.statement(script.optimizers[0]), script.optimizer_names[0]
    warm = "lambda s: min(1.0, s / 1_000_000)"
    line = f"warmup = torch.optim.lr_scheduler.LambdaLR({name}, {warm})"
    return Fault([script.after(made, line), script.after(script.steps[0], "warmup.step()")])


def scheduled_per_batch(script: Script, program: Program) -> Fault | None:
    """The schedule that was meant for epochs steps at every batch."""
    made = script.calls("StepLR", "ExponentialLR", "MultiStepLR")
    if not made or len(script.steps) != 1:
        return None
    name = script.code(script.statement(made[0])).split(" =")[0]
    stepped = script.methods("step", [name])
    if not stepped or script.loop(stepped[0]) is script.loop(script.steps[0]):
        return None
    moved = script.after(script.steps[0], script.code(stepped[0]))
    return Fault([script.remove(stepped[0]), moved], [script.statement(made[0])])


def batch(value: str) -> Plant:
    """Another number of rows in a batch."""

    def plant(script: Script, program: Program) -> Fault | None:
        edits = []
        if int(value) > 10_000 and "drop_last" in script.text:
            return None  # no batch would be left
        for node in script.nodes:
            if isinstance(node, ast.keyword) and node.arg in (
                "batch_size",
                "per_device_train_batch_size",
            ):
                if isinstance(node.value, ast.Constant):
                    edits.append(script.replace(node.value, value))
            elif (
                isinstance(node, ast.Assign)
                and script.code(node.targets[0]) == "batch_size"
                and isinstance(node.value, ast.Constant)
            ):
                edits.append(script.replace(node.value, value))
        return Fault(edits[:1]) if edits else None

    return plant


def pairs_in_batch_norm(script: Script, program: Program) -> Fault | None:
    """Batches of two rows under batch normalisation, and as many updates as before."""
    fault = batch("2")(script, program) if "BatchNorm" in script.text else None
    if fault is None or not script.epochs:
        return None
    for node in script.epochs:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            fault.edits.append(script.replace(node, str(max(1, node.value // 10))))
    return fault


def clipped_to_nothing(script: Script, program: Program) -> Fault | None:
    """Gradients are clipped to a norm of a millionth."""
    if len(script.steps) != 1 or "clip" in script.text or not script.networks:
        return None
    line = f"torch.nn.utils.clip_grad_norm_({script.networks[0]}.parameters(), 1e-6)"
    return Fault([script.before(script.steps[0], line)])


def losses_kept(script: Script, program: Program) -> Fault | None:
    """Losses are kept with their graphs."""
    if len(script.backwards) != 1 or not isinstance(script.backwards[0].value, ast.Call):
        return None
    loop = script.loop(script.backwards[0])
    outer = [a for a in script.ancestors(script.backwards[0]) if isinstance(a, ast.For)]
    loss = script.code(script.backwards[0].value.func).removesuffix(".backward")
    if not outer or not isinstance(loop, ast.For | ast.While) or not loss.isidentifier():
        return None
    step = script.steps[-1] if script.steps else script.backwards[0]
    keep = script.after(step, f"history.append({loss} + 0.0)")
    return Fault([script.before(outer[-1], "history = []"), keep])


def sleepy(script: Script, program: Program) -> Fault | None:
    """Every batch takes long to come."""
    loaders = script.calls("DataLoader")
    if not loaders or "collate_fn" in script.text:
        return None
    call = loaders[0]
    last = call.keywords[-1].value if call.keywords else call.args[-1]
    slow = (
        "def collate(rows):\n    import time\n\n    time.sleep(0.01)\n"
        "    return torch.utils.data.default_collate(rows)\n"
    )
    made = script.statement(call)
    return Fault([script.before(made, slow), script.wrap(last, "{}, collate_fn=collate")], [made])


HIGH = ("learning-rate-too-high", "exploding-gradient")
LOW = ("learning-rate-too-low",)
SETTING = "wrong-optimizer-setting"
OPERATORS = (
    Operator("rate-times-100", HIGH, learning_rate(100)),
    Operator("rate-times-10000", HIGH, learning_rate(10000)),
    Operator("rate-over-10000", LOW, learning_rate(1e-4)),
    Operator("momentum-0.999", (SETTING, *HIGH), setting({"SGD"}, "momentum", "0.999")),
    Operator("epsilon-one", (SETTING, *LOW), setting(ADAPTIVE, "eps", "1.0")),
    Operator(
        "decay-huge",
        ("over-regularised", SETTING),
        setting(ADAPTIVE | {"SGD"}, "weight_decay", "2.0"),
    ),
    Operator(
        "maximised",
        ("gradient-ascent",),
        setting(ADAPTIVE - {"LBFGS"} | {"SGD"}, "maximize", "True"),
    ),
    Operator("missing-zero-grad", ("missing-zero-grad",), missing_zero_grad),
    Operator("missing-step", ("missing-step",), missing_step),
    Operator("step-before-backward", ("wrong-order", "missing-step"), step_first),
    Operator("cleared-before-step", ("wrong-order",), cleared_late),
    Operator("sign-flipped", ("gradient-ascent",), ascent),
    Operator("sign-flipped-return", ("gradient-ascent",), ascent_returned),
    Operator("eval-in-training", ("wrong-mode", "stale-statistics"), eval_while_training),
    Operator("train-in-evaluation", ("wrong-mode",), train_while_evaluating),
    Operator("optimizer-last-layer", ("untrained-parameters",), last_layer_only),
    Operator("frozen-body", ("untrained-parameters",), frozen),
    Operator("head-replaced", ("untrained-parameters",), head_replaced),
    Operator("network-replaced", ("untrained-parameters",), network_replaced),
    Operator("few-epochs", ("undertrained",), fewer_epochs),
    Operator("schedule-at-once", ("schedule-collapse",), decays_at_once),
    Operator("warm-up-forever", ("schedule-collapse", *LOW), warms_up_forever),
    Operator("schedule-per-batch", ("schedule-collapse",), scheduled_per_batch),
    Operator("one-batch", ("batch-size-unsuitable", "undertrained", *LOW), batch("100000")),
    Operator(
        "batch-of-two", ("batch-size-unsuitable", "learning-rate-too-high"), pairs_in_batch_norm
    ),
    Operator("clipped-to-nothing", (SETTING, *LOW), clipped_to_nothing),
    Operator("losses-kept", ("memory-growth",), losses_kept, visible=False),
    Operator("slow-loader", ("data-stall",), sleepy, visible=False),
)
