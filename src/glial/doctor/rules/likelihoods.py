"""Likelihoods: outputs that the distribution of a loss cannot have."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence

_SOURCE = "Nix, Weigend (1994), Estimating the mean and variance of the target distribution"


def unbounded_parameter(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A variance or a rate that comes from a layer without bounds, and is negative."""
    if "var has negative" in (evidence.error or ""):
        yield Finding(
            "wrong-output-activation",
            "error",
            None,
            {"steps": evidence.steps},
            "the network gives a negative variance, and the loss refuses it",
            "let the layer give the logarithm of the variance: exp or softplus makes it positive",
            at=evidence.error_at,
            since_step=evidence.steps + 1,
            source=_SOURCE,
        )
    for loss in evidence.losses:
        plain = loss.name == "poisson_nll_loss" and loss.settings.get("log_input") == 0.0
        if plain and loss.outputs.min < 0:
            yield Finding(
                "wrong-output-activation",
                "error",
                loss.output_layer,
                {"output_min": loss.outputs.min},
                "the rate of a Poisson distribution is negative for some rows, and its logarithm "
                "is taken",
                "use log_input=True, or softplus on the outputs",
                at=loss.made_at or loss.at,
                since_step=1,
                source="PyTorch documentation, PoissonNLLLoss",
            )
