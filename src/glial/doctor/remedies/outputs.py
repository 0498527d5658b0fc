"""Activations that stand in the wrong place or run over the wrong axis, and widths of outputs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from glial.doctor.measures import BINARY, CONVOLUTIONS, LINEAR
from glial.doctor.remedies.program.case import Case, Remedy
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.source import Edit, Source, last_name
from glial.doctor.remedies.program.taking import instead, last_made, made_by, without_layer

_RECURRENT = {"GRU", "LSTM", "RNN", "TransformerEncoderLayer", "TransformerDecoderLayer"}
_RECURRENT |= {"MultiheadAttention", "Transformer"}
# Where functions along an axis are given it if not by name, counted without the tensor.
_AXES = {"softmax": 0, "log_softmax": 0, "softmin": 0, "normalize": 1, "mean": 0, "sum": 0}
_AXES |= {"Softmax": 0, "LogSoftmax": 0, "Softmin": 0, "max": 0, "std": 0, "cumsum": 0}


def give_plain_outputs(case: Case) -> Iterator[Change]:
    """The loss is given what comes before the last activation."""
    loss = case.loss
    if loss is None:
        return
    name = loss.output_function or "activation"
    does = f"takes the {name} off that stands between the outputs and {loss.name}"
    binary = case.finding.problem == "softmax-twice" and name == "sigmoid"
    halves = any(re.search(r"[<>]=?\s*0?\.5\b|\.round\(", s.text) for s in case.files)
    if binary and halves:  # what the network gives is read as a probability elsewhere
        yield from _expect_probabilities(case)
    for source, call in last_made(case, loss):
        edits = without_layer(source, call)
        if edits:
            yield Change.of(f"remove-{name}", does, source, edits, alters_loss=True)
    if binary and not halves:
        yield from _expect_probabilities(case)


def _expect_probabilities(case: Case) -> Iterator[Change]:
    """The loss takes probabilities, as it is given."""
    does = "takes the loss that expects probabilities"
    for found in (case.loss_module, case.loss_call):
        call = found.node if found is not None else None
        if found is None or not isinstance(call, ast.Call):
            continue
        names = {"BCEWithLogitsLoss": "BCELoss"}
        names |= {"binary_cross_entropy_with_logits": "binary_cross_entropy"}
        other = names.get(last_name(call.func))
        if other is not None:
            edit = _renamed(found.source, call, other)
            name = "expect-probabilities"
            yield Change.of(name, does, found.source, [edit], alters_loss=True)


def _renamed(source: Source, call: ast.Call, name: str) -> Edit:
    """Another function of the same module is called."""
    end = source.span(call.func)[1]
    return Edit(end - len(last_name(call.func)), end, name)


def answer_each_label(case: Case) -> Iterator[Change]:
    """A sigmoid in place of a softmax, where outputs are probabilities of their own."""
    loss = case.loss
    if loss is None or loss.output_function != "softmax" or loss.name not in BINARY[:1]:
        return
    for source, call in last_made(case, loss):
        edits = instead(source, call, "Sigmoid")
        if edits:
            does = "gives each output a sigmoid of its own in place of the softmax"
            yield Change.of("use-sigmoid", does, source, edits, alters_loss=True)


def keep_positive(case: Case) -> Iterator[Change]:
    """Rates and variances are made positive."""
    rates = [*case.calls(case.finding.at, "PoissonNLLLoss", "poisson_nll_loss")]
    for found in rates[:1]:
        made = found.node
        gone = None
        if isinstance(made, ast.Call):
            gone = found.source.without_argument(made, "log_input")
        if gone is not None:
            does = "takes the outputs as logarithms of the rate"
            yield Change.of("log-rate", does, found.source, [gone], alters_loss=True)
    for found in list(case.calls(case.finding.at))[:1]:
        call, source = found.node, found.source
        if "variance" not in case.finding.means or not isinstance(call, ast.Call):
            continue
        given = [k.value for k in call.keywords if k.arg == "var"] or call.args[2:3]
        path, more = source.refer("torch.exp")
        for value in _origins(source, given[0]) if given else ():
            wrapped = source.wrap(value, f"{path}({{}})")
            does = "takes the output as the logarithm of the variance"
            yield Change.of("log-variance", does, source, [wrapped, *more])


def _origins(source: Source, value: ast.expr) -> Iterator[ast.expr]:
    """Where a value comes from: what ``forward`` returns in its place, else itself."""
    name = source.code(value)
    for node in source.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            written = [source.code(one) for one in node.targets[0].elts]
            if name in written:
                for inner in source.nodes:
                    if isinstance(inner, ast.FunctionDef) and inner.name == "forward":
                        for one in ast.walk(inner):
                            parts = one.value if isinstance(one, ast.Return) else None
                            if isinstance(parts, ast.Tuple) and len(parts.elts) == len(written):
                                yield parts.elts[written.index(name)]
                return
    yield value


def take_out(case: Case) -> Iterator[Change]:
    """The layer that should not stand there is taken out, or becomes a ReLU."""
    layer = case.layer
    if layer is None:
        return
    inside = case.finding.problem == "misplaced-activation" and layer.kind.lower() == "softmax"
    cancelled = "bias" in case.finding.means and case.finding.problem == "redundant-layer"
    for source, call in made_by(case, layer):
        if cancelled:
            edits = [source.argument(call, "bias", "False")]
            name, does = "drop-bias", "leaves out the bias that the normalisation takes away"
        elif inside:
            edits = instead(source, call, "ReLU")
            name, does = "use-relu", "puts a ReLU in place of the softmax between layers"
        else:
            edits = without_layer(source, call)
            kind = layer.kind.lower()
            name, does = f"remove-{kind}", f"takes the {kind} out that should not stand there"
        if edits:
            yield Change.of(name, does, source, edits)


def turn_axis(case: Case) -> Iterator[Change]:
    """What runs over the rows of a batch runs over the last axis, or is taken out."""
    at, layer = case.finding.at, case.layer
    if layer is not None and layer.kind.lower() == "softmax" and case.model is not None:
        after = [one for one in case.model.layers if one.after == layer.name]
        if any(one.kind in (*LINEAR, *CONVOLUTIONS) for one in after):  # no attention, then
            yield from take_out(case)
    source = case.sources.of(at)
    if source is not None and at is not None:
        for call in source.calls_at(at.line, *_AXES):
            edit, of = _along_last(source, call), case.finding.evidence.get("of", -1)
            if edit is not None:
                axis = "last" if of == -1 else "classes'"
                does = f"lets {last_name(call.func)} run over the {axis} axis, not over the rows"
                edit = Edit(edit.start, edit.end, f"{of}")
                yield Change.of("last-axis", does, source, [edit])


def _along_last(source: Source, call: ast.Call) -> Edit | None:
    """The axis 0 of a call becomes the last; None where it runs over another."""
    name = last_name(call.func)
    position = _AXES[name]
    if not name[:1].isupper() and source.operand(call) in call.args:
        position += 1
    given = [k.value for k in call.keywords if k.arg in ("dim", "axis")]
    given = given or call.args[position : position + 1]
    if given and source.code(given[0]) == "0":
        return source.replace(given[0], "-1")
    if given and source.code(given[0]) == "-2":
        return source.replace(given[0], "-1")
    return None


def keep_rows_apart(case: Case) -> Iterator[Change]:
    """Recurrent layers take rows first; nothing in ``forward`` runs over the rows."""
    for source in case.files:
        lacking = [
            call
            for call in source.calls(*_RECURRENT)
            if not any(k.arg in ("batch_first", None) for k in call.keywords)
        ]
        if lacking:
            edits = [source.argument(call, "batch_first", "True") for call in lacking]
            does = "tells the recurrent layers that rows come first"
            yield Change.of("rows-first", does, source, edits)
        for function in source.nodes:
            if isinstance(function, ast.FunctionDef) and function.name == "forward":
                yield from _over_rows(source, function)


def _over_rows(source: Source, function: ast.FunctionDef) -> Iterator[Change]:
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and last_name(call.func) in _AXES:
            edit = _along_last(source, call)
            if edit is not None:
                inner = last_name(call.func) in ("mean", "sum", "max")
                edit = Edit(edit.start, edit.end, "1") if inner else edit
                does = f"lets {last_name(call.func)} run within each row"
                yield Change.of("last-axis", does, source, [edit])


TABLE: Mapping[str, tuple[Remedy, ...]] = {
    "softmax-twice": (give_plain_outputs,),
    "wrong-output-activation": (keep_positive, answer_each_label, give_plain_outputs),
    "misplaced-activation": (take_out,),
    "redundant-layer": (take_out,),
    "wrong-axis": (turn_axis, keep_rows_apart),
    "cross-sample-leak": (turn_axis, keep_rows_apart),
}
