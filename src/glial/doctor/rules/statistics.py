"""Running statistics of batch normalisation, and whether they are those of the data."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.measures import BATCH_NORMS, path_in, suffers, trained_models

ARRIVED = 30


def stale_statistics(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Running means and variances that are far from those of the batches, though much was seen.

    With torch's momentum of 0.1, of the beginning 0.9 ** 30 = 4 % is left after 30 batches.
    """
    for model in trained_models(evidence):
        for layer in model.layers:
            never = layer.settings.get("momentum") == 0.0
            if layer.kind not in BATCH_NORMS or not len(layer.stale):
                continue
            late = [share for step, share in layer.stale if step > ARRIVED]
            share = sum(late[-5:]) / len(late[-5:]) if late else layer.stale.last
            if not (never and share > 0.1) and not (late and share >= 0.5 / sensitivity):
                continue
            yield Finding(
                "stale-statistics",
                "error" if suffers(evidence) else "warning",
                path_in(evidence, model, layer.name),
                {"stale_channels": share, "momentum": layer.settings.get("momentum", 0.1)},
                f"the running statistics of {share:.0%} of its channels are far from those of the "
                "batches" + (", and with momentum 0 they never move" if never else ""),
                "keep momentum at 0.1, and let training batches pass in training mode",
                at=layer.at,
                source="Ioffe, Szegedy (2015), Batch normalization; Wu, Johnson (2021), Rethinking "
                "'Batch' in BatchNorm",
            )
