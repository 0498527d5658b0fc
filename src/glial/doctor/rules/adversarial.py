"""Two players: one that wins too easily, one that gives ever the same."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, ModelSeen, OptimizerSeen, PlayersSeen, Series
from glial.doctor.measures import model_of

LOOKS, LEAST_STEPS = 6, 100
APART = 10.0
ALIKE, MISSED = 0.3, 0.2
ALWAYS, FADED = 0.99, 0.02
UNBOUNDED, STEEP = {"mean", "sum", "sub", "add", "neg", "rsub"}, 2.0


def players_unbalanced(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """One player learns so much faster that the other has nothing to learn from."""
    for players in evidence.players:
        found = (
            _apart(evidence, players, sensitivity)
            or _won(evidence, players, sensitivity)
            or _steep(evidence, players, sensitivity)
        )
        if found is not None:
            yield found
            return


def _apart(evidence: Evidence, players: PlayersSeen, sensitivity: float) -> Finding | None:
    """Rates that are far from each other."""
    maker, judge = (model_of(evidence, name) for name in (players.maker, players.judge))
    rates = [_rate(evidence, name) for name in (players.maker, players.judge)]
    if maker is None or judge is None or None in rates:
        return None
    ratio = (rates[0] or 0.0) / max(1e-30, rates[1] or 0.0)
    limit = APART / sensitivity
    if not (ratio >= limit or 0 < ratio <= 1 / limit):
        return None
    moves = {m.name: _moves(m) for m in (maker, judge)}
    fast, slow = (maker, judge) if ratio > 1 else (judge, maker)
    return Finding(
        "players-unbalanced",
        "warning",
        None,
        {
            "ratio_of_rates": ratio,
            "ratio_of_updates": moves[maker.name] / max(1e-30, moves[judge.name]),
        },
        f"{fast.name} learns at {max(ratio, 1 / ratio):.0f} times the rate of {slow.name}",
        "bring the rates within a factor of about 4, the discriminator's the higher one",
        at=_odd_one(evidence, moves),
        since_step=1,
        source="Heusel et al. (2017), GANs trained by a two time-scale update rule",
    )


def _won(evidence: Evidence, players: PlayersSeen, sensitivity: float) -> Finding | None:
    """A judge that is never deceived, while nothing gets any better."""
    told = players.told_apart
    if not _is_known(told):
        return None
    late = told.values[len(told) // 2 :]
    always = statistics.fmean(late)
    gradient = _optimizer(evidence, players.maker)
    norm = gradient.norm if gradient is not None else Series()
    left = norm.mean(1 / 4) / max(1e-30, norm.mean(1 / 4, end=False)) if len(norm) else math.nan
    lost = _missed(evidence, players) >= 0.5 / sensitivity or left < FADED * sensitivity
    if always < 1 - (1 - ALWAYS) * sensitivity or not lost:
        return None
    judge = model_of(evidence, players.judge)
    return Finding(
        "players-unbalanced",
        "warning",
        None,
        {"told_apart": always, "missed": players.missed, "gradient_left": left},
        f"{players.judge} tells what {players.maker} makes from real rows {always:.1%} of the "
        "time, and what is made does not come closer",
        "keep the discriminator smooth (a gradient penalty such as R1, spectral normalisation), "
        "let the generator minimise -log D, or bring their rates together",
        at=judge.at if judge else None,
        since_step=told.steps[len(told) // 2],
        source="Arjovsky, Bottou (2017), Towards principled methods for training generative "
        "adversarial networks",
    )


def _steep(evidence: Evidence, players: PlayersSeen, sensitivity: float) -> Finding | None:
    """A critic that may answer anything, and whose answers differ more than what it is shown."""
    judge = model_of(evidence, players.judge)
    layers = judge.layers if judge is not None else []
    losses = [x for x in evidence.losses if x.model == players.judge and not math.isnan(x.judges)]
    bounded = any(set(loss.functions) - UNBOUNDED for loss in losses)
    if not losses or bounded or len(layers) < 2 or not len(layers[0].input_std):
        return None
    # Answers of slope 1 at most cannot lie further apart than the rows.
    rows = layers[0].input_std.mean(0.25) * math.sqrt(math.prod(layers[0].input_shape[1:]))
    answers = layers[-1].std.mean(0.25) if len(layers[-1].std) else math.nan
    if not answers > STEEP / sensitivity * rows:
        return None
    return Finding(
        "players-unbalanced",
        "warning",
        players.judge,
        {"spread_of_answers": answers, "spread_of_rows": rows},
        f"the answers of {players.judge} lie {answers / rows:.1f} times as far apart as the rows: "
        "nothing keeps it smooth, and its loss can fall without end",
        "add a penalty on its gradient (WGAN-GP), or normalise its weights spectrally",
        at=losses[0].at,
        since_step=1,
        source="Gulrajani et al. (2017), Improved training of Wasserstein GANs, section 4; Miyato "
        "et al. (2018), Spectral normalization",
    )


def _is_known(series: Series) -> bool:
    return len(series) >= LOOKS and series.steps[-1] >= LEAST_STEPS


def _missed(evidence: Evidence, players: PlayersSeen) -> float:
    """The share of real rows that is left out; NaN where that was seen too long ago."""
    return players.missed if players.since >= evidence.steps / 2 else math.nan


def _optimizer(evidence: Evidence, model: str) -> OptimizerSeen | None:
    """The optimiser of one network."""
    found = [o for o in evidence.optimizers if o.steps and o.model == model]
    return found[0] if len(found) == 1 else None


def _rate(evidence: Evidence, model: str) -> float | None:
    optimizer = _optimizer(evidence, model)
    return None if optimizer is None else optimizer.settings.get("lr")


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
    """What is made up varies far less than what is real, or leaves kinds of it out."""
    for players in evidence.players:
        if not _is_known(players.variety):
            continue
        late = players.variety.values[-max(LOOKS, len(players.variety) // 3) :]
        variety, missed = statistics.median(late), _missed(evidence, players)
        alike = variety < ALIKE * sensitivity
        if not (alike or missed >= MISSED / sensitivity):
            continue
        maker = model_of(evidence, players.maker)
        yield Finding(
            "mode-collapse",
            "warning",
            players.maker,
            {"variety": variety, "missed": missed, "rows": players.rows},
            f"what {players.maker} makes varies {variety:.0%} as much as what is real"
            if alike
            else f"hardly anything that {players.maker} makes is like {missed:.0%} of what is real",
            "let the discriminator learn faster, with a gradient penalty (R1), or show it several "
            "rows at once; lower momentum, and average the generator's weights",
            at=maker.at if maker else None,
            source="Salimans et al. (2016), Improved techniques for training GANs; Richardson, "
            "Weiss (2018), On GANs and GMMs",
        )
        return


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
