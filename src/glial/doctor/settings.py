"""The plan's ``doctor`` part."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from glial.core.settings import Settings
from glial.doctor.diagnosis import Sensitivity
from glial.doctor.ignoring import check_ignored


class DoctorSettings(Settings):
    """How a training of Glial's own is watched.

    Attributes:
        watch: Whether it is.
        sensitivity: How little is enough for a finding.
        ignore: Problems that are left out, each as ``ID`` or ``ID@layer``.
        budget: The share of the training's time that watching may take; two seconds in any case.

    Example:
        >>> DoctorSettings().sensitivity
        'normal'
    """

    watch: bool = True
    sensitivity: Sensitivity = "normal"
    ignore: list[str] = Field(default_factory=list)
    budget: Annotated[float, Field(ge=0, le=1)] = 0.02

    @field_validator("ignore")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        check_ignored(value)
        return value
