"""Sequences: what a place may see, what it has to predict, where it stands, where rows end."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from glial.doctor.remedies.alterations import closed, number
from glial.doctor.remedies.arrays import Arrays, fresh
from glial.doctor.remedies.case import Case
from glial.doctor.remedies.change import Change
from glial.doctor.remedies.source import Edit, Source, last_name

LONGEST = 512  # places that get an embedding, at least
RECURRENT = ("LSTM", "GRU", "RNN")


def network_class(case: Case) -> tuple[Source, ast.ClassDef] | None:
    """The class of the network, or of the layer that the finding is about."""
    model, call = case.model, Arrays(case).training_call
    if model is None:
        return None
    for source in (case.sources.of(model.at), call.source if call else None):
        for node in source.nodes if source is not None else ():
            if isinstance(node, ast.ClassDef) and node.name == model.kind and source is not None:
                return source, node
    return None


def _classes(case: Case) -> Iterator[tuple[Source, ast.ClassDef]]:
    """The network's class, and then the others of its file: blocks are often their own."""
    found = network_class(case)
    if found is not None:
        source, own = found
        yield found
        for node in source.nodes:
            if isinstance(node, ast.ClassDef) and node is not own:
                yield source, node


def _forward(kind: ast.ClassDef) -> ast.FunctionDef | None:
    return next(
        (n for n in kind.body if isinstance(n, ast.FunctionDef) and n.name == "forward"), None
    )


def _made(source: Source, kind: ast.ClassDef, *names: str) -> dict[str, ast.Call]:
    """Attributes of a class that hold a layer of some kinds, and the calls that make these."""
    found = {}
    for node in ast.walk(kind):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        if last_name(node.value.func) in names:
            found[source.code(node.targets[0])] = node.value
    return found


def _calls_of(source: Source, function: ast.AST, names: dict[str, ast.Call]) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and source.code(node.func) in names
    ]


def _has(call: ast.Call, *names: str) -> bool:
    return any(keyword.arg in names for keyword in call.keywords)


def _is_true(call: ast.Call, name: str) -> bool:
    return any(
        k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is True
        for k in call.keywords
    )


# -- what a place may see


def mask_later(case: Case) -> Iterator[Change]:
    """Attention sees no later place."""
    if "targets_that_are_the_next_token" not in case.finding.evidence:
        return
    edits: list[Edit] = []
    last: Source | None = None
    for source, kind in _classes(case):
        forward = _forward(kind)
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
    layers = _made(source, kind, "TransformerEncoder", "TransformerEncoderLayer")
    first = any(_is_true(call, "batch_first") for call in source.calls("TransformerEncoderLayer"))
    torch, more = source.refer("torch")
    nn, imports = source.refer("torch.nn")
    for call in _calls_of(source, forward, layers):
        if call.args and not _has(call, "mask", "src_mask", "is_causal") and len(call.args) == 1:
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
    attention = _made(source, kind, "MultiheadAttention")
    for call in _calls_of(source, forward, attention):
        if len(call.args) == 3 and not _has(call, "attn_mask"):
            given = closed(source, call.args[0])
            axis = 1 if _is_true(attention[source.code(call.func)], "batch_first") else 0
            size = f"{given}.size({axis})"
            mask = (
                f"{torch}.ones({size}, {size}, dtype={torch}.bool, device={given}.device).triu(1)"
            )
            yield from more
            yield source.argument(call, "attn_mask", mask)
    for call in source.calls("scaled_dot_product_attention"):
        if kind in source.ancestors(call) and not _has(call, "attn_mask") and len(call.args) == 3:
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
    """What a softmax of products of queries and keys is given; None of any other."""
    own = isinstance(call.func, ast.Attribute) and source.code(call.func.value) not in (
        source.modules.values()
    )
    given = call.func.value if own and isinstance(call.func, ast.Attribute) else None
    given = given if given is not None else next(iter(call.args), None)
    if not isinstance(given, ast.Name):
        return None
    function = source.function_of(call)
    made = [
        node
        for one in source.assignments(given.id)
        if isinstance(one, ast.Assign) and source.function_of(one) is function
        for node in ast.walk(one.value)
    ]
    products = ("matmul", "bmm", "einsum")
    multiplied = any(
        isinstance(node, ast.MatMult)
        or (isinstance(node, ast.Call) and last_name(node.func) in products)
        for node in made
    )
    return given if multiplied else None


# -- where rows end


def pack_rows(case: Case) -> Iterator[Change]:
    """Recurrent layers read rows as far as these go."""
    for source, kind in _classes(case):
        forward = _forward(kind)
        if forward is None:
            continue
        layers = _made(source, kind, *RECURRENT)
        for call in _calls_of(source, forward, layers):
            if not call.args or _is_packed(source, forward, call.args[0]):
                continue
            lengths, more = _lengths(source, kind, forward)
            if lengths is None:
                continue
            pack, imports = source.refer("torch.nn.utils.rnn.pack_padded_sequence")
            first = _is_true(layers[source.code(call.func)], "batch_first")
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
    embeddings = _made(source, kind, "Embedding")
    for call in _calls_of(source, forward, embeddings):
        if call.args and isinstance(call.args[0], ast.Name):
            return call.args[0].id
    return None


def _filling(source: Source, kind: ast.ClassDef) -> str:
    """The number that rows are filled up with."""
    for call in _made(source, kind, "Embedding").values():
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
    for source, kind in _classes(case):
        forward = _forward(kind)
        tokens = _tokens(source, kind, forward) if forward is not None else None
        if forward is None or tokens is None:
            continue
        padding = f"{tokens} == {_filling(source, kind)}"
        edits: list[Edit] = []
        encoders = _made(source, kind, "TransformerEncoder", "TransformerEncoderLayer")
        for call in _calls_of(source, forward, encoders):
            if not _has(call, "src_key_padding_mask"):
                edits.append(source.argument(call, "src_key_padding_mask", padding))
        for call in _calls_of(source, forward, _made(source, kind, "MultiheadAttention")):
            if not _has(call, "key_padding_mask"):
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


# -- where a place stands


def add_positions(case: Case) -> Iterator[Change]:
    """Each place is told where it stands."""
    for source, kind in _classes(case):
        forward = _forward(kind)
        if forward is None:
            continue
        embeddings = _made(source, kind, "Embedding")
        calls = [
            call
            for call in _calls_of(source, forward, embeddings)
            if call.args and isinstance(call.args[0], ast.Name)
        ]
        if not calls:
            continue
        call = calls[0]
        tokens = source.code(call.args[0])
        torch, more = source.refer("torch")
        unused = [
            name
            for name, made in embeddings.items()
            if not any(
                source.code(n) == name for n in ast.walk(forward) if isinstance(n, ast.Attribute)
            )
            and made is not embeddings[source.code(call.func)]
        ]
        places = f"{torch}.arange({tokens}.size(1), device={tokens}.device)"
        if unused:
            edits = [*more, source.wrap(call, f"{{}} + {unused[0]}({places})")]
        else:
            made = embeddings[source.code(call.func)]
            if len(made.args) < 2:
                continue
            width = source.code(made.args[1])
            function = source.code(made.func)
            name = "self.position"
            if any(source.code(n) == name for n in ast.walk(kind) if isinstance(n, ast.Attribute)):
                name = "self.place_embedding"
            shapes = case.model.inputs.get("train", []) if case.model else []
            longest = max([LONGEST, *(s.shape[1] for s in shapes if len(s.shape) == 2)])
            line = f"{name} = {function}({longest}, {width})"
            edits = [
                *more,
                source.after(source.statement(made), line),
                source.wrap(call, f"{{}} + {name}({places})"),
            ]
        parent = source.parents[call]
        if isinstance(parent, ast.BinOp | ast.Attribute | ast.Call) and call is not getattr(
            parent, "func", None
        ):
            last = edits.pop()
            edits.append(Edit(last.start, last.end, f"({last.text})"))
        yield Change.of(
            "add-positions",
            "adds an embedding of its place to that of each token",
            source,
            edits,
        )
        return


def use_lost_places(case: Case) -> Iterator[Change]:
    """What an embedding gave that nothing takes is added to what another one gave."""
    for source, kind in _classes(case):
        forward = _forward(kind)
        if forward is None:
            continue
        names = [node for node in ast.walk(forward) if isinstance(node, ast.Name)]
        read = [name for name in names if isinstance(name.ctx, ast.Load)]
        given = [
            one.targets[0]
            for one in ast.walk(forward)
            if isinstance(one, ast.Assign)
            and isinstance(one.value, ast.Call)
            and isinstance(one.targets[0], ast.Name)
            and re.search(r"emb|wte|wpe|tok|pos", last_name(one.value.func))
        ]
        named = [one.id for one in given if isinstance(one, ast.Name)]
        lost = [name for name in named if name not in {one.id for one in read}]
        taken = [one for one in read if one.id in named]
        if len(lost) == 1 and taken:
            first = min(taken, key=lambda one: (one.lineno, one.col_offset))
            inner = isinstance(source.parents[first], ast.BinOp | ast.Attribute)
            text = f"{first.id} + {lost[0]}"
            edit = source.replace(first, f"({text})" if inner else text)
            does = f"adds {lost[0]}, which nothing takes, to {first.id}"
            yield Change.of("use-embedding", does, source, [edit])


TABLE = {
    "target-in-input": (mask_later,),
    "unmasked-padding": (pack_rows, mask_padding),
    "missing-position": (use_lost_places, add_positions),
    "untrained-parameters": (use_lost_places,),
}
