"""Sequences: what a place may see, and where rows end."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from glial.doctor.remedies.program.alterations import closed, number
from glial.doctor.remedies.program.arrays import fresh
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.classes import (
    calls_in,
    classes_of,
    forward_of,
    has,
    is_true,
    made_in,
)
from glial.doctor.remedies.program.source import Edit, Source, last_name

RECURRENT = ("LSTM", "GRU", "RNN")
PRODUCTS = ("matmul", "bmm", "einsum")


# -- what a place may see


def attend_to_keys(case: Case) -> Iterator[Change]:
    """The weights of what a place attends to, and not those of who attends to it, add up to 1."""
    for source, kind in classes_of(case):
        for call in source.calls("softmax"):
            given = [k.value for k in call.keywords if k.arg in ("dim", "axis")]
            given = given or call.args[-1:]
            over_queries = given and source.code(given[0]) == "-2"
            if kind in source.ancestors(call) and over_queries and _scores(source, call):
                does = "lets the softmax of attention run over what is attended to"
                edit = source.replace(given[0], "-1")
                yield Change.of("attend-to-keys", does, source, [edit])


def mask_later(case: Case) -> Iterator[Change]:
    """Attention sees no later place."""
    if "targets_that_are_the_next_token" not in case.finding.evidence:
        return
    edits: list[Edit] = []
    last: Source | None = None
    for source, kind in classes_of(case):
        forward = forward_of(kind)
        if forward is not None and (last is None or last is source):
            edits += _masked(source, kind, forward)
            last = source
    if edits and last is not None:
        yield Change.of(
            "mask-later",
            "hides later places from attention by a causal mask",
            last,
            list(dict.fromkeys(edits)),
            alters_loss=True,
        )


def _masked(source: Source, kind: ast.ClassDef, forward: ast.FunctionDef) -> Iterator[Edit]:
    layers = made_in(source, kind, "TransformerEncoder", "TransformerEncoderLayer")
    made_of = source.calls("TransformerEncoderLayer", "TransformerDecoderLayer")
    first = any(is_true(call, "batch_first") for call in made_of)
    torch, more = source.refer("torch")
    nn, imports = source.refer("torch.nn")
    for call in calls_in(source, forward, layers):
        if call.args and not has(call, "mask", "src_mask", "is_causal") and len(call.args) == 1:
            whole = layers[source.code(call.func)]
            name = "mask" if last_name(whole.func) == "TransformerEncoder" else "src_mask"
            given = closed(source, call.args[0])
            mask = (
                f"{nn}.Transformer.generate_square_subsequent_mask("
                f"{given}.size({1 if first else 0}), device={given}.device)"
            )
            yield from imports
            yield source.argument(call, name, mask)
            yield source.argument(call, "is_causal", "True")
    whole_ones = made_in(source, kind, "Transformer", "TransformerDecoder")
    for call in calls_in(source, forward, whole_ones):
        if len(call.args) == 2 and not has(call, "tgt_mask"):
            made = whole_ones[source.code(call.func)]
            decodes = last_name(made.func) == "TransformerDecoder"
            axis = 1 if is_true(made, "batch_first") or (decodes and first) else 0
            given = closed(source, call.args[0 if decodes else 1])
            size = f"{given}.size({axis}), device={given}.device"
            mask = f"{nn}.Transformer.generate_square_subsequent_mask({size})"
            yield from imports
            yield source.argument(call, "tgt_mask", mask)
    attention = made_in(source, kind, "MultiheadAttention")
    for call in calls_in(source, forward, attention):
        if len(call.args) == 3 and not has(call, "attn_mask"):
            given = closed(source, call.args[0])
            axis = 1 if is_true(attention[source.code(call.func)], "batch_first") else 0
            size = f"{given}.size({axis})"
            mask = (
                f"{torch}.ones({size}, {size}, dtype={torch}.bool, device={given}.device).triu(1)"
            )
            yield from more
            yield source.argument(call, "attn_mask", mask)
    for call in source.calls("scaled_dot_product_attention"):
        if kind in source.ancestors(call) and not has(call, "attn_mask") and len(call.args) == 3:
            yield source.argument(call, "is_causal", "True")
    for call in source.calls("softmax"):
        if kind in source.ancestors(call) and not _is_masked(forward):
            scores = _scores(source, call)
            if scores is not None:
                text = closed(source, scores)
                hidden = f"{torch}.ones_like({text}).triu(1).bool()"
                yield from more
                yield source.replace(scores, f'{text}.masked_fill({hidden}, float("-inf"))')


def _is_masked(forward: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Call) and last_name(node.func) in ("masked_fill", "tril", "triu")
        for node in ast.walk(forward)  # a mask that is only made hides nothing
    )


def _scores(source: Source, call: ast.Call) -> ast.expr | None:
    """What a softmax of products of queries and keys is given, if it has a name."""
    given = _given(source, call)
    return given if isinstance(given, ast.Name) and _products(source, call) else None


def _given(source: Source, call: ast.Call) -> ast.expr | None:
    """What a softmax is given, written as a function or as a method."""
    own = isinstance(call.func, ast.Attribute) and source.code(call.func.value) not in (
        source.modules.values()
    )
    given = call.func.value if own and isinstance(call.func, ast.Attribute) else None
    return given if given is not None else next(iter(call.args), None)


def _products(source: Source, call: ast.Call) -> list[tuple[ast.expr, ast.expr]]:
    """The products that a softmax is given, each with its first factor: queries by keys."""
    given, function = _given(source, call), source.function_of(call)
    made = [given] if given is not None else []
    if isinstance(given, ast.Name):
        assigned = source.assignments(given.id)
        made += [
            one.value
            for one in assigned
            if isinstance(one, ast.Assign) and source.function_of(one) is function
        ]
    found: list[tuple[ast.expr, ast.expr]] = []
    for node in (node for one in made for node in ast.walk(one)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            found.append((node, node.left))
        elif isinstance(node, ast.Call) and last_name(node.func) in PRODUCTS and node.args:
            is_function = source.code(getattr(node.func, "value", node)) in source.modules.values()
            factors = node.args[1:] if last_name(node.func) == "einsum" else node.args
            if is_function and factors:
                found.append((node, factors[0]))
            elif isinstance(node.func, ast.Attribute) and not is_function:
                found.append((node, node.func.value))
    return found


def scale_scores(case: Case) -> Iterator[Change]:
    """What attention compares is divided by the root of the number of features.

    Source:
        Vaswani et al. (2017), "Attention is all you need", section 3.2.1.
    """
    for found in case.calls(case.finding.at, "softmax"):
        source, call = found.source, found.node
        products = _products(source, call) if isinstance(call, ast.Call) else []
        for product, queries in products[:1]:
            whole: ast.AST = product
            while _is_scaled(above := source.parents.get(whole)):
                whole = above
            told = source.code(product), closed(source, queries)
            edit = source.replace(whole, "{} / {}.shape[-1] ** 0.5".format(*told))
            does = "divides what attention compares by the root of its number of features"
            yield Change.of("scale-scores", does, source, [edit])


def _is_scaled(node: ast.AST | None) -> TypeGuard[ast.BinOp]:
    """Whether a node multiplies or divides by something."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div)


# -- where rows end


def pack_rows(case: Case) -> Iterator[Change]:
    """Recurrent layers read rows as far as these go."""
    for source, kind in classes_of(case):
        forward = forward_of(kind)
        if forward is None:
            continue
        layers = made_in(source, kind, *RECURRENT)
        for call in calls_in(source, forward, layers):
            if not call.args or _is_packed(source, forward, call.args[0]):
                continue
            lengths, more = _lengths(source, kind, forward)
            if lengths is None:
                continue
            pack, imports = source.refer("torch.nn.utils.rnn.pack_padded_sequence")
            first = is_true(layers[source.code(call.func)], "batch_first")
            text = f"{pack}({{}}, {lengths}.cpu(), batch_first={first}, enforce_sorted=False)"
            edits = [*imports, *more, source.wrap(call.args[0], text)]
            statement = source.statement(call)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
                states = source.code(statement.targets[0].elts[0])
                if states != "_" and _is_read(source, forward, states):
                    unpack, others = source.refer("torch.nn.utils.rnn.pad_packed_sequence")
                    line = f"{states}, _ = {unpack}({states}, batch_first={first})"
                    edits += [*others, source.after(statement, line)]
            yield _masked_padding(source, edits, "has recurrent layers read rows to their own end")


def _masked_padding(source: Source, edits: list[Edit], does: str) -> Change:
    return Change.of("mask-padding", does, source, list(dict.fromkeys(edits)))


def _is_read(source: Source, function: ast.AST, name: str) -> bool:
    return any(
        isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
        for n in ast.walk(function)
    )


def _is_packed(source: Source, forward: ast.FunctionDef, node: ast.expr) -> bool:
    if "pack" in source.code(node) and isinstance(node, ast.Call):
        return True
    return isinstance(node, ast.Name) and any(
        isinstance(one, ast.Assign) and "pack_padded" in source.code(one.value)
        for one in source.assignments(node.id)
        if source.function_of(one) is forward
    )


def _tokens(source: Source, kind: ast.ClassDef, forward: ast.FunctionDef) -> str | None:
    """What the tokens are called that ``forward`` embeds."""
    embeddings = made_in(source, kind, "Embedding")
    for call in calls_in(source, forward, embeddings):
        if call.args and isinstance(call.args[0], ast.Name):
            return call.args[0].id
    return None


def _filling(source: Source, kind: ast.ClassDef) -> str:
    """The number that rows are filled up with."""
    for call in made_in(source, kind, "Embedding").values():
        for keyword in call.keywords:
            if keyword.arg == "padding_idx":
                return source.code(keyword.value)
    return "0"


def _lengths(
    source: Source, kind: ast.ClassDef, forward: ast.FunctionDef
) -> tuple[str | None, list[Edit]]:
    """How long rows are, as ``forward`` is told or can count."""
    for one in forward.args.args:
        if re.search(r"len|size", one.arg):
            return one.arg, []
    for call in source.calls("pad_sequence"):
        if source.function_of(call) is forward and call.args:
            torch, imports = source.refer("torch")
            count = f"{torch}.tensor([len(row) for row in {source.code(call.args[0])}])"
            return count, imports
    tokens = _tokens(source, kind, forward)
    if tokens is None:
        return None, []
    (name,) = fresh(source, "lengths")
    line = f"{name} = ({tokens} != {_filling(source, kind)}).sum(1)"
    return name, [source.before(_first_of(forward), line)]


def _first_of(function: ast.FunctionDef) -> ast.stmt:
    body = function.body
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return body[1] if documented and len(body) > 1 else body[0]


def mask_padding(case: Case) -> Iterator[Change]:
    """Attention and means leave out what rows are filled up with."""
    for source, kind in classes_of(case):
        forward = forward_of(kind)
        tokens = _tokens(source, kind, forward) if forward is not None else None
        if forward is None or tokens is None:
            continue
        padding = f"{tokens} == {_filling(source, kind)}"
        edits: list[Edit] = []
        encoders = made_in(source, kind, "TransformerEncoder", "TransformerEncoderLayer")
        for call in calls_in(source, forward, encoders):
            if not has(call, "src_key_padding_mask"):
                edits.append(source.argument(call, "src_key_padding_mask", padding))
        for call in calls_in(source, forward, made_in(source, kind, "MultiheadAttention")):
            if not has(call, "key_padding_mask"):
                edits.append(source.argument(call, "key_padding_mask", padding))
        (known,) = fresh(source, "known")
        for node in ast.walk(forward):
            if not isinstance(node, ast.Call) or last_name(node.func) != "mean":
                continue
            axes = [*node.args, *(k.value for k in node.keywords if k.arg == "dim")]
            if isinstance(node.func, ast.Attribute) and [number(a) for a in axes] == [1.0]:
                states = closed(source, node.func.value)
                text = f"({states} * {known}).sum(1) / {known}.sum(1).clamp(min=1)"
                line = f"{known} = ({tokens} != {_filling(source, kind)}).unsqueeze(-1)"
                edits += [source.replace(node, text), source.before(_first_of(forward), line)]
        if edits:
            yield _masked_padding(
                source, edits, "leaves out what rows are filled up with, in attention and means"
            )


TABLE = {
    "saturated-units": (scale_scores,),
    "target-in-input": (attend_to_keys, mask_later),
    "unmasked-padding": (pack_rows, mask_padding),
}
