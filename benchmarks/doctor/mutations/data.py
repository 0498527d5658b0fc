"""Faults of the data: scales, labels, order, splits, what the network is shown."""

from __future__ import annotations

import ast
import re

from doctor.catalogue import Program
from doctor.mutations.operator import Operator, Plant
from doctor.script import Fault, Script


def ready(script: Script, program: Program) -> ast.stmt | None:
    """The last statement that makes one of the program's arrays, in one block."""
    names = {n for n in program.arrays if n}
    found = None
    for node in script.nodes:
        if isinstance(node, ast.Assign):
            stored = {
                script.code(n)
                for t in node.targets
                for n in ast.walk(t)
                if isinstance(n, ast.Name | ast.Attribute)
            }
            if stored & names and (found is None or node.lineno > found.lineno):
                found = node
    return found


def inserted(*lines: str, kinds: tuple[str, ...] = (), unless: str = "") -> Plant:
    """Lines once the arrays are ready; ``{x}``, ``{y}``, ``{xt}``, ``{yt}`` are their names.

    Programs that lack one of the names, are of none of the kinds, or of one kind, are left out.
    """

    def plant(script: Script, program: Program) -> Fault | None:
        if (kinds and not set(kinds) & set(program.kinds)) or unless in program.kinds:
            return None
        fields = dict(zip(("x", "y", "xt", "yt"), program.arrays, strict=True))
        text = "\n".join(lines)
        if not all(fields[name] for name in re.findall(r"{(\w+)}", text)):
            return None
        place = ready(script, program)
        if place is None:
            return None
        return Fault([script.after(place, text.format(**fields))], placed=False)

    return plant


def unshuffled(script: Script, program: Program) -> Fault | None:
    """Rows are sorted by their class and never shuffled."""
    sort = "order = torch.as_tensor({y}).argsort(stable=True)\n{x}, {y} = {x}[order], {y}[order]"
    fault = inserted(sort, kinds=("classification", "binary"))(script, program)
    if fault is None:
        return None
    edits = []
    for node in script.nodes:
        if (
            isinstance(node, ast.keyword)
            and node.arg == "shuffle"
            and "DataLoader" in script.code(script.parents[node])
        ) and script.code(node.value) == "True":
            edits.append(script.replace(node.value, "False"))
    for call in script.calls("randperm"):
        loops = [a for a in script.ancestors(call) if isinstance(a, ast.For)]
        if loops and not call.keywords:
            edits.append(script.replace(call.func, "torch.arange"))
    return Fault([*fault.edits, *edits], [], placed=False) if edits else None


def sorted_split(script: Script, program: Program) -> Fault | None:
    """Rows sorted by class are split in their order, so the test holds what training never saw."""
    calls = script.calls("train_test_split")
    if not calls or "classification" not in program.kinds or len(calls[0].args) != 2:
        return None
    if "two" in program.kinds:
        return None  # one class alone would be left
    call = calls[0]
    x, y = (script.code(a) for a in call.args)
    if not (x.isidentifier() and y.isidentifier()):
        return None
    edits = [
        script.before(
            script.statement(call),
            f"order = sorted(range(len({y})), key={y}.__getitem__)\n"
            f"{x}, {y} = {x}[order], {y}[order]",
        )
    ]
    kept = [script.code(k) for k in call.keywords if k.arg not in ("random_state", "stratify")]
    arguments = ", ".join([x, y, *kept, "shuffle=False"])
    edits.append(script.replace(call, f"{script.code(call.func)}({arguments})"))
    return Fault(edits)


NOISE = (
    "wrong = torch.rand(len({y})) < 0.4",
    "{y}[wrong] = {y}[torch.randperm(len({y}))][wrong]",
)
RARE = (
    "few = torch.nonzero(torch.as_tensor({y}).reshape(-1) == 1)[:, 0]",
    "many = torch.nonzero(torch.as_tensor({y}).reshape(-1) == 0)[:, 0]",
    "kept = torch.cat([many, few[: max(2, len(many) // 32)]])",
    "{x}, {y} = {x}[kept], {y}[kept]",
)
CLASSES = ("classification", "binary", "multilabel")
SUPERVISED = (*CLASSES, "regression", "segmentation", "metric")
OPERATORS = (
    Operator(
        "labels-shuffled",
        ("misaligned-labels", "label-noise"),
        inserted("{y} = {y}[torch.randperm(len({y}))]", kinds=SUPERVISED),
    ),
    Operator(
        "labels-noisy",
        ("label-noise", "misaligned-labels"),
        inserted(*NOISE, kinds=("classification", "binary")),
    ),
    Operator(
        "class-merged",
        ("label-noise", "bad-split"),
        inserted("{y}[{y} == 1] = 0", kinds=("classification",), unless="two"),
    ),
    Operator("classes-3-in-100", ("class-imbalance",), inserted(*RARE, kinds=("binary", "two"))),
    Operator("unshuffled", ("unshuffled-data",), unshuffled),
    Operator("split-in-order", ("bad-split", "preprocessing-mismatch"), sorted_split),
    Operator(
        "input-times-1000",
        ("unscaled-input",),
        inserted("{x} = {x} * 1000", "{xt} = {xt} * 1000", kinds=SUPERVISED),
    ),
    Operator(
        "input-one-column-large",
        ("unscaled-input",),
        inserted(
            "{x}[:, 0] = {x}[:, 0] * 10000", "{xt}[:, 0] = {xt}[:, 0] * 10000", kinds=("flat",)
        ),
    ),
    Operator(
        "input-scaled-twice",
        ("constant-input", "unscaled-input"),
        inserted("{x} = {x} / 255 / 16", "{xt} = {xt} / 255 / 16", kinds=SUPERVISED),
    ),
    Operator(
        "input-missing",
        ("missing-values", "loss-not-finite"),
        inserted("{x}[7, 0] = float('nan')", kinds=SUPERVISED),
    ),
    Operator(
        "input-sentinel",
        ("missing-values", "unscaled-input"),
        inserted(
            "{x}[torch.rand({x}.shape) < 0.1] = -999.0",
            "{xt}[torch.rand({xt}.shape) < 0.1] = -999.0",
            kinds=("flat",),
        ),
    ),
    Operator(
        "input-logarithm",
        ("unsafe-numerics", "missing-values"),
        inserted("{x}, {xt} = torch.log(1.0 * {x}), torch.log(1.0 * {xt})"),
    ),
    Operator(
        "target-missing",
        ("missing-values", "loss-not-finite"),
        inserted("{y}[3] = float('nan')", kinds=("regression",)),
    ),
    Operator(
        "target-times-1000",
        ("unscaled-target",),
        inserted("{y}, {yt} = {y} * 1000 + 5000, {yt} * 1000 + 5000", kinds=("regression",)),
    ),
    Operator("test-unscaled", ("preprocessing-mismatch",), inserted("{xt} = {xt} * 255")),
    Operator("test-shifted", ("preprocessing-mismatch",), inserted("{xt} = {xt} + 3.0")),
    Operator(
        "few-rows", ("overfitting",), inserted("{x}, {y} = {x}[:24], {y}[:24]", kinds=SUPERVISED)
    ),
    Operator(
        "rows-repeated",
        ("duplicate-samples", "overfitting"),
        inserted(
            "again = torch.arange(len({x})) % 24",
            "{x}, {y} = {x}[again], {y}[again]",
            kinds=SUPERVISED,
        ),
    ),
    Operator(
        "test-in-training",
        ("leakage",),
        inserted(
            "{x}[: len({xt})], {y}[: len({yt})] = {xt}[: len({x})], {yt}[: len({y})]",
            kinds=SUPERVISED,
        ),
        visible=False,
    ),
    Operator(
        "label-as-feature",
        ("leakage", "target-in-input", "preprocessing-mismatch"),
        inserted(
            "{x}[:, 0] = {y}.reshape(-1)",
            "{xt}[:, 0] = {y}[: len({xt})].reshape(-1)",
            kinds=("flat",),
        ),
    ),
    Operator(
        "class-unseen",
        ("bad-split",),
        inserted("seen = {y} != 0", "{x}, {y} = {x}[seen], {y}[seen]", kinds=("classification",)),
    ),
)
