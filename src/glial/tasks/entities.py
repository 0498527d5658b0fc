"""Named entities in sequences of tags: schemes, spans, what may follow what, and scores.

Source:
    Tjong Kim Sang and De Meulder (2003), arXiv cs/0306050, section 2.3 (an entity is right where
    its ends and its type are); Ramshaw and Marcus (1995), arXiv cmp-lg/9505040 (the tags).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

# B-x begins an entity, I-x goes on with it, O is outside. IOB1: I-x may begin one too. IOBES: E-x
# ends one, S-x is one alone. None: tags of another kind, such as parts of speech.
Scheme = Literal["IOB2", "IOB1", "IOBES", "none"]
Span = tuple[str, int, int]
OUTSIDE = "O"
# Up to this share of entities that begin otherwise, tags count as IOB2 with mistakes.
MISTAKEN = 0.05
_TAG = re.compile(r"[BIES](-.+)?")


def find_scheme(sequences: Sequence[Sequence[str]]) -> Scheme:
    """The scheme that tags follow.

    Args:
        sequences: Tags of the training rows.

    Example:
        >>> find_scheme([["B-x", "I-x", "O"]]), find_scheme([["I-x", "O"]]), find_scheme([["NN"]])
        ('IOB2', 'IOB1', 'none')
    """
    tags = {tag for sequence in sequences for tag in sequence} - {OUTSIDE}
    if not tags or not all(_TAG.fullmatch(tag) for tag in tags):
        return "none"
    if {tag[0] for tag in tags} & {"E", "S"}:
        return "IOBES"
    lenient = sum(len(spans(sequence)) for sequence in sequences)
    strict = sum(len(strict_spans(sequence, "IOB2")) for sequence in sequences)
    return "IOB2" if lenient - strict <= MISTAKEN * lenient else "IOB1"


def _parts(tag: str) -> tuple[str, str]:
    """What a tag begins with, and the type of its entity."""
    return tag[:1], tag[2:]


def _goes_on(before: str, tag: str) -> bool:
    """Whether a tag goes on with the entity of the one before it."""
    first, kind = _parts(before)
    letter, own = _parts(tag)
    return first in ("B", "I") and letter in ("I", "E") and kind == own


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities of a sequence: type, first position and last one.

    What goes on with nothing begins an entity, as in the CoNLL evaluation and in seqeval's default
    mode.

    Args:
        tags: Tags of IOB1, IOB2 or IOBES.

    Example:
        >>> spans(["B-x", "I-x", "O", "I-y", "B-y"])
        [('x', 0, 1), ('y', 3, 3), ('y', 4, 4)]
    """
    found: list[Span] = []
    for place, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        if place and _goes_on(tags[place - 1], tag):
            found[-1] = (*found[-1][:2], place)
        else:
            found.append((tag[2:], place, place))
    return found


def strict_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The entities that follow a scheme to the letter; others are none.

    Args:
        tags: The tags.
        scheme: ``IOB2`` or ``IOBES``; others are read leniently.

    Example:
        >>> strict_spans(["B-x", "I-x", "O", "I-y", "B-y"], "IOB2")
        [('x', 0, 1), ('y', 4, 4)]
    """
    found = spans(tags)
    if scheme == "IOB2":
        return [span for span in found if tags[span[1]][0] == "B"]
    if scheme != "IOBES":
        return found
    return [
        (kind, first, last)
        for kind, first, last in found
        if (tags[first][0] == "S" if first == last else tags[first][0] == "B")
        and (tags[last][0] in "ES")
    ]


class Allowed(NamedTuple):
    """What may stand where.

    Attributes:
        transitions: Whether each tag (column) may stand behind each other (row).
        start: Whether each tag may be the first.
        end: Whether each tag may be the last.

    Example:
        >>> allowed_tags(["B-x", "I-x", "O"], "IOB2").start.tolist()
        [True, False, True]
    """

    transitions: Tensor
    start: Tensor
    end: Tensor


def allowed_tags(tags: Sequence[str], scheme: Scheme) -> Allowed:
    """What a scheme allows.

    Args:
        tags: All tags, in order.
        scheme: Their scheme; ``IOB1`` and ``none`` allow all.

    Example:
        >>> allowed_tags(["B-x", "I-x", "I-y", "O"], "IOB2").transitions[0].tolist()
        [True, True, False, True]
    """
    if scheme not in ("IOB2", "IOBES"):
        every = torch.ones(len(tags), dtype=torch.bool)
        return Allowed(every.expand(len(tags), -1), every, every)
    begins = torch.tensor([_parts(tag)[0] not in ("I", "E") for tag in tags])
    whole = torch.tensor([scheme == "IOB2" or _parts(tag)[0] not in ("B", "I") for tag in tags])
    follows = torch.tensor([[_goes_on(before, tag) for tag in tags] for before in tags])
    return Allowed(follows | (whole[:, None] & begins), begins, whole)


class Counts(NamedTuple):
    """How many entities of a type there are.

    Attributes:
        right: Predicted with the right ends and type.
        predicted: Predicted.
        true: True.

    Example:
        >>> Counts(1, 2, 4).precision, Counts(1, 2, 4).recall
        (0.5, 0.25)
    """

    right: int
    predicted: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the predicted that are right; 0 where there are none."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the true that are found; 0 where there are none."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        both = self.predicted + self.true
        return 2 * self.right / both if both else 0.0


def count_entities(
    truth: Iterable[Sequence[str]], found: Iterable[Sequence[str]], scheme: Scheme | None = None
) -> dict[str, Counts]:
    """How many entities of each type are true, predicted and right.

    Args:
        truth: True tags of each row.
        found: Predicted ones.
        scheme: Where given, only entities that follow it to the letter count (seqeval's strict
            mode); None is seqeval's default.

    Returns:
        Type to counts, in the order of types.

    Example:
        >>> count_entities([["B-x", "O", "B-y"]], [["B-x", "B-x", "O"]])["x"]
        Counts(right=1, predicted=2, true=1)
    """
    told: dict[str, list[int]] = {}
    for tags, guess in zip(truth, found, strict=True):
        pair = [set(spans(t) if scheme is None else strict_spans(t, scheme)) for t in (tags, guess)]
        for place, some in enumerate((pair[0] & pair[1], pair[1], pair[0])):
            for kind, _, _ in some:
                told.setdefault(kind, [0, 0, 0])[place] += 1
    return {kind: Counts(*told[kind]) for kind in sorted(told)}


def entity_scores(counts: dict[str, Counts]) -> dict[str, float]:
    """``precision``, ``recall`` and ``f1`` over all entities, and ``f1_macro`` over types.

    Args:
        counts: As by `count_entities`.

    Example:
        >>> entity_scores({"x": Counts(1, 2, 2), "y": Counts(0, 0, 1)})["f1_macro"]
        0.25
    """
    sums = [sum(count[place] for count in counts.values()) for place in range(3)]
    whole = Counts(*sums)
    return {
        "precision": whole.precision,
        "recall": whole.recall,
        "f1": whole.f1,
        "f1_macro": sum(count.f1 for count in counts.values()) / max(1, len(counts)),
    }


def entity_details(counts: dict[str, Counts]) -> dict[str, dict[str, Any]]:
    """Scores of each type.

    Args:
        counts: As by `count_entities`.

    Example:
        >>> entity_details({"x": Counts(1, 2, 2)})["x"]["support"]
        2
    """
    return {
        kind: {
            "precision": count.precision,
            "recall": count.recall,
            "f1": count.f1,
            "support": count.true,
        }
        for kind, count in counts.items()
    }
