"""Entities: seqeval is the oracle, on tags that keep the schemes and on tags that do not."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.tasks.entities import (
    allowed_tags,
    count_entities,
    entity_details,
    entity_scores,
    find_scheme,
    spans,
    strict_spans,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from seqeval import metrics as seqeval
    from seqeval.scheme import IOB2, IOBES

SCHEMES = {"IOB2": IOB2, "IOBES": IOBES}
IOB2_TAGS = ["O", "B-x", "I-x", "B-y", "I-y"]
IOBES_TAGS = [*IOB2_TAGS, "E-x", "S-x", "E-y", "S-y"]


def corpora(tags: list[str]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Rows of pairs of a true and a predicted tag."""
    pairs = st.tuples(st.sampled_from(tags), st.sampled_from(tags))
    return st.lists(st.lists(pairs, min_size=1, max_size=8), min_size=1, max_size=4)


def agrees(rows: list[list[tuple[str, str]]], scheme: str | None) -> None:
    truth = [[tag for tag, _ in row] for row in rows]
    found = [[guess for _, guess in row] for row in rows]
    counts = count_entities(truth, found, scheme)
    strict = {} if scheme is None else {"mode": "strict", "scheme": SCHEMES[scheme]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not counts:  # seqeval takes the mean of nothing
            assert not any(spans(tags) if scheme is None else () for tags in truth)
            return
        wanted = {
            "precision": seqeval.precision_score(truth, found, **strict),
            "recall": seqeval.recall_score(truth, found, **strict),
            "f1": seqeval.f1_score(truth, found, **strict),
            "f1_macro": seqeval.f1_score(truth, found, average="macro", **strict),
        }
        report = seqeval.classification_report(truth, found, output_dict=True, **strict)
    assert entity_scores(counts) == pytest.approx(wanted)
    for kind, told in entity_details(counts).items():
        theirs = report[kind]
        assert told["support"] == theirs["support"]
        assert told["f1"] == pytest.approx(theirs["f1-score"])


@given(corpora(IOB2_TAGS))
def test_iob2_is_seqevals(rows: list[list[tuple[str, str]]]) -> None:
    agrees(rows, None)
    agrees(rows, "IOB2")


@given(corpora(IOBES_TAGS))
def test_iobes_is_seqevals(rows: list[list[tuple[str, str]]]) -> None:
    agrees(rows, None)
    agrees(rows, "IOBES")


def test_types_may_have_hyphens_and_none() -> None:
    assert spans(["B-creative-work", "I-creative-work"]) == [("creative-work", 0, 1)]
    assert spans(["B", "I", "O", "B"]) == [("", 0, 1), ("", 3, 3)]


@pytest.mark.parametrize(
    ("rows", "scheme"),
    [
        ([["B-x", "I-x", "O"]], "IOB2"),
        ([["B-x", "O"]], "IOB2"),
        ([["I-x", "O", "I-x", "B-x"]], "IOB1"),
        ([["S-x", "O"]], "IOBES"),
        ([["B-x", "E-x"]], "IOBES"),
        ([["NOUN", "VERB"]], "none"),
        ([["B-x", "NOUN"]], "none"),
        ([["O", "O"]], "none"),
        ([["B-x", "I-x", "O"]] * 30 + [["I-x"]], "IOB2"),  # one mistake
    ],
)
def test_schemes_are_found(rows: list[list[str]], scheme: str) -> None:
    assert find_scheme(rows) == scheme


@pytest.mark.parametrize(("tags", "scheme"), [(IOB2_TAGS, "IOB2"), (IOBES_TAGS, "IOBES")])
def test_what_is_allowed_is_what_strict_reading_keeps(tags: list[str], scheme: str) -> None:
    allowed = allowed_tags(tags, scheme)
    for row in itertools.product(range(len(tags)), repeat=3):
        fits = bool(allowed.start[row[0]] & allowed.end[row[-1]])
        fits &= all(bool(allowed.transitions[a, b]) for a, b in itertools.pairwise(row))
        named = [tags[code] for code in row]
        covered = sum(last - first + 1 for _, first, last in strict_spans(named, scheme))
        assert fits == (covered == sum(tag != "O" for tag in named))


def test_other_tags_may_stand_anywhere() -> None:
    for scheme in ("none", "IOB1"):
        allowed = allowed_tags(["I-x", "O"], scheme)
        assert all(bool(part.all()) for part in allowed)
        assert isinstance(allowed.start, torch.Tensor)
