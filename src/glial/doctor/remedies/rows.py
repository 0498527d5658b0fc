"""Rows that are left out of a training, or repeated."""

from __future__ import annotations

from collections.abc import Iterator

from glial.doctor.remedies.program.alterations import (
    DRAWS,
    alterations,
    index_of,
    is_random,
    without,
)
from glial.doctor.remedies.program.arrays import Arrays
from glial.doctor.remedies.program.case import Case
from glial.doctor.remedies.program.change import Change


def keep_rows(case: Case) -> Iterator[Change]:
    """Statements that leave training rows out, or repeat them, are taken out."""
    arrays = Arrays(case)
    x, y = arrays.inputs, arrays.targets
    if x is None:
        return
    for write in alterations(x):
        index = index_of(write)
        if index is None or write.name != x.name or is_random(write, write.value, DRAWS):
            continue
        same = [write]
        for one in alterations(y) if y is not None else []:
            if one.name == (y.name if y else "") and index_of(one) == index:
                same.append(one)
        yield Change.of(
            "keep-rows",
            "takes out the statement that leaves some training rows alone",
            write.source,
            without(write.source, same),
        )
