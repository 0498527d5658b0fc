"""The power law of learning curves: found again where it is known, honest where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from glial.core.errors import InputError
from glial.evaluation import fit_power_law

SIZES = [50, 100, 200, 400, 800, 1600]


@pytest.mark.parametrize("truth", [(5.0, 0.5, 0.1), (20.0, 1.0, 0.0), (1.0, 0.2, 0.05)])
def test_an_exact_law_is_found_again(truth):
    scale, exponent, floor = truth
    law = fit_power_law(SIZES, [floor + scale * n**-exponent for n in SIZES])
    assert law.exponent == pytest.approx(exponent, abs=2e-3)
    assert law.floor == pytest.approx(floor, abs=2e-3)
    for rows in (1600, 3200, 12800):
        assert law.error(rows) == pytest.approx(floor + scale * rows**-exponent, rel=0.01)
        low, high = law.interval(rows)
        assert low <= law.error(rows) <= high


def test_errors_that_do_not_fall_stay_where_they_are():
    law = fit_power_law(SIZES, [0.3] * 6)
    assert law.error(10_000) == pytest.approx(0.3, abs=1e-3)
    random = np.random.default_rng(0)
    law = fit_power_law(SIZES * 2, 0.3 + 0.02 * random.normal(size=12))
    gain, low, high = law.gain(3200)
    assert low < 0.01
    assert abs(gain) < 0.02
    assert low <= gain <= high


@pytest.mark.slow
def test_extrapolations_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    sizes = np.repeat(SIZES, 3)
    errors = 0.1 + 5 * sizes**-0.5
    held = gained = 0
    gain = 5 * 1600**-0.5 - 5 * 3200**-0.5
    for _ in range(40):
        law = fit_power_law(sizes, errors * (1 + 0.1 * random.normal(size=len(sizes))))
        low, high = law.interval(3200)
        held += low <= 0.1 + 5 * 3200**-0.5 <= high
        _, low, high = law.gain(3200)
        gained += low <= gain <= high
    assert held >= 35
    assert gained >= 35


@pytest.mark.parametrize(
    ("sizes", "errors"),
    [
        ([10, 20, 30], [0.3, 0.2, 0.1]),
        ([10, 10, 20, 30], [0.3, 0.2, 0.1, 0.1]),
        ([10, 20, 30, 40], [0.3, 0.2, 0.1, np.nan]),
        ([10, 20, 30, 40], [0.3, 0.2, 0.1, -0.1]),
    ],
)
def test_what_no_law_fits_is_refused(sizes, errors):
    with pytest.raises(InputError, match="no law"):
        fit_power_law(sizes, errors)
