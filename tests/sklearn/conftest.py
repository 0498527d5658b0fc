"""Trainings of the estimators are not watched here: their contract is another matter, and its
data teach nothing, which the doctor would look into each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from glial.doctor.settings import DoctorSettings
from glial.runs.watching import TrainingWatch


class Unwatched(TrainingWatch):
    """Watches nothing."""

    def __init__(self, model: Any, objective: Any, settings: DoctorSettings, **options: Any):
        super().__init__(model, objective, replace(settings, watch=False), **options)


@pytest.fixture(autouse=True)
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glial.runs.training.TrainingWatch", Unwatched)
