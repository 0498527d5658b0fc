"""The objective: losses that do not fit their targets, or are computed wrongly."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LossSeen
from glial.doctor.measures import (
    BINARY,
    CLASSES,
    DISTANCES,
    is_regression,
    main_loss,
    model_of,
    outcome,
    suffers,
)

SUM_TO_ONE = 0.98
GOODFELLOW = "Goodfellow, Bengio, Courville (2016), Deep Learning, section 6.2.2"

# What keeps a number away from nought.
_SHIFTS = {"clamp", "clamp_min", "clip", "add", "__add__"}


def losses_of(evidence: Evidence) -> list[LossSeen]:
    """The losses whose outputs were seen.

    Example:
        >>> losses_of(Evidence())
        []
    """
    return [loss for loss in evidence.losses if loss.outputs.batches]


def softmax_twice(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Probabilities where a loss expects logits."""
    for loss in losses_of(evidence):
        out = loss.outputs
        # Of sequences and images the classes stand on the second axis, and rows tell nothing.
        spread = len(out.shape) > 2 and loss.output_function == "softmax"
        twice = loss.name == "cross_entropy" and (
            (out.shape[-1:] != [1] and out.rows_sum_to_one >= SUM_TO_ONE)
            or (spread and out.shape[1] > 1 and out.min >= 0 and out.max <= 1)
        )
        sigmoid = (
            loss.name == "binary_cross_entropy_with_logits"
            and loss.output_function == "sigmoid"
            and out.min >= 0
            and out.max <= 1
        )
        if not (twice or sigmoid) or out.batches < 2:
            continue
        name = "softmax" if twice else "sigmoid"
        yield Finding(
            "softmax-twice",
            "error" if suffers(evidence) else "warning",
            loss.output_layer,
            {"rows_that_are_probabilities": out.rows_sum_to_one, "min": out.min, "max": out.max},
            f"{loss.name} is given probabilities and applies {name} to them again, which flattens "
            "its gradient",
            f"give it the network's outputs before the {name}",
            at=loss.at,
            since_step=1,
            source="PyTorch documentation, cross_entropy; pytorch/pytorch#55902",
        )


def wrong_loss(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A loss that measures something else than the task is about."""
    for loss in losses_of(evidence):
        found = _loss_fault(loss)
        if found is None:
            continue
        means, do, numbers = found
        came = outcome(evidence, loss)
        bad = suffers(evidence) or (came is not None and came.skill < 0.5)
        bad = bad or _has_an_output_for_each_class(evidence, loss)
        yield Finding(
            "wrong-loss",
            "warning" if bad else "note",
            None,
            numbers,
            means,
            do,
            at=loss.at,
            since_step=1,
            source=GOODFELLOW,
        )


def _has_an_output_for_each_class(evidence: Evidence, loss: LossSeen) -> bool:
    """Whether the network answers by class, and the loss is given but one number of that."""
    model = model_of(evidence, loss.model)
    made = model.outputs.get("train") if model is not None else None
    if made is None or loss.target is None or loss.name not in DISTANCES:
        return False
    single = len(loss.outputs.shape) == 1
    return single and len(made.shape) == 2 and made.shape[1] == len(loss.target.counts) > 2


def _loss_fault(loss: LossSeen) -> tuple[str, str, dict[str, int | float]] | None:
    target, out = loss.target, loss.outputs
    if target is None:
        return None
    numbers: dict[str, int | float] = {"target_min": target.min, "target_max": target.max}
    labels = target.whole and 2 <= len(target.counts) <= 50
    wide = len(target.shape) == 2 and target.shape[1] > 1
    if loss.name in DISTANCES and labels and set(target.counts) == {"0", "1"}:
        if wide and target.rows_sum_to_one >= SUM_TO_ONE:
            return (
                f"{loss.name} between outputs and one-hot classes: its gradient fades where the "
                "network is surely wrong",
                "use cross_entropy with the classes as numbers",
                numbers,
            )
        if loss.output_function in ("sigmoid", "softmax") and out.count == target.count:
            return (
                f"{loss.name} on {loss.output_function} outputs for yes and no: its gradient fades "
                "where the network is surely wrong",
                "use binary_cross_entropy_with_logits on plain outputs",
                numbers,
            )
    if loss.name in DISTANCES and labels and not wide and 3 <= len(target.counts) <= 20:
        dense = target.min in (0.0, 1.0) and len(target.counts) > target.max - target.min - 1
        if dense and target.count >= 20 * len(target.counts):
            return (
                f"{loss.name} on {len(target.counts)} class numbers treats them as amounts",
                "use cross_entropy with an output for each class",
                numbers,
            )
    likelihood = loss.name in BINARY or ("log" in loss.functions and loss.name == "hand-written")
    beyond = target.min < -0.01 or target.max > 1.01
    if likelihood and beyond and "float" in target.dtype:
        return (
            "a loss for probabilities on targets that are none: "
            f"they lie between {target.min:.3g} and {target.max:.3g}",
            "use mse_loss or huber_loss on plain outputs for amounts, cross_entropy for classes",
            numbers,
        )
    if loss.name in ("hinge_embedding_loss", "soft_margin_loss") and "0" in target.counts:
        return (
            f"{loss.name} expects targets -1 and 1, and is given 0",
            "turn 0 into -1",
            numbers,
        )
    return None


def shape_broadcast(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A column against a row: every output is compared with every target."""
    for loss in evidence.losses:
        if loss.broadcast:
            a, b = loss.broadcast[0]
            yield Finding(
                "shape-broadcast",
                "error",
                None,
                {"rows": a[0]},
                f"outputs of shape {a} against targets of shape {b} are silently made a table: "
                "every output is compared with every target",
                "give both the same shape, by squeeze(-1) or unsqueeze(-1)",
                at=loss.at,
                since_step=1,
                source="PyTorch documentation, broadcasting semantics",
            )


def wrong_reduction(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A sum over the batch, so that the rate depends on how many rows it has."""
    loss = main_loss(evidence)
    if loss is None or loss.reduction != "sum" or not loss.batch_sizes:
        return
    rows = loss.batch_sizes[1]
    if rows < 4 or loss.weight < 0.5 or evidence.optimizers[:1] == []:
        return
    plain = evidence.optimizers[0].kind in ("SGD", "Adagrad", "Adadelta", "ASGD")
    yield Finding(
        "wrong-reduction",
        "warning" if suffers(evidence) and plain else "note",
        None,
        {"rows": rows, "loss_at_first": loss.value.first},
        f"{loss.name} is summed over {rows} rows: the rate is in effect {rows} times as large",
        "use reduction='mean', or divide by the number of rows",
        at=loss.at,
        since_step=1,
        source="Goyal et al. (2017), Accurate, large minibatch SGD, section 2.1",
    )


def unsafe_numerics(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A logarithm or a root of what may be nought."""
    broke = evidence.loss_not_finite is not None
    for loss in evidence.losses:
        names = loss.functions
        logarithms = [n for n, name in enumerate(names) if name in ("log", "log2", "log10", "log_")]
        roots = [n for n, name in enumerate(names) if name in ("sqrt", "sqrt_", "rsqrt")]
        if logarithms and loss.name not in CLASSES + BINARY:
            before = names[: logarithms[0]]
            made = "softmax" in before or "sigmoid" in before
            made = made or loss.output_function in ("softmax", "sigmoid")
            if not _SHIFTS & set(before) and (made or broke):
                yield _unsafe(
                    evidence,
                    loss,
                    logarithms,
                    "a logarithm is taken of probabilities that may round to 0",
                    "use cross_entropy or log_softmax on the network's plain outputs",
                )
        elif roots and broke and not _SHIFTS & set(names[: roots[0]]):
            yield _unsafe(
                evidence,
                loss,
                roots,
                "a root is taken of what may be 0, where its slope is infinite",
                "add a small number under the root, or use torch.linalg.vector_norm or "
                "F.pairwise_distance",
            )


def _unsafe(evidence: Evidence, loss: LossSeen, risky: list[int], why: str, what: str) -> Finding:
    place = loss.functions_at[risky[0]] if risky[0] < len(loss.functions_at) else None
    return Finding(
        "unsafe-numerics",
        "note" if evidence.loss_not_finite is None else "error",
        None,
        {"smallest_output": loss.outputs.min, "calls": len(risky)},
        why,
        what,
        at=place or loss.at,
        since_step=evidence.loss_not_finite,
        source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 4.1",
    )


def wrong_axis(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Softmax, another normalisation, or recurrence over the rows of a batch."""
    yield from _recurrence_over_rows(evidence)
    for loss in evidence.losses:
        for number in loss.over_rows[:1]:
            name, axis = loss.functions[number], 1 if len(loss.outputs.shape) > 2 else -1
            yield Finding(
                "wrong-axis",
                "error" if suffers(evidence) else "warning",
                None,
                {"dim": 0, "of": axis, "rows": loss.batch_sizes[1] if loss.batch_sizes else 0},
                f"{name} runs over the rows of the batch: what becomes of one depends on the "
                "others",
                f"use dim={axis}",
                at=loss.functions_at[number] or loss.at,
                since_step=1,
                source=GOODFELLOW,
            )
    probe = evidence.probe("rows")
    for model in evidence.models:
        for layer in model.layers:
            if layer.kind.lower() not in ("softmax", "log_softmax", "logsoftmax"):
                continue
            if layer.settings.get("dim") == 0 and len(layer.output_shape) >= 2:
                yield Finding(
                    "wrong-axis",
                    "error" if suffers(evidence) else "warning",
                    layer.name,
                    {"dim": 0, "others_moved": probe.numbers["others"] if probe else 1.0},
                    "softmax runs over the rows of the batch instead of over the classes",
                    "use dim=-1",
                    at=layer.at,
                    since_step=1,
                    source=GOODFELLOW,
                )


def _recurrence_over_rows(evidence: Evidence) -> Iterator[Finding]:
    """Recurrent layers whose steps are as many as the targets are rows, and whose rows are not."""
    for loss in evidence.losses:
        for model in evidence.models:
            for layer in model.layers if model.name == loss.model and loss.batch_sizes else ():
                rows = range(loss.batch_sizes[0], loss.batch_sizes[-1] + 1)
                time_first = layer.settings.get("batch_first") == 0 and len(layer.input_shape) == 3
                if layer.kind not in ("RNN", "LSTM", "GRU") or not time_first:
                    continue
                steps, others = layer.input_shape[0], layer.input_shape[1]
                if steps in rows and others not in rows and others > 1:
                    yield Finding(
                        "wrong-axis",
                        "error" if suffers(evidence) else "warning",
                        layer.name,
                        {"steps": steps, "rows": others, "targets": loss.batch_sizes[-1]},
                        "the layer takes the rows of the batch for the steps of one sequence",
                        "use batch_first=True, or give it inputs with the steps first",
                        at=layer.at,
                        since_step=1,
                        source=GOODFELLOW,
                    )


def loss_not_finite(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """NaN or infinity, with where it was born."""
    step = evidence.loss_not_finite
    loss = main_loss(evidence)
    if step is None or loss is None:
        return
    born = next(
        (
            (model, layer)
            for model in evidence.models
            for layer in model.layers
            if layer.not_finite is not None and layer.not_finite <= step
        ),
        None,
    )
    yield Finding(
        "loss-not-finite",
        "error",
        born[1].name if born else None,
        {"step": step},
        f"the loss is NaN or infinite from step {step} on",
        "look at the layer and the cause named beside it; nothing is learnt after this step",
        at=loss.at,
        since_step=step,
        source="Goldberg (1991), What every computer scientist should know about floating point",
    )


def bad_initial_loss(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """The first loss is far above what a constant answer gives."""
    loss, found = main_loss(evidence), outcome(evidence)
    if loss is None or found is None or not found.constant > 1e-6 or not loss.sign > 0:
        return
    ratio = found.start / found.constant
    if ratio > 5 / sensitivity and not (is_regression(loss) and found.constant < 1e-3):
        yield Finding(
            "bad-initial-loss",
            "warning" if suffers(evidence) else "note",
            None,
            {"first_loss": found.start, "constant": found.constant},
            f"the first loss is {ratio:.1f} times that of a constant answer",
            "scale inputs and targets, and initialise the last layer near 0",
            at=loss.at,
            since_step=1,
            source="Karpathy (2019), A recipe for training neural networks",
        )
