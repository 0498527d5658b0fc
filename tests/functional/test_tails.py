"""The largest values seen: against sorting all of them."""

import math

import numpy as np
import pytest

from glial.core.errors import InputError
from glial.functional.tails import Largest


def test_the_level_is_that_of_all_values_seen():
    values = np.random.default_rng(0).standard_t(3, size=3000)
    largest = Largest(0.01, most=40)
    for count, value in enumerate(values):
        if count >= 20:
            place = max(1, math.ceil(0.01 * count))
            assert largest.level() == np.sort(values[:count])[-place]
        largest.see(value)
    assert len(largest.held) == 40


def test_memory_is_bounded_and_the_level_then_too_high_and_never_too_low():
    values = np.random.default_rng(0).random(1000)
    largest = Largest(0.5, most=10)
    for value in values:
        largest.see(value)
    assert largest.level() == np.sort(values)[-10]
    assert largest.level() > np.median(values)


def test_few_values_have_no_level_and_what_is_missing_is_not_seen():
    largest = Largest()
    for _ in range(19):
        largest.see(1.0)
    largest.see(math.nan)
    assert math.isnan(largest.level())
    largest.see(2.0)
    assert largest.level() == 2.0


def test_a_copy_goes_on_by_itself():
    first = Largest(0.1, 5, 30, [1.0, 2.0])
    second = first.copy()
    second.see(3.0)
    assert (first.seen, first.held, second.held) == (30, [1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("parts", [(0.0, 5), (0.1, 5, 1, [1.0, 2.0]), (0.1, 5, 9, [2.0, 1.0])])
def test_what_cannot_have_been_seen_is_refused(parts):
    with pytest.raises(InputError, match="largest values"):
        Largest(*parts)
