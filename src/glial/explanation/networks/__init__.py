"""Explanations that look into a torch network: its gradients, its operations, its layers."""

from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.backward import deconvolution, guided_backpropagation
from glial.explanation.networks.cams import class_activation_map, grad_cam
from glial.explanation.networks.checks import Checked, check_method
from glial.explanation.networks.concepts import Concept, concept_sensitivity
from glial.explanation.networks.deeplift import deep_shap, deeplift
from glial.explanation.networks.gradients import (
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from glial.explanation.networks.influence import influence
from glial.explanation.networks.maximization import Maximized, maximize_activation
from glial.explanation.networks.occlusion import occlusion
from glial.explanation.networks.relevance import relevance
from glial.explanation.networks.rollout import attention_rollout

__all__ = [
    "Attribution",
    "Checked",
    "Concept",
    "Maximized",
    "attention_rollout",
    "check_method",
    "class_activation_map",
    "concept_sensitivity",
    "deconvolution",
    "deep_shap",
    "deeplift",
    "grad_cam",
    "guided_backpropagation",
    "influence",
    "input_x_gradient",
    "integrated_gradients",
    "maximize_activation",
    "occlusion",
    "relevance",
    "saliency",
    "smooth_grad",
]
