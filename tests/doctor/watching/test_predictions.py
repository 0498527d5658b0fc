"""Which classes are got right, of late."""

from __future__ import annotations

import torch

from glial.doctor.watching.predictions import Predictions

RIGHT = torch.tensor([[9.0, 0.0], [0.0, 9.0]])
CLASSES = torch.tensor([0, 1])


def test_looks_at_the_first_half_of_the_steps_do_not_count():
    predictions = Predictions()
    for step in (1, 2, 4, 8):
        predictions.add("cross_entropy", RIGHT.flip(1), CLASSES, step)
    assert predictions.hits() == {"0": 0.0, "1": 0.0}
    for step in (20, 30):
        predictions.add("cross_entropy", RIGHT, CLASSES, step)
    assert predictions.hits() == {"0": 1.0, "1": 1.0}


def test_all_looks_that_are_kept_count_where_they_are_late():
    predictions = Predictions()
    for step in (90, 100):
        given = RIGHT if step == 100 else RIGHT.flip(1)
        predictions.add("cross_entropy", given, CLASSES, step)
    assert predictions.hits() == {"0": 0.5, "1": 0.5}
    assert Predictions().hits() == {}
