"""What was seen of a training, as plain numbers: all that a rule may know.

Whoever watches fills it in, rules read it, and it is what a run keeps; so it holds no tensor and
no code. Everything is sampled, and a series holds its samples with the steps they belong to.
"""

from glial.doctor.evidence.collapses import CodeSeen, EmbeddingSeen, PlayersSeen
from glial.doctor.evidence.data import LoaderSeen, RowsSeen
from glial.doctor.evidence.health import LayerHealth, layer_health
from glial.doctor.evidence.networks import AskedSeen, LayerSeen, ModelSeen, ParameterSeen, Phase
from glial.doctor.evidence.numbers import Series, TensorSeen
from glial.doctor.evidence.steps import LineProbe, LossSeen, OptimizerSeen
from glial.doctor.evidence.training import Evidence, NotChecked, Probe

__all__ = [
    "AskedSeen",
    "CodeSeen",
    "EmbeddingSeen",
    "Evidence",
    "LayerHealth",
    "LayerSeen",
    "LineProbe",
    "LoaderSeen",
    "LossSeen",
    "ModelSeen",
    "NotChecked",
    "OptimizerSeen",
    "ParameterSeen",
    "Phase",
    "PlayersSeen",
    "Probe",
    "RowsSeen",
    "Series",
    "TensorSeen",
    "layer_health",
]
