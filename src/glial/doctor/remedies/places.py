"""Where a place of a sequence stands: embeddings of places that are made, computed or lacking."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.classes import calls_in, classes_of, forward_of, made_in
from glial.doctor.remedies.program.source import Edit, last_name

LONGEST = 512  # places that get an embedding, at least


def add_positions(case: Case) -> Iterator[Change]:
    """Each place is told where it stands."""
    for source, kind in classes_of(case):
        forward = forward_of(kind)
        if forward is None:
            continue
        embeddings = made_in(source, kind, "Embedding")
        calls = [
            call
            for call in calls_in(source, forward, embeddings)
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
    for source, kind in classes_of(case):
        forward = forward_of(kind)
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
    "missing-position": (use_lost_places, add_positions),
    "untrained-parameters": (use_lost_places,),
}
