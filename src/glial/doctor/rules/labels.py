"""The labels: rare classes, wrong ones, labels of other rows, order."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LossSeen, RowsSeen
from glial.doctor.measures import CLASSES, main_loss, model_of, outcome, suffers
from glial.doctor.rules.chance import drowning_noise

# Above this area under the curve, two sets of rows look different.
UNLIKE = 0.75
CHANCE = 1.2
FEWEST, MANY = 120, 300
MODEST = 0.08  # by so much forests are righter than they say, where labels are clean
WEAK_FOREST, GOOD_FOREST = 0.2, 0.4
FEWEST_LABELS, FEWEST_OF_A_CLASS = 100, 30  # seen so far, and for each class on average


def class_imbalance(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A class so rare that a network may leave it out and still look right."""
    loss = main_loss(evidence)
    if loss is None or loss.target is None or loss.weighted:
        return
    target = loss.target
    counts = target.counts
    binary = (
        loss.name.startswith("binary") and len(target.shape) <= 2 and target.shape[1:] in ([], [1])
    )
    if not (loss.name in CLASSES or binary) or len(counts) < 2 or len(target.shape) > 2:
        return
    total = sum(counts.values())
    rarest, most = min(counts.values()) / total, max(counts.values()) / total
    enough = total >= max(FEWEST_LABELS, FEWEST_OF_A_CLASS * len(counts))
    if not enough or rarest * len(counts) > 0.2 * sensitivity or len(counts) > 20:
        return
    yield Finding(
        "class-imbalance",
        "warning" if most >= 0.9 else "note",
        None,
        {"largest_share": most, "smallest_share": rarest, "classes": len(counts)},
        f"the rarest of {len(counts)} classes has {rarest:.1%} of the rows: answering the "
        f"commonest is right in {most:.0%}",
        "give classes weights or draw them evenly, and judge by balanced accuracy or F1",
        at=loss.made_at or loss.at,
        since_step=1,
        source="Japkowicz, Stephen (2002), The class imbalance problem: a systematic study",
    )


def label_noise(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Labels that the other rows contradict."""
    rows, loss = evidence.rows, main_loss(evidence)
    at = loss.at if loss else None
    doubled = _doubled(loss) if loss and not rows.unseen_classes else None
    if doubled is not None:
        gone, into = doubled
        yield Finding(
            "label-noise",
            "warning",
            None,
            {"class_without_rows": float(gone), "class_with_too_many": float(into)},
            f"there is an output for class {gone} and no row, and class {into} has as many rows as "
            "two of the other classes, which are all alike",
            f"look at the rows of class {into}: those of {gone} seem to be labelled so",
            at=at,
            source="Northcutt, Jiang, Chuang (2021), Confident learning",
        )
        return
    if rows.merged:
        gone, into = rows.merged
        yield Finding(
            "label-noise",
            "error",
            None,
            {"class_without_rows": float(gone), "class_with_too_many": float(into)},
            f"no training row has class {gone}, evaluation has some, and they look like class "
            f"{into}, which has as many rows as two",
            f"look at the rows of class {into}: those of {gone} seem to be labelled so",
            at=at,
            source="Northcutt, Jiang, Chuang (2021), Confident learning",
        )
        return
    conflicting = rows.conflicting / rows.train if rows.train else 0.0
    if rows.suspects >= 0.04 / sensitivity and rows.score > 0.2:
        means = f"a forest surely contradicts the label of {rows.suspects:.1%} of the training rows"
    elif loss and loss.name in CLASSES and conflicting >= 0.05 and rows.distinct < 0.8 * rows.train:
        means = f"{conflicting:.1%} of the training rows equal another with a different label"
    elif _is_wrong_everywhere(rows, sensitivity):
        means = (
            f"even of the training rows that a forest is surest of, {rows.surely_wrong:.0%} are "
            "labelled otherwise: wrong labels are everywhere, overlap of classes is not"
        )
    elif _is_noisier(evidence, sensitivity) and rows.told_apart < UNLIKE:
        means = (
            f"training rows tell {rows.peer_score:.2f} of what they are labelled, and as many "
            f"evaluation rows, which look the same, {rows.own_score:.2f}"
        )
    else:
        return
    yield Finding(
        "label-noise",
        "warning",
        None,
        {
            "suspects": rows.suspects,
            "conflicting": conflicting,
            "surely_wrong": rows.surely_wrong,
            "contradicted": rows.contradicted,
            "reference_score": rows.score,
        },
        means,
        "look at these rows first; a robust loss or label smoothing helps with what stays",
        at=at,
        source="Northcutt, Jiang, Chuang (2021), Confident learning, arXiv 1911.00068",
    )


def _is_wrong_everywhere(rows: RowsSeen, sensitivity: float) -> bool:
    """Whether a forest is wrong where it is surest, and not for want of an idea.

    A forest that finds the task hard spreads its votes, and is right more often than they say;
    wrong labels it cannot know of make it wrong more often.
    """
    if not rows.surely_wrong >= max(0.2 / sensitivity, 0.6 * rows.missed):
        return False
    modest = 1 - rows.surely_wrong - rows.surest_vote > MODEST
    return rows.score > (GOOD_FOREST if modest else WEAK_FOREST)


def _doubled(loss: LossSeen) -> tuple[str, str] | None:
    """A class with an output and no row, and the one that has twice the rows of all others."""
    if loss.name not in CLASSES or loss.target is None or len(loss.outputs.shape) != 2:
        return None
    counts, width = loss.target.counts, loss.outputs.shape[1]
    gone = {str(kind) for kind in range(width)} - set(counts)
    if len(gone) != 1 or len(counts) != width - 1 or width < 3:
        return None
    if width == 3 and gone != {"1"}:
        return None  # of two classes alone, one is often twice as common
    *others, most = sorted(counts.values())
    if sum(counts.values()) < max(FEWEST_LABELS, FEWEST_OF_A_CLASS * len(counts)):
        return None
    chance = 4 * math.sqrt(most)
    alike = others[-1] - others[0] < max(0.4 * others[-1], chance)
    if not alike or not 1.6 < most / (sum(others) / len(others)) < 2.6:
        return None
    return gone.pop(), next(kind for kind, count in counts.items() if count == most)


def _is_noisier(evidence: Evidence, sensitivity: float) -> bool:
    """Whether training rows tell clearly less of their labels than as many evaluation rows.

    Of amounts nothing is said: a few outliers are enough for that.
    """
    rows = evidence.rows
    gap = rows.own_score - rows.peer_score
    if not gap >= 0.2 / sensitivity or rows.peer_score < 0.05:
        return False
    return rows.contradicted >= 0.08 / sensitivity


def harmful_augmentation(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Random changes after which a row no longer tells its target."""
    rows, loss = evidence.rows, main_loss(evidence)
    if any(True for _ in drowning_noise(evidence, sensitivity)):
        return  # which says more
    before, after = rows.plain_score, rows.given_score
    means = "as they are, rows tell {:.2f} of their targets, and after random changes {:.2f}"
    if not before - after >= 0.25 / sensitivity:
        before, after = rows.own_score, rows.peer_score
        means = "evaluation rows tell {:.2f} of their targets, and as many changed ones {:.2f}"
        if not before - after >= 0.25 / sensitivity or not rows.told_apart >= UNLIKE:
            return
        if math.isnan(rows.contradicted):
            return  # of amounts, a few outliers are enough for that
    if after > 0.6 * before:
        return
    yield Finding(
        "harmful-augmentation",
        "error" if suffers(evidence) else "warning",
        None,
        {"score_before": before, "score_after": after, "told_apart": rows.told_apart},
        means.format(before, after),
        "look at changed rows with their labels, and weaken what a person could not undo",
        at=(loss.noise_at or loss.at) if loss else None,
        since_step=1,
        source="Shorten, Khoshgoftaar (2019), A survey on image data augmentation",
    )


def misaligned_labels(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Labels that carry no information about the inputs."""
    rows, loss, found = evidence.rows, main_loss(evidence), outcome(evidence)
    if loss is None or found is None or math.isnan(rows.score) or not found.finite:
        return
    # Of few rows even what tells nothing seems to tell a little; of fewer, much else is possible.
    chance = CHANCE / math.sqrt(max(1, rows.distinct)) if rows.distinct >= MANY else 0.0
    if rows.distinct < FEWEST / sensitivity:
        return
    if rows.score > max(0.03, chance) * sensitivity and not _is_contradicted(rows):
        return
    if rows.plain_score > 0.1:
        return  # random changes of the inputs are why
    probe = evidence.probe("one_batch")
    fits = probe is not None and probe.numbers["end"] < 0.7 * probe.numbers["start"]
    if found.skill > 0.15 and not fits:
        return
    yield Finding(
        "misaligned-labels",
        "error" if found.skill < 0.05 else "warning",
        None,
        {"reference_score": rows.score, "rows": rows.distinct, "skill": found.skill},
        f"from {rows.distinct} training rows neither the network nor a forest learns anything of "
        "the labels: they seem to belong to other rows",
        "shuffle inputs and labels with one and the same permutation",
        at=loss.at,
        since_step=1,
        source="Zhang et al. (2017), arXiv 1611.03530 (networks on random labels)",
    )


def _is_contradicted(rows: RowsSeen) -> bool:
    """Whether evaluation rows tell their labels, and training rows, which look the same, do not."""
    tells = rows.own_score >= 0.4 and rows.contradicted >= 0.2
    return tells and rows.peer_score < 0.05 and rows.score < 0.1 and rows.told_apart < UNLIKE


def unshuffled_data(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Rows come in the order of their labels."""
    loss = main_loss(evidence)
    if loss is None or loss.target is None or math.isnan(loss.target.in_order):
        return
    if loss.name not in CLASSES and not loss.name.startswith("binary"):
        return
    if loss.target.in_order < 0.5 / sensitivity or len(loss.target.counts) < 2:
        return
    model = model_of(evidence, loss.model)
    shapes = [seen.shape for seen in model.inputs.get("train", [])] if model else []
    batch = max((shape[0] for shape in shapes if shape), default=0)
    if evidence.rows.distinct and batch >= 0.9 * evidence.rows.distinct:
        return  # a gradient of all rows knows no order
    yield Finding(
        "unshuffled-data",
        "warning",
        None,
        {"alike_neighbours": loss.target.in_order},
        "rows come in the order of their labels, so each batch teaches one class",
        "draw a new order each epoch (shuffle=True, or torch.randperm)",
        at=loss.at,
        since_step=1,
        source="Bengio (2012), Practical recommendations for gradient-based training, section 2.1",
    )
