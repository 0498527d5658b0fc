"""What a classifier predicts: classes that it gives up."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.measures import main_loss
from glial.doctor.rules.labels import class_imbalance

FEWEST_ROWS, MOST_CLASSES = 200, 20


def neglected_class(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A rarer class that is mostly predicted to be another, while the commonest is always right."""
    loss = main_loss(evidence)
    if (
        loss is None
        or loss.target is None
        or loss.weighted
        or not 2 <= len(loss.hits) <= MOST_CLASSES
    ):
        return
    if any(f.severity != "note" for f in class_imbalance(evidence, sensitivity)):
        return
    counts = {str(int(float(name))): n for name, n in loss.target.counts.items()}
    total = sum(counts.values())
    known = [name for name in counts if name in loss.hits]
    if total < FEWEST_ROWS or len(known) < 2 or len(loss.target.shape) > 2:
        return
    most = max(known, key=counts.__getitem__)
    rare = min(known, key=lambda name: loss.hits[name])
    share, hit = counts[rare] / total, loss.hits[rare]
    if share > 0.5 * sensitivity / len(counts) or loss.hits[most] < 0.9 or hit > 0.6:
        return
    yield Finding(
        "class-imbalance",
        "warning",
        None,
        {
            "share_of_the_class": share,
            "right_in_it": hit,
            "right_in_the_commonest": loss.hits[most],
        },
        f"class {rare} has {share:.1%} of the rows, and {hit:.0%} of them are predicted right; of "
        f"class {most} {loss.hits[most]:.0%} are",
        "give classes weights or draw them evenly, and judge by balanced accuracy or F1",
        at=loss.made_at or loss.at,
        since_step=1,
        source="Japkowicz, Stephen (2002), The class imbalance problem: a systematic study",
    )
