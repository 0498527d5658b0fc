"""The step: its size, its schedule, the optimiser's settings, and the batch it is taken on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, LineProbe, ModelSeen, OptimizerSeen
from glial.doctor.measures import (
    BATCH_NORMS,
    ENOUGH,
    RECTIFIERS,
    main_loss,
    noise_scale,
    optimizers_of,
    outcome,
    path_in,
    positions,
    suffers,
    trained_models,
)

NOISY = 50.0  # the noise of a gradient over its signal at which steps are a random walk
MOVED = 0.01  # of its size a weight moves in a whole training that teaches it nothing
NEARLY_NOUGHT = 1e-3  # by so much signals grow in a layer whose weights begin so
SMALL_NORM, SAME_NORM, FEWEST_NORMS = 1e-3, 1e-2, 5  # of gradients that are all as large
REPLACED = 1.0  # first steps as large as the weights themselves
_SMITH = "Smith (2017), Cyclical learning rates; Goodfellow et al. (2016), section 8.5"


def _only_optimizer(evidence: Evidence) -> OptimizerSeen | None:
    used = optimizers_of(evidence)
    return used[0] if len(used) == 1 else None


def rate_of(optimizer: OptimizerSeen) -> float:
    """The largest rate that it stepped by; NaN where none was seen.

    Example:
        >>> from glial.doctor.evidence import Series
        >>> rate_of(OptimizerSeen("o", "SGD", {"lr": 0.0}, lr=Series([1, 2], [0.0, 0.1])))
        0.1
    """
    return max(optimizer.lr.values, default=optimizer.settings.get("lr", math.nan))


def best_multiple(probe: LineProbe) -> float:
    """The multiple of a step at which the loss is lowest.

    Example:
        >>> best_multiple(LineProbe(1, 1.0, 0.9, [0.0, 1.0, 10.0], [1.0, 0.9, 2.0]))
        1.0
    """
    pairs = zip(probe.losses, probe.multiples, strict=True)
    known = [(loss, multiple) for loss, multiple in pairs if math.isfinite(loss)]
    return min(known)[1] if known else math.nan


def rises_at_once(probe: LineProbe) -> bool:
    """Whether a step makes the loss of its own batch larger.

    Example:
        >>> rises_at_once(LineProbe(1, 1.0, 3.0, [], []))
        True
    """
    return not math.isfinite(probe.after) or probe.after > 1.05 * probe.before + 1e-12


def learning_rate_too_high(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Steps that go too far: they raise the loss of their own batch, or replace the weights."""
    optimizer, found = _only_optimizer(evidence), outcome(evidence)
    loss, leap = main_loss(evidence), _leap(trained_models(evidence))
    if optimizer is None:
        yield from _one_of_several(evidence)
        return
    if found is None or loss is None:
        return
    if optimizer.kind == "LBFGS":
        leap = 0.0  # one of its steps is many
    if not (found.suffers or (found.lags and leap > REPLACED)):
        return
    probes = [probe for probe in optimizer.line if math.isfinite(probe.before)]
    rising = sum(map(rises_at_once, probes)) / len(probes) if probes else 0.0
    early = [value for value in loss.value.values[:50] if math.isfinite(value)] or [math.nan]
    jump = max(early) / max(1e-12, abs(found.start))
    if not found.finite and not rising and jump < 10:
        return  # what is not finite came from nowhere, not from steps that went too far
    signs = (
        (rising >= 0.5 / sensitivity and len(probes) >= 2)
        + (leap > 0.5 / sensitivity)
        + (leap > REPLACED)
        + (jump > 3)
        + (leap > 0.1 and _dies(trained_models(evidence)))
        + (not found.finite)
    )
    if signs < 2 and not (rising >= 0.7 and len(probes) >= ENOUGH):
        return
    yield Finding(
        "learning-rate-too-high",
        "error" if found.fails else "warning",
        None,
        {
            "lr": rate_of(optimizer),
            "share_of_steps_that_raise_the_loss": rising,
            "update_to_weight": leap,
            "largest_to_first_loss": jump,
        },
        f"a step at this rate{_told(rate_of(optimizer))} goes too far: the loss "
        "of its own batch is larger after it",
        "divide the learning rate by 10, or warm it up",
        at=optimizer.made_at or optimizer.at,
        since_step=probes[0].step if probes else 1,
        source=_SMITH,
    )


def _told(rate: float) -> str:
    return "" if math.isnan(rate) else f" ({rate:g})"


def _one_of_several(evidence: Evidence) -> Iterator[Finding]:
    """An optimiser beside others whose first steps replace its network's weights and kill units."""
    for optimizer in optimizers_of(evidence):
        own = [model for model in trained_models(evidence) if model.name == optimizer.model]
        leap = _leap(own)
        if leap > 0.3 and _dies(own):
            yield Finding(
                "learning-rate-too-high",
                "warning",
                None,
                {"lr": rate_of(optimizer), "update_to_weight": leap},
                f"the first steps of {optimizer.name} are {leap:.0%} of the weights, and most "
                f"units of {own[0].name} died since",
                "divide the learning rate by 10",
                at=optimizer.made_at or optimizer.at,
                since_step=1,
                source=_SMITH,
            )


def _dies(models: list[ModelSeen]) -> bool:
    """Whether units that were alive at first are dead at last."""
    return any(
        layer.dead.first < 0.3 and layer.dead.last > 0.9
        for model in models
        for layer in model.layers
        if layer.kind.lower() in RECTIFIERS and len(layer.dead)
    )


def _leap(models: list[ModelSeen], *, whole: bool = False) -> float:
    """How large the first steps, or the largest one, are beside the weights: the median."""
    ratios = []
    for parameter in [parameter for model in models for parameter in model.parameters]:
        # What is not finite says nothing of the steps that led to it.
        sizes = [value for value in parameter.update.values if math.isfinite(value)]
        # Weights that begin at nought, or nearly so, are measured by where they came to.
        nought = parameter.std * math.sqrt(math.prod(parameter.shape[1:])) < NEARLY_NOUGHT
        weight = max(parameter.weight.values, default=0.0) if nought else parameter.weight.first
        if len(parameter.shape) >= 2 and sizes and weight > 0:
            few = sizes if whole else sizes[: math.ceil(len(sizes) / 5)]
            ratios.append((max(few) if whole else sum(few) / len(few)) / weight)
    return sorted(ratios)[len(ratios) // 2] if ratios else 0.0


def hardly_moving(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Steps that all together cannot bring the weights anywhere."""
    optimizer, loss, found = _only_optimizer(evidence), main_loss(evidence), outcome(evidence)
    if optimizer is None or loss is None or found is None or not found.fails or not found.finite:
        return
    steps, largest = loss.value.steps[-1], _leap(trained_models(evidence), whole=True)
    weights = [weight for model in trained_models(evidence) for weight in model.parameters]
    pulled = any(weight.gradient.last > 0 for weight in weights)
    if steps < 20 or not pulled or steps * largest > MOVED / sensitivity:
        return
    yield Finding(
        "learning-rate-too-low",
        "error",
        None,
        {
            "lr": rate_of(optimizer),
            "update_to_weight": largest,
            "steps": steps,
            "skill": found.skill,
        },
        f"{steps} steps of at most {largest:.0e} of the weights' size move them by less than "
        f"{100 * MOVED:.0f}% in all, and nothing is learnt",
        "multiply the learning rate by 100, or look why the gradient is so small",
        at=optimizer.made_at or optimizer.at,
        since_step=1,
        source=_SMITH,
    )


def learning_rate_too_low(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Steps so small that the loss would fall much further along each of them, to the end."""
    optimizer, found = _only_optimizer(evidence), outcome(evidence)
    if optimizer is None or found is None or not found.finite or not found.suffers:
        return
    if any(True for _ in hardly_moving(evidence, sensitivity)):
        return  # which says more
    late = [probe for probe in optimizer.line if probe.step > 0.2 * evidence.steps]
    if not late or rate_of(optimizer) == 0 or found.steps < 10:
        return
    long = [probe for probe in late if best_multiple(probe) >= 30 / sensitivity]
    leap = _leap(trained_models(evidence))
    dropped = optimizer.lr.last < 0.05 * max(optimizer.lr.values, default=0.0)
    if len(long) < 0.75 * len(late) or leap > 3e-3 * sensitivity or dropped:
        return
    yield Finding(
        "learning-rate-too-low",
        "error" if found.fails else "warning",
        None,
        {
            "lr": rate_of(optimizer),
            "best_multiple_of_a_step": best_multiple(late[-1]),
            "update_to_weight": leap,
            "skill": found.skill,
        },
        f"the loss would still fall along {best_multiple(late[-1]):.0f} times the last steps, and "
        "hardly anything is learnt",
        "multiply the learning rate by 10",
        at=optimizer.made_at or optimizer.at,
        since_step=late[0].step,
        source=_SMITH,
    )


def schedule_collapse(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A rate that is next to nothing for most of a training that could still learn."""
    optimizer, found = _only_optimizer(evidence), outcome(evidence)
    if optimizer is None or found is None or len(optimizer.lr) < 5 or not suffers(evidence):
        return
    if not found.finite:
        return  # it did not end where its schedule does
    rates = optimizer.lr.values
    top = max(rates)
    if not top > 0:
        return
    tiny = sum(rate < 0.01 * top for rate in rates) / len(rates)
    rising = rates[-1] >= 0.99 * top and rates[0] < 0.5 * top and rates[len(rates) // 2] < 0.9 * top
    rising = rising and optimizer.lr.steps[-1] >= 0.9 * evidence.steps  # looked at to the end
    if tiny < 0.4 / sensitivity and not rising:
        return
    yield Finding(
        "schedule-collapse",
        "error" if found.fails else "warning",
        None,
        {"highest_lr": top, "last_lr": rates[-1], "share_of_steps_below_1_percent": tiny},
        f"the rate is below a hundredth of its peak for {tiny:.0%} of the steps"
        if not rising
        else "the rate is still being warmed up when the training ends",
        "let the rate fall over the whole training: step the scheduler once an epoch, and slower",
        at=optimizer.scheduler_at or optimizer.made_at or optimizer.at,
        since_step=next((s for s, rate in optimizer.lr if rate < 0.01 * top), None),
        source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 8.3.1",
    )


def wrong_optimizer_setting(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Momentum, eps or betas that keep an optimiser from working."""
    for optimizer in evidence.optimizers:
        found = _setting_fault(optimizer)
        if found is None:
            continue
        name, value, usual, means = found
        yield Finding(
            "wrong-optimizer-setting",
            "warning" if suffers(evidence) else "note",
            None,
            {name: value},
            f"{name}={value:g} of {optimizer.name}: {means}",
            f"use {name}={usual:g}",
            at=optimizer.made_at or optimizer.at,
            since_step=1,
            source="Kingma, Ba (2015), Adam; Sutskever et al. (2013), On momentum",
        )


def _setting_fault(optimizer: OptimizerSeen) -> tuple[str, float, float, str] | None:
    settings = optimizer.settings
    norms, before = optimizer.norm.values, optimizer.norm_before.values
    clipped = len(norms) >= FEWEST_NORMS and max(norms) < min(SMALL_NORM, min(before) / 10)
    if clipped and max(norms) < (1 + SAME_NORM) * min(norms):
        return ("max_norm", max(norms), 1.0, "gradients are clipped until nothing is left")
    if optimizer.kind in ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adamax"):
        if settings.get("eps", 0.0) > 1e-2:
            return ("eps", settings["eps"], 1e-8, "it outweighs the gradients it divides by")
        if settings.get("beta1", 0.9) >= 0.99:
            return ("beta1", settings["beta1"], 0.9, "steps follow gradients of long ago")
        if settings.get("beta2", 0.999) < 0.5:
            return ("beta2", settings["beta2"], 0.999, "each step is scaled by its own noise")
    if settings.get("momentum", 0.0) >= 0.99:
        return ("momentum", settings["momentum"], 0.9, "steps add up to about 100 times the rate")
    return None


def over_regularised(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Dropout or decay so strong that the training data are not fitted."""
    found = outcome(evidence)
    if found is None or not found.finite or not suffers(evidence):
        return
    for model in trained_models(evidence):
        drops = [layer for layer in model.layers if "dropout" in layer.kind.lower()]
        strong = [layer for layer in drops if layer.settings.get("p", 0.0) >= 0.75]
        if strong:
            yield Finding(
                "over-regularised",
                "warning",
                path_in(evidence, model, strong[0].name),
                {"p": strong[0].settings["p"], "layers": len(strong), "skill": found.skill},
                f"dropout keeps only {1 - strong[0].settings['p']:.0%} of the units of "
                f"{strong[0].name}, and the training data are not fitted",
                "use 0.1 to 0.5",
                at=strong[0].at,
                since_step=1,
                source="Srivastava et al. (2014), Dropout, section 7.3",
            )
            return
        decayed = [p for p in model.parameters if len(p.shape) >= 2 and p.weight_decay > 0]
        shrunk = [p for p in decayed if p.weight.last < 0.3 * p.weight.first]
        strong_decay = [p for p in decayed if p.weight_decay >= 0.05 / sensitivity]
        coupled = any(o.kind not in ("AdamW", "NAdamW") for o in evidence.optimizers)
        if strong_decay and (shrunk or coupled) and len(shrunk) >= 0.5 * len(decayed):
            weight = shrunk[0]
            made = [o.made_at for o in evidence.optimizers if o.name == weight.optimizer]
            yield Finding(
                "over-regularised",
                "warning",
                path_in(evidence, model, weight.layer),
                {
                    "weight_decay": weight.weight_decay,
                    "weight_norm_at_first": weight.weight.first,
                    "weight_norm_at_last": weight.weight.last,
                },
                f"a weight decay of {weight.weight_decay:g} shrinks the weights to nothing",
                "use 1e-4 (or 1e-2 with AdamW)",
                at=next(filter(None, made), weight.at),
                since_step=1,
                source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 7.1.1",
            )
            return


def batch_size_unsuitable(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Too few rows for batch normalisation or the rate, or so many that few steps are taken."""
    loss, found = main_loss(evidence), outcome(evidence)
    if loss is None or found is None or not loss.batch_sizes:
        return
    rows, usual = loss.batch_sizes[1], loss.of_batch
    for model in trained_models(evidence):
        norm = next((layer for layer in model.layers if layer.kind in BATCH_NORMS), None)
        if norm is not None and rows <= 4 and len(norm.output_shape) == 2:
            yield Finding(
                "batch-size-unsuitable",
                "warning",
                path_in(evidence, model, norm.name),
                {"rows": rows},
                f"batch normalisation takes its mean and variance from {rows} rows at a time",
                "use batches of 16 or more, or LayerNorm or GroupNorm",
                at=_loader_at(evidence) or norm.at,
                since_step=1,
                source="Wu, He (2018), Group normalization",
            )
            return
    optimizer = _only_optimizer(evidence)
    scale = noise_scale(optimizer, rows) if optimizer is not None else math.nan
    noisy = rows <= 2 or (found.finite and rows <= 8 and scale > NOISY / sensitivity * rows)
    if noisy and usual <= rows and suffers(evidence):
        yield Finding(
            "batch-size-unsuitable",
            "warning",
            None,
            {"rows": rows, "gradient_noise_scale": scale},
            f"steps are taken on {rows} row(s) at a time: their direction is mostly noise",
            "use batches of 16 to 128 rows, or a smaller rate and less momentum",
            at=_loader_at(evidence) or loss.at,
            since_step=1,
            source="Masters, Luschi (2018), Small batch training; McCandlish et al. (2018)",
        )
    data = max([0, *(o.rows for o in evidence.loaders if o.training)]) or evidence.rows.distinct
    whole = (rows := rows // positions(evidence, loss)) >= max(256, 0.9 * data)
    came_closer = found.finite and found.end < found.start  # more steps would bring it further
    if whole and found.lags and came_closer and loss.value.steps[-1] <= 100:
        yield Finding(
            "batch-size-unsuitable",
            "warning" if found.suffers else "note",
            None,
            {"rows": rows, "steps": loss.value.steps[-1]},
            f"batches of {rows} rows leave only {loss.value.steps[-1]} steps",
            "use smaller batches, or more epochs",
            at=_loader_at(evidence) or loss.at,
            source="Keskar et al. (2017), On large-batch training; Goyal et al. (2017)",
        )


def _loader_at(evidence: Evidence) -> Place | None:
    """Where the loader was made that training took its batches from."""
    return next((loader.at for loader in evidence.loaders if loader.training), None)
