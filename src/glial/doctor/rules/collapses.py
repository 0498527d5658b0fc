"""Networks that learn without labels and found an answer that says nothing."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, Series
from glial.doctor.measures import model_of

LOOKS = 5
LEAST_STEPS, LEAST_STEPS_OF_CODES = 50, 150
NO_NATS, RISES = 0.1, 2.0  # a row
ALIKE, SHRUNK = 0.05, 0.05
ONE_DIMENSION, FEW_DIMENSIONS = 1.5, 4.0


def posterior_collapse(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Codes are the prior's for every row, so they say nothing of it.

    What codes tell of rows is at most their mean divergence from any one distribution.
    """
    for seen in evidence.codes:
        if len(seen.divergence) < LOOKS or seen.divergence.steps[-1] < LEAST_STEPS_OF_CODES:
            continue
        nats, active = seen.divergence.mean(1 / 3), seen.active.mean(1 / 3)
        late = seen.divergence.values[-max(2, len(seen.divergence) // 3) :]
        rises = late[-1] > RISES * min(late) and late[-1] > NO_NATS / 10
        if rises or not (nats < NO_NATS * sensitivity and active <= 0.1 * sensitivity):
            continue
        model = model_of(evidence, seen.model)
        yield Finding(
            "posterior-collapse",
            "warning",
            seen.model or None,
            {"nats": nats, "active_units": active, "units": seen.units},
            f"the {seen.units} numbers of the code carry {nats:.2g} nats of each row: what is "
            "decoded does not depend on what was encoded",
            "sum both terms of the loss over a row, raise the divergence's weight from 0 during "
            "the first epochs, or give each unit some nats for nothing",
            at=seen.at or (model.at if model else None),
            since_step=_since(seen.divergence, NO_NATS * sensitivity),
            source="Bowman et al. (2016), Generating sentences from a continuous space; Burda, "
            "Grosse, Salakhutdinov (2016), Importance weighted autoencoders, appendix C",
        )


def representation_collapse(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Vectors of different rows are all alike, or lie on one line."""
    for seen in evidence.embeddings:
        if len(seen.varied) < LOOKS or seen.varied.steps[-1] < LEAST_STEPS:
            continue
        varied, dimensions = _last(seen.varied), _last(seen.dimensions)
        shrunk = _last(seen.std) / max(1e-30, seen.std.first)
        inputs = _last(seen.input_dimensions)
        alike = varied < ALIKE * sensitivity
        if not seen.normalised and shrunk < SHRUNK * sensitivity:
            alike = True
        line = seen.units >= FEW_DIMENSIONS and dimensions < ONE_DIMENSION
        if inputs < FEW_DIMENSIONS or not (alike or line):
            continue
        model = model_of(evidence, seen.model)
        yield Finding(
            "representation-collapse",
            "warning",
            seen.model,
            {"varied": varied, "std": _last(seen.std), "dimensions": dimensions},
            f"what {seen.model} makes of different rows "
            + ("is all but the same" if alike else "lies on one line")
            + ", though the rows differ",
            "keep the vectors apart: other rows as negatives, a term for their variance, or a "
            "predictor and a stopped gradient on one side",
            at=model.at if model else None,
            since_step=_since(seen.varied, ALIKE * sensitivity) if varied < ALIKE else None,
            source="Bardes, Ponce, LeCun (2022), VICReg; Jing et al. (2022), Understanding "
            "dimensional collapse in contrastive self-supervised learning",
        )
        return


def _last(series: Series) -> float:
    """The mean of the last looks."""
    values = series.values[-3:]
    return sum(values) / len(values)


def _since(series: Series, limit: float) -> int | None:
    """The first step from which on a series stays below a limit."""
    above = [step for step, value in series if not value < limit]
    later = [step for step in series.steps if not above or step > above[-1]]
    return later[0] if later else None
