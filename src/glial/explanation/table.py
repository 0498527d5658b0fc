"""The table of explainers."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from glial.core.tables import Table
from glial.explanation.explained import Explanation

EXPLAINERS = Table(
    "explainer",
    "explainers",
    {
        "saliency": "glial.explanation.methods:SALIENCY",
        "input_x_gradient": "glial.explanation.methods:INPUT_X_GRADIENT",
        "smooth_grad": "glial.explanation.methods:SMOOTH_GRAD",
        "integrated_gradients": "glial.explanation.methods:INTEGRATED_GRADIENTS",
        "deeplift": "glial.explanation.methods:DEEPLIFT",
        "deep_shap": "glial.explanation.methods:DEEP_SHAP",
        "guided_backpropagation": "glial.explanation.methods:GUIDED_BACKPROPAGATION",
        "deconvolution": "glial.explanation.methods:DECONVOLUTION",
        "cam": "glial.explanation.methods:CAM",
        "grad_cam": "glial.explanation.methods:GRAD_CAM",
        "grad_cam_plus_plus": "glial.explanation.methods:GRAD_CAM_PLUS_PLUS",
        "relevance": "glial.explanation.methods:RELEVANCE",
        "relevance_gamma": "glial.explanation.methods:RELEVANCE_GAMMA",
        "occlusion": "glial.explanation.methods:OCCLUSION",
        "rollout": "glial.explanation.methods:ROLLOUT",
        "shap": "glial.explanation.asking:SHAP",
        "kernel_shap": "glial.explanation.asking:KERNEL_SHAP",
        "partition_shap": "glial.explanation.asking:PARTITION_SHAP",
        "lime": "glial.explanation.asking:LIME",
        "counterfactuals": "glial.explanation.asking:COUNTERFACTUALS",
        "neighbours": "glial.explanation.asking:NEIGHBOURS",
        "influence": "glial.explanation.training_rows:INFLUENCE",
        "importance": "glial.explanation.whole:IMPORTANCE",
        "shap_importance": "glial.explanation.whole:SHAP_IMPORTANCE",
        "dependence": "glial.explanation.whole:DEPENDENCE",
        "local_effects": "glial.explanation.whole:LOCAL_EFFECTS",
        "interactions": "glial.explanation.whole:INTERACTIONS",
        "ice": "glial.explanation.whole:ICE",
        "surrogate_tree": "glial.explanation.whole:SURROGATE_TREE",
        "surrogate_linear": "glial.explanation.whole:SURROGATE_LINEAR",
        "rules": "glial.explanation.whole:RULES",
        "maximization": "glial.explanation.drawings:MAXIMIZATION",
        "filters": "glial.explanation.drawings:FILTERS",
        "maps": "glial.explanation.drawings:MAPS",
        "embedding": "glial.explanation.drawings:EMBEDDING",
        "concepts": "glial.explanation.drawings:CONCEPTS",
    },
)


@runtime_checkable
class Explainer(Protocol):
    """A method that explains predictions, or a network.

    Attributes:
        name: Its name in the table.
        description: One line.
        about: ``prediction`` or ``network``.

    Example:
        >>> isinstance(EXPLAINERS.resolve("saliency"), Explainer)
        True
    """

    @property
    def name(self) -> str:
        """Its name in the table."""

    @property
    def description(self) -> str:
        """One line."""

    @property
    def about(self) -> str:
        """Whether it is about predictions or about a network."""

    def explain(self, asked: Any) -> Explanation:
        """Explain what is asked about, a `glial.explanation.predictions.Asked`."""
