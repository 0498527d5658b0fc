"""The loop: gradients that are not cleared, steps that are not made, parameters left out, modes."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, LossSeen, ModelSeen, OptimizerSeen, ParameterSeen
from glial.doctor.measures import (
    BATCH_NORMS,
    CLASSES,
    DISTANCES,
    ENOUGH,
    is_called,
    main_loss,
    optimizers_of,
    outcome,
    path_in,
    suffers,
    trained_models,
)


def missing_zero_grad(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Gradients of the step before are there, unchanged, when the next are added to them."""
    for optimizer in evidence.optimizers:
        kept, cleared = optimizer.kept_gradients, optimizer.cleared_gradients
        if kept >= ENOUGH / sensitivity and kept > 9 * cleared:
            yield Finding(
                "missing-zero-grad",
                "error",
                None,
                {"steps_with_old_gradients": kept, "steps_without": cleared},
                f"{optimizer.name} never has its gradients cleared: each step uses the sum of all "
                "gradients so far",
                f"call {optimizer.name}.zero_grad() before each backward pass",
                at=optimizer.at,
                since_step=2,
                source="PyTorch documentation, Optimizer.zero_grad; pytorch/pytorch#47175",
            )


def missing_step(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Gradients are taken again and again, and nothing is changed by them."""
    loss = main_loss(evidence)
    if loss is None or evidence.steps or len(loss.value) < 5 / sensitivity:
        return
    if evidence.sampled:
        return  # rounds were looked at before the training: no step was meant
    if any(p.changed for model in evidence.models for p in model.parameters):
        return
    yield Finding(
        "missing-step",
        "error",
        None,
        {"backward_passes": len(loss.value), "steps": 0},
        "gradients are computed and no optimiser ever steps, so the weights stay as they were",
        "call optimizer.step() after loss.backward()",
        at=loss.at,
        source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 8.3",
    )


def wrong_order(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """An optimiser steps while there are no gradients."""
    for optimizer in evidence.optimizers:
        looked = len(optimizer.backwards)
        reached = any(optimizer.backwards)
        if looked >= ENOUGH and reached and optimizer.empty_steps >= 0.9 * looked:
            yield Finding(
                "wrong-order",
                "error",
                None,
                {"steps_without_gradients": optimizer.empty_steps, "steps": looked},
                f"{optimizer.name} steps when its gradients have been cleared or not yet computed",
                "in each round: zero_grad, forward, backward, then step",
                at=_cleared_between(optimizer) or optimizer.at,
                source="PyTorch documentation, torch.optim",
            )


def _cleared_between(optimizer: OptimizerSeen) -> Place | None:
    """The line that clears gradients, where it stands between the backward pass and the step."""
    places = optimizer.backward_at, optimizer.cleared_at, optimizer.at
    taken, cleared, stepped = places
    if taken is None or cleared is None or stepped is None:
        return None
    same = taken.file == cleared.file == stepped.file
    return cleared if same and taken.line < cleared.line < stepped.line else None


def gradient_ascent(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """The number that is descended falls as the loss rises, or updates go uphill."""
    for optimizer, loss in _descents(evidence):
        yield from _ascent(evidence, optimizer, loss)


def _descents(evidence: Evidence) -> Iterator[tuple[OptimizerSeen, LossSeen]]:
    """Optimisers with what each descends, where that is known."""
    used, loss = optimizers_of(evidence), main_loss(evidence)
    if len(used) == 1 and loss is not None:
        yield used[0], loss
    for optimizer in used if len(used) > 1 else []:
        own = [loss for loss in evidence.losses if loss.model == optimizer.model is not None]
        # Who plays against another may have to make a loss larger; who learns labels may not.
        if len(own) == 1 and own[0].name in (*CLASSES, *DISTANCES) and len(own[0].value) >= ENOUGH:
            came = outcome(evidence, own[0])
            if came is not None and not came.end < came.start:
                yield optimizer, own[0]


def _ascent(evidence: Evidence, optimizer: OptimizerSeen, loss: LossSeen) -> Iterator[Finding]:
    found = outcome(evidence, loss)
    if found is None:
        return
    uphill = optimizer.alignment.mean() < -0.3 and len(optimizer.alignment) >= ENOUGH
    turned = loss.sign < 0 and loss.name not in ("hand-written", "kl_div", "gaussian_nll_loss")
    maximized = optimizer.settings.get("maximize", 0.0) > 0
    if turned == (uphill or maximized):
        return
    yield Finding(
        "gradient-ascent",
        "error",
        None,
        {"sign": loss.sign, "alignment": optimizer.alignment.mean(), "loss_at_end": found.end},
        f"training makes the loss ({loss.name}) larger, not smaller",
        "take the minus sign (or maximize=True) away",
        at=_turned_at(loss) if turned else optimizer.made_at or optimizer.at,
        source="Braiek, Khomh (2023), Testing feedforward neural networks training programs, TOSEM",
    )


def _turned_at(loss: LossSeen) -> Place | None:
    """The line that turns the sign of a loss function's value."""
    turns = ("neg", "__neg__", "negative", "mul", "__mul__", "__rmul__", "sub", "__rsub__")
    behind = loss.functions.index(loss.name) + 1 if loss.name in loss.functions else 0
    for name, place in zip(loss.functions[behind:], loss.functions_at[behind:], strict=True):
        if name in turns:
            return place or loss.at
    return loss.backward_at or loss.at


def untrained_parameters(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Parameters that take part in the forward pass and that no step changes."""
    if not evidence.sampled or not any(o.parameters for o in evidence.optimizers):
        return
    loss = main_loss(evidence)
    for model in trained_models(evidence):
        held = [p for p in model.parameters if p.optimizer is not None]
        if not held and not (loss and loss.model == model.name):
            continue  # a network that only passes gradients on
        yield from _left_out(evidence, model)
        yield from _cut_off(evidence, model)


def _left_out(evidence: Evidence, model: ModelSeen) -> Iterator[Finding]:
    lost = [p for p in model.parameters if p.optimizer is None and p.trainable]
    lost = [p for p in lost if is_called(model, p)]
    if not lost:
        return
    share = sum(_size(p) for p in lost) / max(1, model.size)
    is_last = lost[-1] is model.parameters[-1]
    yield Finding(
        "untrained-parameters",
        "error" if suffers(evidence) or is_last else "warning",
        path_in(evidence, model, lost[0].layer),
        {"parameters": len(lost), "share_of_values": share},
        f"{len(lost)} parameters from {lost[0].name} on are in no optimiser and never change",
        "make the optimiser after the network is complete, or add them with add_param_group",
        at=lost[0].at or _maker(evidence, model),
        since_step=1,
        source="PyTorch documentation, torch.optim (constructing it)",
    )


def _cut_off(evidence: Evidence, model: ModelSeen) -> Iterator[Finding]:
    cut = [p for p in model.parameters if p.optimizer and p.missed >= ENOUGH and not p.reached]
    cut = [p for p in cut if is_called(model, p)]
    if not cut:
        return
    share = sum(_size(p) for p in cut) / max(1, model.size)
    yield Finding(
        "untrained-parameters",
        "error" if suffers(evidence) else "warning",
        path_in(evidence, model, cut[0].layer),
        {"parameters": len(cut), "share_of_values": share},
        f"no gradient ever reaches {cut[0].name}"
        + (f" and {len(cut) - 1} other parameters" if len(cut) > 1 else ""),
        "look for detach(), .data, no_grad() or .item() between these layers and the loss",
        at=_cut_at(evidence, model, cut) or cut[0].at,
        since_step=1,
        source="PyTorch documentation, autograd mechanics",
    )


def _maker(evidence: Evidence, model: ModelSeen) -> Place | None:
    """Where the optimiser was made that should hold a network's parameters."""
    used = optimizers_of(evidence)
    own = [optimizer for optimizer in used if optimizer.model == model.name] or used
    return own[0].made_at if own else None


def _cut_at(evidence: Evidence, model: ModelSeen, cut: list[ParameterSeen]) -> Place | None:
    """Where a whole network was cut off, on the way to the number that its optimiser follows."""
    if any(p.reached for p in model.parameters):
        return None
    for optimizer in evidence.optimizers:
        for loss in evidence.losses:
            taught = loss.backward_at is not None and loss.backward_at == optimizer.backward_at
            if taught and optimizer.name == cut[0].optimizer:
                return loss.cut_at or loss.at
    return None


def frozen_parameters(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Parameters that were set not to be trained, in a network that falls short."""
    for model in trained_models(evidence):
        frozen = [p for p in model.parameters if not p.trainable and is_called(model, p)]
        share = sum(_size(p) for p in frozen) / max(1, model.size)
        if not frozen or len(frozen) == len(model.parameters):
            continue
        bad = suffers(evidence)
        yield Finding(
            "untrained-parameters",
            "warning" if bad else "note",
            path_in(evidence, model, frozen[0].layer),
            {"parameters": len(frozen), "share_of_values": share},
            f"{len(frozen)} parameters, {share:.0%} of all values, are frozen",
            "set requires_grad to True unless their weights were trained elsewhere",
            at=frozen[0].at,
            since_step=1,
            source="Yosinski et al. (2014), How transferable are features in deep neural networks?",
        )


def wrong_mode(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Training in evaluation mode, or evaluation in training mode, where that matters."""
    if len(optimizers_of(evidence)) != 1:
        return
    for model in trained_models(evidence):
        if not model.mode_matters:
            continue
        trained, asked = model.calls.get("train", 0), model.calls.get("eval", 0)
        if model.eval_mode_training > 0.5 * trained and trained >= ENOUGH:
            yield Finding(
                "wrong-mode",
                "warning",
                path_in(evidence, model, ""),
                {
                    "training_calls_in_eval_mode": model.eval_mode_training,
                    "training_calls": trained,
                },
                f"{model.name} is trained in evaluation mode: dropout does nothing and batch "
                "normalisation does not follow the data",
                f"call {model.name}.train() before each epoch of training",
                at=model.at,
                source="Ioffe, Szegedy (2015), Batch normalization; pytorch/pytorch#76383",
            )
        if model.training_mode_eval > 0.5 * asked and asked:
            smallest = model.eval_sizes[0] if model.eval_sizes else 0
            norms = any(layer.kind in BATCH_NORMS for layer in model.layers)
            yield Finding(
                "wrong-mode",
                "error" if norms and smallest < 8 else "warning",
                path_in(evidence, model, ""),
                {
                    "evaluation_calls_in_training_mode": model.training_mode_eval,
                    "evaluation_calls": asked,
                    "smallest_batch": smallest,
                },
                f"{model.name} is evaluated in training mode: dropout is active and batch "
                "normalisation uses the batch at hand",
                f"call {model.name}.eval() before evaluating, and train() after it",
                at=model.eval_at,
                source="Ioffe, Szegedy (2015), Batch normalization; pytorch/pytorch#76383",
            )


def cross_sample_leak(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A row's output moves when another row's input is changed."""
    probes = [probe for probe in evidence.probes if probe.name == "rows"]
    probe = max(probes, key=lambda each: each.numbers["others"], default=None)
    if probe is None or probe.numbers["others"] < 0.5:
        return
    axis = [layer for m in evidence.models for layer in m.layers if layer.settings.get("dim") == 0]
    yield Finding(
        "cross-sample-leak",
        "warning",
        axis[0].name if axis else None,
        {"share_of_rows_moved": probe.numbers["others"], "size": probe.numbers["size"]},
        "the output of a row changes when another row of the batch is changed",
        "look for a softmax, mean, normalisation or reshape over the batch axis",
        at=axis[0].at if axis else None,
        since_step=probe.step,
        source="Braiek, Khomh (2023), Testing feedforward neural networks training programs, TOSEM",
    )


def _size(parameter: ParameterSeen) -> int:
    size = 1
    for length in parameter.shape:
        size *= length
    return size
