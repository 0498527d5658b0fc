"""The laws of networks that put rows into clusters, and of those that are computed from rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glial.models.clusters import Clusters, Fits
from glial.testing.models import LawBroken

MOST_STEPS = 200


def check_clusters(network: Any, rows: Sequence[Tensor]) -> None:
    """Clusters are a number a row, from -1 on, that does not hang on the rows beside it.

    Args:
        network: The network; one that keeps `glial.models.clusters.Clusters`, or it is passed over.
        rows: Rows for it, with their numbers of steps and classes where it takes those.

    Raises:
        LawBroken: If not.

    Example:
        >>> from glial.models.kmeans import KMeansSettings
        >>> check_clusters(KMeansSettings(num_clusters=2).build(3), [torch.randn(5, 3)])
    """
    if not isinstance(network, Clusters):
        return
    network.eval()  # type: ignore[attr-defined]
    with torch.no_grad():
        codes, few = network.assign(*rows), network.assign(*(part[:2] for part in rows))
    _law(codes.shape == (len(rows[0]),), "clusters are not one a row")
    _law(not codes.is_floating_point() and bool((codes >= -1).all()), "clusters are no numbers")
    _law(torch.equal(codes[:2], few), "clusters leak between rows")


def check_fitting(network: Any, rows: Sequence[Tensor]) -> None:
    """Steps of fitting do not make the loss greater, come to an end, and are then idle.

    Args:
        network: The network, which is left as it is; one that keeps `glial.models.clusters.Fits`,
            or it is passed over.
        rows: As for `check_clusters`.

    Raises:
        LawBroken: If not.

    Example:
        >>> from glial.models.pca import PCASettings
        >>> check_fitting(PCASettings(num_components=2).build(3), [torch.randn(5, 3)])
    """
    if not isinstance(network, Fits):
        return
    fitted: Any = copy.deepcopy(network)
    before, settled = math.inf, False
    for _ in range(MOST_STEPS):
        loss, settled = fitted.refine(*rows)
        _law(bool(loss.isfinite()) and loss.ndim == 0, "the loss of a step is no finite number")
        _law(not loss.requires_grad, "the loss of a step hangs on what came before")
        _law(float(loss) <= before * (1 + 1e-5) + 1e-6, "a step of fitting makes the loss greater")
        before = float(loss)
        if settled:
            break
    _law(settled, f"{MOST_STEPS} steps of fitting come to no end")
    _law(
        all(bool(value.isfinite().all()) for value in fitted.state_dict().values()),
        "fitted weights are not finite",
    )


def _law(holds: bool, message: str) -> None:
    if not holds:
        raise LawBroken(message)
