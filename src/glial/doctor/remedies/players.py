"""Two players: rates that are brought together, a smoother judge, and less momentum."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from glial.doctor.evidence import OptimizerSeen
from glial.doctor.measures import optimizers_of
from glial.doctor.remedies.parameters import add_lost_term
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change
from glial.doctor.remedies.program.making import each_layer, held
from glial.doctor.remedies.rates import with_rate

FASTER = 4.0  # by which a judge may learn faster than what it judges


def balanced(case: Case) -> Iterator[Change]:
    """The rate of the player that steps oddly becomes the other's; the other's becomes its.

    A maker gets half of its judge's: it is not to run ahead of what the judge has learnt.
    """
    maker, judge = _players(case)
    if maker is None or judge is None:
        return
    rates = {o.name: o.settings.get("lr", 0.0) for o in (maker, judge)}
    at = case.finding.at
    if "spread_of_answers" in case.finding.evidence:
        return
    odd, other = (maker, judge) if at is not None and at == maker.made_at else (judge, maker)
    if "ratio_of_rates" not in case.finding.evidence:
        yield from _changed(case, judge, 1 / FASTER, "slower-judge")
        yield from _changed(case, maker, FASTER, "faster-maker")
        return
    both = (("balanced-rates", odd, other), ("others-rate", other, odd))
    for name, one, near in both:
        if rates[one.name] > 0 and rates[near.name] > 0:
            factor = rates[near.name] / rates[one.name] / (2 if one is maker else 1)
            yield from _changed(case, one, factor, name)


def smooth(case: Case) -> Iterator[Change]:
    """A judge whose answers change no faster than its rows: by a penalty, or by its weights.

    Source:
        Gulrajani et al. (2017), "Improved training of Wasserstein GANs"; Miyato et al. (2018),
        "Spectral normalization for generative adversarial networks".
    """
    if "ratio_of_rates" in case.finding.evidence:
        return
    yield from add_lost_term(case)
    judges = {players.judge for players in case.evidence.players}
    judge = case.model
    for place in held(case) if judge is not None and judge.name in judges else ():
        spectral = "torch.nn.utils.parametrizations.spectral_norm"
        edits = each_layer(case, place, spectral, "{}(layer)")
        does = f"normalises the weights of {place.name} spectrally"
        yield Change.of("spectral-norm", does, place.source, edits)
        return


def varied(case: Case) -> Iterator[Change]:
    """A judge that learns faster; less momentum for both.

    Source:
        Heusel et al. (2017), "GANs trained by a two time-scale update rule"; Radford, Metz,
        Chintala (2016), DCGAN, section 3: a first moment of 0.5.
    """
    maker, judge = _players(case)
    if maker is None or judge is None:
        return
    if maker.settings.get("lr", 0.0) > judge.settings.get("lr", 0.0) / FASTER:
        yield from _changed(case, judge, FASTER, "faster-judge")
        yield from _changed(case, maker, 1 / FASTER, "slower-maker")
    for optimizer in (maker, judge):
        made = case.making_of(optimizer)
        call = made.node if made is not None else None
        if made is None or not isinstance(call, ast.Call):
            continue
        if optimizer.settings.get("beta1", 0.0) > 0.5:
            edit = made.source.argument(call, "betas", "(0.5, 0.9)")
            says = f"gives {optimizer.name} less momentum"
            yield Change.of("less-momentum", says, made.source, [edit])


def _players(case: Case) -> tuple[OptimizerSeen | None, OptimizerSeen | None]:
    """The optimisers of the network that makes rows up, and of the one that judges them."""
    used = optimizers_of(case.evidence)
    for players in case.evidence.players:
        of = {o.model: o for o in used}
        if players.maker in of and players.judge in of:
            return of[players.maker], of[players.judge]
    return None, None


def _changed(case: Case, optimizer: OptimizerSeen, factor: float, name: str) -> Iterator[Change]:
    found = with_rate(case, optimizer, factor)
    if found is not None:
        new, edits = found
        yield Change(name, f"sets the rate of {optimizer.name} to {new:g}", edits)


TABLE = {
    "players-unbalanced": (balanced, smooth),
    "mode-collapse": (balanced, varied),
}
