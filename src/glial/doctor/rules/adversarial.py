"""Two players: one that wins too easily, one that gives ever the same."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, ModelSeen
from glial.doctor.measures import model_of


def players(evidence: Evidence) -> tuple[ModelSeen, ModelSeen] | None:
    """Generator and discriminator: what one gives has the shape of what the other takes.

    Example:
        >>> players(Evidence()) is None
        True
    """
    if len([o for o in evidence.optimizers if o.steps]) != 2 or len(evidence.losses) < 2:
        return None
    owners = {optimizer.model for optimizer in evidence.optimizers}
    models = [model for model in (model_of(evidence, name) for name in owners) if model is not None]
    for maker in models:
        for judge in models:
            made, taken = maker.outputs.get("train"), judge.inputs.get("train", [])
            if maker is judge or made is None or not taken:
                continue
            if made.shape[1:] == taken[0].shape[1:] and maker.inputs != judge.inputs:
                return maker, judge
    return None


def players_unbalanced(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """One player learns so much faster that the other has nothing to learn from."""
    both = players(evidence)
    if both is None:
        return
    maker, judge = both
    rates = {o.model: o.settings.get("lr", math.nan) for o in evidence.optimizers}
    ratio = rates.get(maker.name, math.nan) / max(1e-30, rates.get(judge.name, math.nan))
    moves = {m.name: _moves(m) for m in both}
    pace = moves[maker.name] / max(1e-30, moves[judge.name])
    limit = 10 / sensitivity
    if ratio >= limit or (ratio <= 1 / limit and ratio > 0):
        fast, slow = (maker, judge) if ratio > 1 else (judge, maker)
        yield Finding(
            "players-unbalanced",
            "warning",
            None,
            {"ratio_of_rates": ratio, "ratio_of_updates": pace},
            f"{fast.name} learns at {max(ratio, 1 / ratio):.0f} times the rate of {slow.name}",
            "bring the rates within a factor of about 4, the discriminator's the higher one",
            at=_odd_one(evidence, moves),
            since_step=1,
            source="Heusel et al. (2017), GANs trained by a two time-scale update rule",
        )


def _odd_one(evidence: Evidence, moves: dict[str, float]) -> Place | None:
    """Where the optimiser was made whose steps are furthest from a thousandth of the weights.

    Source:
        Bottou (2012), Stochastic gradient descent tricks: steps of about that size learn.
    """
    known = [o for o in evidence.optimizers if moves.get(o.model or "", 0.0) > 0]
    odd = max(known, key=lambda o: abs(math.log(moves[o.model or ""] / 1e-3)), default=None)
    return odd.made_at if odd is not None else None


def _moves(model: ModelSeen) -> float:
    ratios = [
        p.update.mean() / max(1e-12, p.weight.first)
        for p in model.parameters
        if len(p.shape) >= 2 and len(p.update)
    ]
    return sum(ratios) / len(ratios) if ratios else math.nan


def mode_collapse(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """What the generator makes varies far less than what it should look like."""
    both = players(evidence)
    if both is None:
        return
    maker, judge = both
    made, shown = maker.outputs["train"], judge.inputs["train"][0]
    if math.isnan(made.spread) or not shown.spread > 0:
        return
    ratio = made.spread / shown.spread
    last = maker.layers[-1].spread.last / shown.spread if maker.layers else ratio
    if min(ratio, last) < 0.3 * sensitivity:
        yield Finding(
            "mode-collapse",
            "warning",
            maker.name,
            {"spread_to_data": last},
            f"what {maker.name} makes varies {last:.0%} as much as what {judge.name} is shown",
            "use a slower generator, a gradient penalty, or minibatch statistics",
            at=maker.at,
            source="Salimans et al. (2016), Improved techniques for training GANs",
        )


def reversed_player(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Both players move an answer the same way, where one should lower what the other raises."""
    judging = [loss for loss in evidence.losses if not math.isnan(loss.judges)]
    deceiving = [loss for loss in evidence.losses if not math.isnan(loss.deceives)]
    for judge in judging:
        for maker in deceiving:
            if judge is maker or judge.model != maker.model or judge.judges * maker.deceives <= 0:
                continue
            yield Finding(
                "gradient-ascent",
                "error",
                None,
                {"slope_of_the_judge": judge.judges, "slope_of_the_maker": maker.deceives},
                f"both losses move what {judge.model} answers to made samples the same way: the "
                "maker helps to be found out",
                "turn the sign of the maker's loss, or label what it makes as real in it",
                at=maker.functions_at[0] if maker.functions_at else maker.at,
                since_step=1,
                source="Goodfellow et al. (2014), Generative adversarial nets, equation 1",
            )
            return
