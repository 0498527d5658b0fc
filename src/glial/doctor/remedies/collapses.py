"""Vectors that are all alike: one side of a pair is held still, or their variance is kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from glial.doctor.remedies.program.arrays import Arrays
from glial.doctor.remedies.program.case import Case, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import last_name


def stop_gradient(case: Case) -> Iterator[Change]:
    """What a predictor is to meet lets no gradient through.

    Source:
        Chen, He (2021), "Exploring simple Siamese representation learning", equation 3.
    """
    for source in case.files:
        names = [node for node in source.nodes if isinstance(node, ast.Name)]
        predicted = [
            call.args[0]
            for call in source.calls()
            if "predict" in last_name(call.func).lower()
            and call.args
            and isinstance(call.args[0], ast.Name)
        ]
        held = [
            name
            for name in names
            if isinstance(name.ctx, ast.Load)
            and name not in predicted
            and not isinstance(source.parents[name], ast.Attribute)
            and any(
                one.id == name.id and source.function_of(one) is source.function_of(name)
                for one in predicted
                if isinstance(one, ast.Name)
            )
        ]
        if held:
            edits = [source.replace(name, f"{name.id}.detach()") for name in held]
            does = "lets no gradient through to what the predictor is to meet"
            yield Change.of("stop-gradient", does, source, edits, alters_loss=True)


def keep_variance(case: Case) -> Iterator[Change]:
    """The loss holds the deviation of each unit over a batch near 1.

    Source:
        Bardes, Ponce, LeCun (2022), "VICReg", equation 1.
    """
    summed, called = case.descended, Arrays(case).training_call
    value = getattr(summed.node, "value", None) if summed is not None else None
    if summed is None or called is None or called.source is not summed.source:
        return
    if not isinstance(value, ast.Call | ast.BinOp | ast.Name | ast.UnaryOp):
        return
    source, around = summed.source, summed.source.function_of(value)
    if source.function_of(called.node) is not around or not isinstance(called.node, ast.Call):
        return
    network = source.code(called.node.func)
    given = [
        statement.targets[0].id
        for statement in source.nodes
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Call)
        and source.code(statement.value.func) == network
        and source.function_of(statement) is around
        and statement.lineno <= value.lineno
    ]
    vectors = list(dict.fromkeys(given)) or [source.code(called.node)]
    torch, imported = source.refer("torch")
    terms = " + ".join(f"{torch}.relu(1 - ({one}.var(0) + 1e-4).sqrt()).mean()" for one in vectors)
    edits = [*imported, source.wrap(value, f"{{}} + {terms}")]
    does = "adds to the loss what units lack of a deviation of 1 over a batch"
    yield Change.of("keep-variance", does, source, edits, alters_loss=True)


TABLE: Mapping[str, tuple[Remedy, ...]] = {
    "representation-collapse": (stop_gradient, keep_variance),
}
