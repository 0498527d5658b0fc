"""Glial builds and trains neural networks, and says with evidence what is wrong with them.

Names are imported when first used, so that ``import glial`` costs less than ``import torch``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from glial.core.version import __version__ as __version__

if TYPE_CHECKING:
    from glial import (
        core,
        data,
        doctor,
        evaluation,
        explanation,
        functional,
        healing,
        models,
        nn,
        objectives,
        reports,
        runs,
        serving,
        tasks,
        testing,
        training,
    )
    from glial.core.errors import GlialError, InputError
    from glial.doctor.session import Doctor
    from glial.evaluation import evaluate
    from glial.explanation import explain
    from glial.healing.training import train
    from glial.reports import report
    from glial.runs import (
        Plan,
        Run,
        calibrate,
        diagnose,
        embed,
        generate,
        inspect,
        load,
        predict,
    )


__all__ = [
    "Doctor",
    "GlialError",
    "InputError",
    "Plan",
    "Run",
    "calibrate",
    "core",
    "data",
    "diagnose",
    "doctor",
    "embed",
    "evaluate",
    "evaluation",
    "explain",
    "explanation",
    "functional",
    "generate",
    "healing",
    "inspect",
    "load",
    "models",
    "nn",
    "objectives",
    "predict",
    "report",
    "reports",
    "runs",
    "serving",
    "tasks",
    "testing",
    "train",
    "training",
]

# Public name -> the module that holds it. Every other public name is a package.
_HOMES = {
    "Doctor": "glial.doctor.session",
    "GlialError": "glial.core.errors",
    "InputError": "glial.core.errors",
    "Plan": "glial.runs",
    "Run": "glial.runs",
    "calibrate": "glial.runs",
    "diagnose": "glial.runs",
    "embed": "glial.runs",
    "evaluate": "glial.evaluation",
    "explain": "glial.explanation",
    "generate": "glial.runs",
    "inspect": "glial.runs",
    "load": "glial.runs",
    "predict": "glial.runs",
    "report": "glial.reports",
    "train": "glial.healing.training",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in __all__:
        value = importlib.import_module(f"glial.{name}")
    else:
        raise AttributeError(f"module 'glial' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
