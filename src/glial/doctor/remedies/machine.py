"""The machine: number formats, waiting for data, chance, memory."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from glial.doctor.remedies.program.case import Case, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name

_LOW = ("bfloat16", "half", "float16")
_SEEDS = {"torch": "torch.manual_seed", "numpy": "numpy.random.seed", "random": "random.seed"}
_GENERATORS = ("default_rng", "RandomState", "Generator", "Random")


def keep_whole_numbers(case: Case) -> Iterator[Change]:
    """Weights and inputs are kept in float32; autocast stays as it is."""
    for source in case.files:
        edits: list[Edit] = []
        for node in source.nodes:
            if isinstance(node, ast.Call) and last_name(node.func) in _LOW and not node.args:
                statement = source.parents[node]
                alone = isinstance(statement, ast.Expr)
                end = source.span(node.func)[1]
                start = end - len(last_name(node.func))
                kept = source.remove(statement) if isinstance(statement, ast.Expr) else None
                edits.append(kept if alone and kept else Edit(start, end, "float"))
            elif isinstance(node, ast.Attribute) and source.code(node) in (
                *("torch.bfloat16", "torch.float16", "torch.half"),
            ):
                above = [a for a in source.ancestors(node) if isinstance(a, ast.Call)]
                if not any("autocast" in last_name(call.func) for call in above):
                    edits.append(source.replace(node, "torch.float32"))
        if edits:
            does = "keeps weights and inputs in float32"
            yield Change.of("use-float32", does, source, edits)


def read_ahead(case: Case) -> Iterator[Change]:
    """Workers read batches while the network learns."""
    for found in case.calls(case.finding.at, "DataLoader"):
        call = found.node
        if not isinstance(call, ast.Call):
            continue
        given = [k.value for k in call.keywords if k.arg == "num_workers"]
        now = given[0].value if given and isinstance(given[0], ast.Constant) else 0
        more = max(4, 2 * now) if isinstance(now, int) else 4
        edit = found.source.argument(call, "num_workers", str(more))
        does = "lets workers read the next batches while the network learns"
        yield Change.of("read-ahead", does, found.source, [edit])
        return


def seed_workers(case: Case) -> Iterator[Change]:
    """Each worker draws random numbers of its own."""
    for found in case.calls(case.finding.at, "DataLoader"):
        call, source = found.node, found.source
        if not isinstance(call, ast.Call):
            continue
        does = "lets each worker draw random numbers of its own"
        for node in source.tree.body:  # a function that does so may be there, and not be used
            one = isinstance(node, ast.FunctionDef) and len(node.args.args) == 1
            if one and re.search(r"initial_seed|get_worker_info", source.code(node)):
                edit = source.argument(call, "worker_init_fn", getattr(node, "name", ""))
                yield Change.of("seed-workers", does, source, [edit])
                return
        line, more = _reseeding(source, _generator_of(source, call))
        text = f"def seed_worker(worker):\n    {line}\n"
        edits = [
            *more,
            source.before(source.statement(call), text),
            source.argument(call, "worker_init_fn", "seed_worker"),
        ]
        yield Change.of("seed-workers", does, source, edits)
        return


def _generator_of(source: Source, loader: ast.Call) -> tuple[str, str] | None:
    """The attribute of a data set that holds its generator, and what makes that."""
    first = loader.args[0] if loader.args else None
    made = last_name(first.func) if isinstance(first, ast.Call) else ""
    classes = [node for node in source.nodes if isinstance(node, ast.ClassDef)]
    classes.sort(key=lambda node: node.name != made)
    for node in classes:
        for one in ast.walk(node):
            if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call):
                name = source.code(one.targets[0])
                if name.startswith("self.") and last_name(one.value.func) in _GENERATORS:
                    return name.removeprefix("self."), source.code(one.value.func)
    return None


def _reseeding(source: Source, generator: tuple[str, str] | None) -> tuple[str, list[Edit]]:
    """The line that seeds a worker anew, and the import that it needs."""
    if generator is None:
        seed, more = source.refer("numpy.random.seed")
        return f"{seed}(torch.initial_seed() % 2**32)", more
    name, maker = generator
    holder = f"torch.utils.data.get_worker_info().dataset.{name}"
    if last_name(ast.parse(maker, mode="eval").body) == "Generator":
        return f"{holder}.manual_seed(torch.initial_seed())", []
    return f"{holder} = {maker}(torch.initial_seed() % 2**32)", []


def seed_generators(case: Case) -> Iterator[Change]:
    """Every generator that is drawn from is seeded at the beginning."""
    optimizer = case.optimizer
    place = optimizer.made_at if optimizer is not None else None
    source = case.sources.of(place) or next(iter(case.files), None)
    if source is None:
        return
    imports = [n for n in source.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    if not imports:
        return
    lines: list[str] = []
    for name in case.evidence.unseeded:
        known = _SEEDS.get(name)
        if known is not None:
            written, more = source.refer(known)
            lines += ([f"import {known.partition('.')[0]}"] if more else []) + [f"{written}(0)"]
    does = "seeds the random numbers, so that two runs are alike"
    if not case.evidence.unseeded:
        written, more = source.refer("torch.use_deterministic_algorithms")
        lines = [] if more else [f"{written}(True)"]
        does = "asks torch for algorithms that sum in one order"
    if lines:
        edit = source.after(imports[-1], "\n" + "\n".join(lines))
        yield Change.of("seed", does, source, [edit])


def halve_batches(case: Case) -> Iterator[Change]:
    """Fewer rows are held at a time."""
    at = case.finding.at
    source = case.sources.of(at)
    if source is not None and at is not None:
        yield from _without_gradient(case, source, at.line)
    for one in case.files:
        for node in one.nodes:
            value: ast.expr | None = None
            if isinstance(node, ast.keyword) and (node.arg or "").endswith("batch_size"):
                value = node.value
            elif isinstance(node, ast.Assign):
                named = one.code(node.targets[0]).lower().removeprefix("self.")
                value = node.value if named in ("batch_size", "batch", "bs") else None
            if isinstance(value, ast.Constant) and isinstance(value.value, int) and value.value > 1:
                edit = one.replace(value, str(value.value // 2))
                yield Change.of("halve-batches", "halves the batches", one, [edit])


def _without_gradient(case: Case, source: Source, line: int) -> Iterator[Change]:
    """An evaluation keeps no graph."""
    for statement in source.statements_at(line)[:1]:
        around, taken = source.function_of(statement), case.backward
        if around is None or re.search(r"train|fit|step|forward", around.name):
            continue
        learns = taken is not None and around is taken.source.function_of(taken.node)
        if not learns and "no_grad" not in source.code(around):
            path, more = source.refer("torch.no_grad")
            does = "evaluates without keeping what a gradient would need"
            edits = [source.before(around, f"@{path}()"), *more]
            yield Change.of("no-grad", does, source, edits)


TABLE: Mapping[str, tuple[Remedy, ...]] = {
    "low-precision": (keep_whole_numbers,),
    "data-stall": (read_ahead,),
    "identical-workers": (seed_workers,),
    "not-reproducible": (seed_generators,),
    "out-of-memory": (halve_batches,),
}
