"""The schedule of the rate, and how long and on how many rows at a time is trained."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass

from glial.doctor.measures import optimizers_of
from glial.doctor.remedies.program.case import Case, Found
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.numbers import (
    labels,
    named_numbers,
    number_behind,
    value_of,
    written,
)
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.rates import higher_rate

EPOCHS = {"epochs", "max_epochs", "num_epochs", "n_epochs", "num_train_epochs", "nb_epochs"}
EPOCHS |= {"max_steps", "max_iters", "num_steps", "n_steps", "iterations", "EPOCHS", "NUM_EPOCHS"}
WARM_UPS = ("warmup_steps", "num_warmup_steps", "warmup_iters", "total_iters", "warmup")
BATCHES = ("batch_size", "per_device_train_batch_size", "train_batch_size", "bs", "BATCH_SIZE")
EPOCH_LIKE = ("StepLR", "ExponentialLR", "MultiStepLR")
LEFT, HELD_DOWN = 0.01, 0.1  # of a rate: next to nothing, and far below it
USUAL_ROWS, FEWEST_STEPS = 32, 200
LEAST_LONGER, MOST_LONGER = 3.0, 30.0


@dataclass(frozen=True)
class Count:
    """How often something is repeated: an expression of the source, and its value if known."""

    source: Source
    node: ast.expr
    value: float | None

    def times(self, factor: float) -> Edit:
        """It becomes a multiple."""
        if self.value is not None:
            return self.to(max(1, math.ceil(self.value * factor)))
        code = self.source.code(self.node)
        code = f"({code})" if isinstance(self.node, ast.BinOp | ast.IfExp) else code
        return self.source.replace(self.node, f"{code} * {math.ceil(factor)}")

    def to(self, value: int) -> Edit:
        """It becomes another number."""
        return self.source.replace(self.node, str(value))


def epochs(case: Case) -> Count | None:
    """How many epochs are trained, or steps where there are no epochs.

    Example:
        >>> from glial.core.findings import Finding
        >>> from glial.doctor.evidence import Evidence
        >>> epochs(Case(Finding("undertrained", "note", None, {}, "It.", "Do."), Evidence()))
    """
    step = case.step
    found = _turns(step.source, step.node) if step is not None else None
    if found is not None and step is not None:
        value = value_of(found)
        if value is None and isinstance(found, ast.Name | ast.Attribute | ast.Subscript):
            known = [(s, n) for s in case.files for k, n in labels(s) if k == last_name(found)]
            fixed = [(s, n, value_of(n)) for s, n in known if value_of(n) is not None]
            if len(fixed) == 1:
                return Count(*fixed[0])
        return Count(step.source, found, value)
    for source in case.files:
        named = [n for k, n in labels(source) if k in EPOCHS and value_of(n) is not None]
        if len(named) == 1:
            return Count(source, named[0], value_of(named[0]))
    return None


def _turns(source: Source, node: ast.AST, depth: int = 3) -> ast.expr | None:
    """What the outermost loop around a call counts to, where it is around a call of that."""
    for loop in reversed(source.loops_of(node)):
        counted = _counted(loop.iter) if isinstance(loop, ast.For) else None
        if counted is not None:
            function = source.function_of(node)
            above = _above(source, function, depth) if function is not None else None
            return above or counted
    function = source.function_of(node)
    return _above(source, function, depth) if function is not None else None


def _above(
    source: Source, function: ast.FunctionDef | ast.AsyncFunctionDef, depth: int
) -> ast.expr | None:
    for call in source.calls(function.name) if depth else ():
        found = _turns(source, call, depth - 1)
        if found is not None:
            return found
    return None


def _counted(node: ast.expr) -> ast.expr | None:
    """The end of a ``range``, also within ``tqdm``; None of a range with a stride."""
    if not isinstance(node, ast.Call):
        return None
    if last_name(node.func) in ("range", "trange") and 1 <= len(node.args) <= 2:
        return node.args[-1]
    return _counted(node.args[0]) if last_name(node.func) == "tqdm" and node.args else None


# -- schedules


def schedule(case: Case) -> Iterator[Change]:
    """Once an epoch in place of once a batch; a fall over the whole training; a constant rate."""
    optimizer = case.optimizer
    made = _schedule_call(case)
    steps = optimizer.steps if optimizer is not None else 0
    for source in case.files:
        for name, node in labels(source):
            value = value_of(node)
            if name in WARM_UPS and value is not None and value > 0.5 * steps > 0:
                fewer = str(max(1, steps // 10))
                says = f"warms up for {fewer} steps, a tenth of the training"
                yield Change.of("shorter-warm-up", says, source, [source.replace(node, fewer)])
    if made is None or not isinstance(made.node, ast.Call) or not made.node.args:
        return
    source, call = made.source, made.node
    statement = source.statement(call)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    step = f"{source.code(target)}.step" if target is not None else None
    stepped = [c for c in source.calls("step") if source.code(c.func) == step]
    given, turns = source.code(call.args[0]), epochs(case)
    if len(stepped) == 1 and not stepped[0].args:
        moved = _once_an_epoch(source, stepped[0], call, turns)
        if moved:
            says = "steps the schedule once an epoch, not at every batch"
            yield Change.of("schedule-per-epoch", says, source, moved)
    prefix = source.code(call.func).removesuffix(last_name(call.func))
    length = _length(case, source, stepped, steps, turns)
    if length is not None:
        new, imported = _beside(source, prefix, "CosineAnnealingLR")
        says = "lets the rate fall over the whole training, by a cosine"
        edit = source.replace(call, f"{new}({given}, T_max={length})")
        yield Change.of("whole-schedule", says, source, [edit, *imported])
    new, imported = _beside(source, prefix, "ConstantLR")
    edit = source.replace(call, f"{new}({given}, factor=1.0)")
    says = "keeps the rate as it is"
    yield Change.of("constant-rate", says, source, [edit, *imported])


def held_down(case: Case) -> Iterator[Change]:
    """Another schedule where one keeps the rate far below what the optimiser was made with."""
    optimizer = case.optimizer
    begun = optimizer.settings.get("initial_lr", 0.0) if optimizer is not None else 0.0
    top = max(optimizer.lr.values, default=math.inf) if optimizer is not None else math.inf
    if top < HELD_DOWN * begun:
        yield from schedule(case)


def _schedule_call(case: Case) -> Found | None:
    optimizer = case.optimizer
    place = optimizer.scheduler_at if optimizer is not None else None
    named = [
        one
        for one in case.calls(place or case.finding.at)
        if isinstance(one.node, ast.Call)
        and (
            last_name(one.node.func).endswith(("LR", "Restarts"))
            or "schedule" in last_name(one.node.func)
        )
    ]
    return next(iter(named), None)


def _beside(source: Source, prefix: str, name: str) -> tuple[str, list[Edit]]:
    if prefix.rstrip(".").endswith("lr_scheduler"):
        return f"{prefix}{name}", []
    return source.refer(f"torch.optim.lr_scheduler.{name}")


def _once_an_epoch(
    source: Source, stepped: ast.Call, call: ast.Call, turns: Count | None
) -> list[Edit]:
    loops = source.loops_of(stepped)
    statement = source.statement(stepped)
    if last_name(call.func) not in EPOCH_LIKE or not isinstance(statement, ast.Expr):
        return []
    if not loops or statement not in loops[0].body:
        return []
    after = _caller(source, stepped) if len(loops) == 1 else (loops[0], source.code(statement))
    if after is None:
        return []
    count = turns.value if turns is not None else None
    gamma = next((value_of(k.value) for k in call.keywords if k.arg == "gamma"), None)
    size = next((value_of(k.value) for k in call.keywords if k.arg == "step_size"), None) or 1.0
    if count and gamma and gamma ** (count / size) < LEFT:
        return []  # that would leave no rate either
    return [source.remove(statement), source.after(*after)]


def _caller(source: Source, stepped: ast.Call) -> tuple[ast.stmt, str] | None:
    """Where the function that steps through batches is called each epoch, and the step there."""
    function, owner = source.function_of(stepped), getattr(stepped.func, "value", None)
    if function is None or not isinstance(owner, ast.Name):
        return None
    names = [one.arg for one in function.args.args]
    calls = [one for one in source.calls(function.name) if source.loops_of(one)]
    if len(calls) != 1 or owner.id not in names:
        return None
    (call,) = calls
    given = [k.value for k in call.keywords if k.arg == owner.id]
    given = given or call.args[names.index(owner.id) :][:1]
    return (source.statement(call), f"{source.code(given[0])}.step()") if given else None


def _length(
    case: Case, source: Source, stepped: list[ast.Call], steps: int, turns: Count | None
) -> str | None:
    """How often a schedule is stepped in the whole training."""
    step = case.step
    if len(stepped) != 1 or step is None or step.source is not source:
        return None
    if source.loops_of(stepped[0])[:1] == source.loops_of(step.node)[:1]:
        return str(steps) if steps else None
    return written(turns.value) if turns is not None and turns.value else None


# -- longer, shorter, on other batches


def longer(case: Case) -> Iterator[Change]:
    """As many more epochs as are missing by what was learnt so far; three times as many."""
    turns = epochs(case)
    skill = float(case.finding.evidence.get("skill", math.nan))
    reference = case.evidence.rows.score
    possible = reference if reference > 0 else 1.0
    wanted = possible / skill if skill > 0 else MOST_LONGER
    factors = [10.0 if wanted < 10 else MOST_LONGER] if wanted > 2 * LEAST_LONGER else []
    for factor in (*factors, LEAST_LONGER) if turns is not None else ():
        if turns is not None:
            says = f"trains {factor:g} times as long"
            name = "more-epochs" if factor == LEAST_LONGER else "many-more-epochs"
            edits = [turns.times(factor)]
            yield Change.of(name, says, turns.source, edits, longer=factor)
    yield from higher_rate(case)


def shorter(case: Case) -> Iterator[Change]:
    """The training ends where the evaluation loss was lowest."""
    turns, used = epochs(case), optimizers_of(case.evidence)
    steps, lowest = sum(o.steps for o in used), case.finding.since_step
    if turns is None or turns.value is None or lowest is None or not 0 < lowest < steps:
        return
    count = max(1, math.ceil(turns.value * lowest / steps))
    if count < turns.value:
        says = f"stops after {count} of {turns.value:g} turns, where the evaluation was best"
        yield Change.of("stop-at-best", says, turns.source, [turns.to(count)])


def batch_size(case: Case) -> Iterator[Change]:
    """Batches of 32 rows; of as many, and longer where batches become fewer."""
    rows = float(case.finding.evidence.get("rows", math.nan))
    found = _batch(case, rows)
    turns = epochs(case)
    if found is not None:
        source, node = found
        says = f"takes batches of {USUAL_ROWS} rows"
        edit = source.replace(node, str(USUAL_ROWS))
        several = [Change.of("usual-batches", says, source, [edit])]
        if rows < USUAL_ROWS and turns is not None and turns.source is source:
            edits = [edit, turns.times(10)]
            longer_too = f"{says}, and ten times the epochs"
            longer_by = max(1.0, 10 * rows / USUAL_ROWS)
            name = "usual-batches-longer"
            several.append(Change.of(name, longer_too, source, edits, longer=longer_by))
        used = max((o.steps for o in optimizers_of(case.evidence)), default=0)
        few = 0 < used * rows / USUAL_ROWS < FEWEST_STEPS
        yield from reversed(several) if few else several
    if turns is not None and rows > USUAL_ROWS:
        says = "trains 10 times as long"
        yield Change.of("more-epochs", says, turns.source, [turns.times(10)], longer=10.0)


def _batch(case: Case, rows: float) -> tuple[Source, ast.expr] | None:
    """Where the number of rows in a batch is written down."""
    loader = case.loader
    made = case.call(loader.at, "DataLoader") if loader is not None else None
    if made is not None and isinstance(made.node, ast.Call):
        given = [k.value for k in made.node.keywords if k.arg == "batch_size"]
        given = given or made.node.args[1:2]
        if given and value_of(given[0]) is not None:
            return made.source, given[0]
        if given:
            number = number_behind(case, made.source, given[0], rows)
            if value_of(number.node) is not None:
                return number.source, number.node
            return made.source, given[0]
    for number in named_numbers(case, BATCHES, rows):
        return number.source, number.node
    for source in case.files:
        named = [n for k, n in labels(source) if k in BATCHES and value_of(n) is not None]
        if len(named) == 1 and (value_of(named[0]) or 0) >= rows:
            return source, named[0]
        for call in source.calls("split"):
            if len(call.args) == 1 and value_of(call.args[0]) == rows:
                return source, call.args[0]
    return None


TABLE = {
    "schedule-collapse": (schedule,),
    "learning-rate-too-low": (held_down,),
    "undertrained": (longer,),
    "batch-size-unsuitable": (batch_size,),
    "overfitting": (shorter,),
}
