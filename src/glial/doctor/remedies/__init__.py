"""From findings to changes of the source: what somebody who knows would edit.

Each remedy is a pure function of a finding, what was seen, and the text of the program. Whether a
change helps is for others to try; here it only has to be what the finding calls for, and Python.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from glial.doctor.remedies import (
    augmentation,
    collapses,
    data,
    labels,
    layers,
    loop,
    machine,
    modes,
    objective,
    outputs,
    parameters,
    penalties,
    places,
    players,
    rates,
    scales,
    schedules,
    sequences,
    shifts,
    splits,
    start,
    widths,
)
from glial.doctor.remedies.program.case import Case, Found, Remedy
from glial.doctor.remedies.program.change import Change, diff_of, texts_after
from glial.doctor.remedies.program.source import Edit, Source
from glial.doctor.remedies.program.sources import Sources

__all__ = ["REMEDIES", "Case", "Change", "Edit", "Found", "Source", "Sources", "changes"]
__all__ += ["Remedy", "diff_of", "texts_after"]

logger = logging.getLogger(__name__)

# Each family's table: for each problem what mends it, the likeliest first.
_FAMILIES: tuple[Mapping[str, tuple[Remedy, ...]], ...] = (
    data.TABLE,
    loop.TABLE,
    parameters.TABLE,
    modes.TABLE,
    objective.TABLE,
    widths.TABLE,
    machine.TABLE,
    scales.TABLE,
    outputs.TABLE,
    labels.TABLE,
    augmentation.TABLE,
    splits.TABLE,
    sequences.TABLE,
    places.TABLE,
    shifts.TABLE,
    start.TABLE,
    schedules.TABLE,
    rates.TABLE,
    layers.TABLE,
    penalties.TABLE,
    players.TABLE,
    collapses.TABLE,
    data.LAST,
)

REMEDIES: Mapping[str, tuple[Remedy, ...]] = {
    problem: tuple(remedy for family in _FAMILIES for remedy in family.get(problem, ()))
    for problem in sorted({problem for family in _FAMILIES for problem in family})
}


def changes(case: Case) -> list[Change]:
    """The changes that may mend a finding, the likeliest first.

    Args:
        case: The finding, the evidence and the source.

    Returns:
        Changes that apply, that change something and leave Python; each text once.

    Example:
        >>> from glial.core.findings import Finding
        >>> from glial.doctor.evidence import Evidence
        >>> changes(Case(Finding("data-drift", "note", None, {}, "It.", "Do."), Evidence()))
        []
    """
    found: list[Change] = []
    seen: list[dict[str, str]] = []
    for remedy in REMEDIES.get(case.finding.problem, ()):
        try:
            proposed = list(remedy(case))
        except Exception:
            logger.debug("a remedy of %s failed", case.finding.problem, exc_info=True)
            continue
        for change in proposed:
            try:
                texts = texts_after([change], case.sources)
            except ValueError:
                logger.debug("the change %s does not apply", change.name, exc_info=True)
                continue
            if texts and texts not in seen:
                seen.append(texts)
                found.append(change)
    return found
