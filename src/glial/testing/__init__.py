"""Conformance suites, for third parties' parts too, and a doctor for anybody's tests.

Names are imported when first used: pytest loads the plugin here at its start, without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glial.testing.doctor import DoctorFixture
    from glial.testing.models import LawBroken, check_model
    from glial.testing.unlabelled import check_unlabelled

__all__ = ["DoctorFixture", "LawBroken", "check_model", "check_unlabelled"]

_HOMES = {
    "DoctorFixture": "glial.testing.doctor",
    "LawBroken": "glial.testing.models",
    "check_model": "glial.testing.models",
    "check_unlabelled": "glial.testing.unlabelled",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'glial.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
