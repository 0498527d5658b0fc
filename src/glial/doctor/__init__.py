"""What is wrong with a training: evidence, the rules that read it, and their findings.

Names are imported when first used: the verb must know problems without waiting for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from glial.doctor.causes import LEADS_TO, consequences, rank
from glial.doctor.problems import PROBLEMS, THEMES, Problem

if TYPE_CHECKING:
    from glial.doctor.diagnosis import diagnose
    from glial.doctor.evidence import Evidence
    from glial.doctor.session import Doctor
    from glial.doctor.watcher import Watcher

__all__ = [
    "LEADS_TO",
    "PROBLEMS",
    "THEMES",
    "Doctor",
    "Evidence",
    "Problem",
    "Watcher",
    "consequences",
    "diagnose",
    "rank",
]

_HOMES = {
    "Doctor": "glial.doctor.session",
    "Evidence": "glial.doctor.evidence",
    "Watcher": "glial.doctor.watcher",
    "diagnose": "glial.doctor.diagnosis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'glial.doctor' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
