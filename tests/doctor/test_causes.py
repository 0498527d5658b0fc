"""What leads to what, and the order in which findings are told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glial.core.findings import Finding, Place, is_healthy
from glial.doctor import LEADS_TO, PROBLEMS, consequences, rank

EDGES = [(cause, effect) for cause, effects in LEADS_TO.items() for effect in effects]


def finding(problem, severity="warning", where=None, **others):
    fields = {"evidence": {}, "means": "It.", "do": "Do."} | others
    return Finding(problem, severity, where, **fields)


def names(findings):
    return [one.problem for one in findings]


# The graph.


def test_the_graph_names_known_problems_each_once():
    assert set(LEADS_TO) <= set(PROBLEMS)
    for cause, effects in LEADS_TO.items():
        assert set(effects) <= set(PROBLEMS), cause
        assert len(set(effects)) == len(effects), cause


def test_nothing_leads_back_to_itself():
    for cause, effects in consequences(LEADS_TO).items():
        assert cause not in effects


def test_every_symptom_has_a_cause():
    explained = {effect for effects in LEADS_TO.values() for effect in effects}
    assert {name for name, problem in PROBLEMS.items() if problem.kind == "symptom"} <= explained


def test_symptoms_lead_to_symptoms_only():
    for name, problem in PROBLEMS.items():
        if problem.kind == "symptom":
            assert all(PROBLEMS[effect].kind == "symptom" for effect in LEADS_TO.get(name, ()))


def test_consequences_go_all_the_way():
    graph = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}
    assert consequences(graph) == {
        "a": {"b", "c", "d"},
        "b": {"d"},
        "c": {"d"},
        "d": frozenset(),
    }
    assert consequences({}) == {}


@pytest.mark.parametrize(
    "graph", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["a"]}]
)
def test_circles_are_refused(graph):
    with pytest.raises(ValueError, match="circle"):
        consequences(graph)


# The order, by hand.


def test_nothing_comes_of_nothing():
    assert rank([]) == []


@pytest.mark.parametrize(("cause", "effect"), EDGES)
def test_every_edge_is_followed(cause, effect):
    ranked = rank([finding(effect, "error"), finding(cause)])
    if PROBLEMS[effect].kind == "symptom":
        assert names(ranked) == [cause]
        assert ranked[0].symptoms == (effect,)
    else:
        assert names(ranked) == [cause, effect]
        assert ranked[0].symptoms == ()
    assert ranked[0].severity == "error"


def test_a_chain_is_told_from_its_beginning():
    ranked = rank(
        [
            finding("loss-not-decreasing", "error"),
            finding("dead-units", where="2"),
            finding("vanishing-gradient", where="0"),
            finding("unscaled-input"),
        ]
    )
    assert names(ranked) == ["unscaled-input", "dead-units", "vanishing-gradient"]
    assert [one.severity for one in ranked] == ["error", "error", "error"]
    assert {one.symptoms for one in ranked} == {("loss-not-decreasing",)}


def test_a_symptom_stands_alone_where_no_cause_is_known():
    alone = finding("loss-not-finite", "error")
    assert rank([alone]) == [alone]
    assert rank([alone, finding("leakage")]) == [alone, finding("leakage")]


def test_a_symptom_is_told_with_each_of_its_causes():
    ranked = rank(
        [finding("loss-oscillating"), finding("unshuffled-data"), finding("wrong-reduction")]
    )
    assert {one.problem: one.symptoms for one in ranked} == {
        "unshuffled-data": ("loss-oscillating",),
        "wrong-reduction": ("loss-oscillating",),
    }


def test_a_symptom_of_a_symptom_is_folded_too():
    ranked = rank([finding("loss-not-decreasing", "error"), finding("activation-collapse")])
    assert names(ranked) == ["activation-collapse"]
    assert ranked[0].symptoms == ("loss-not-decreasing",)
    assert ranked[0].severity == "error"


def test_among_roots_the_severest_comes_first():
    ranked = rank([finding("missing-step"), finding("overfitting", "error"), finding("leakage")])
    assert names(ranked) == ["overfitting", "missing-step", "leakage"]


def test_among_roots_of_one_severity_the_one_that_explains_more_comes_first():
    ranked = rank(
        [
            finding("wrong-axis"),  # explains nothing here
            finding("batch-size-unsuitable"),  # undertrained and the swings
            finding("loss-oscillating"),
            finding("undertrained"),
        ]
    )
    assert names(ranked) == ["batch-size-unsuitable", "wrong-axis", "undertrained"]


def test_ties_go_by_the_order_of_the_problems():
    roots = ["data-stall", "leakage", "shape-broadcast", "missing-zero-grad"]
    ranked = rank([finding(name) for name in roots])
    assert names(ranked) == ["missing-zero-grad", "shape-broadcast", "leakage", "data-stall"]


def test_what_follows_comes_after_roots_of_its_severity():
    ranked = rank([finding("dead-units"), finding("unscaled-input"), finding("data-stall")])
    assert names(ranked) == ["unscaled-input", "data-stall", "dead-units"]


def test_a_note_explains_notes_only():
    note, swings = finding("unshuffled-data", "note"), finding("loss-oscillating")
    assert rank([note, swings]) == [swings, note]
    folded = rank([note, finding("loss-oscillating", "note")])
    assert names(folded) == ["unshuffled-data"]
    assert folded[0].severity == "note"


def test_severity_travels_along_a_chain():
    ranked = rank(
        [
            finding("bad-initial-scale", where="0"),
            finding("exploding-gradient", where="4"),
            finding("loss-not-finite", "error"),
        ]
    )
    assert [one.severity for one in ranked] == ["error", "error"]


def test_columns_do_not_explain_each_other():
    findings = [
        finding("missing-values", where="age"),
        finding("unscaled-input", "error", where="fare"),
    ]
    ranked = rank(findings)
    assert [one.severity for one in ranked] == ["error", "warning"]
    assert names(ranked) == ["unscaled-input", "missing-values"]
    same = rank([findings[0], finding("unscaled-input", "error", where="age")])
    assert [one.severity for one in same] == ["error", "error"]
    assert names(same) == ["missing-values", "unscaled-input"]


def test_a_column_explains_a_layer():
    ranked = rank([finding("saturated-units", where="0"), finding("unscaled-input", where="age")])
    assert names(ranked) == ["unscaled-input", "saturated-units"]


# Several layers.


def test_layers_that_tell_the_same_are_one_finding():
    ranked = rank(
        [
            finding("dead-units", where="10", since_step=3, evidence={"share": 0.6}),
            finding("dead-units", where="4", evidence={"share": 0.7}, at=Place("a.py", 3)),
            finding("dead-units", where="2", since_step=9, evidence={"share": 0.8}),
        ]
    )
    assert len(ranked) == 1
    assert ranked[0].where == "2"
    assert ranked[0].evidence == {"share": 0.8, "layers": 3}
    assert ranked[0].since_step == 3
    assert ranked[0].at is None


def test_the_order_of_calls_says_which_layer_is_first():
    findings = [finding("dead-units", where=name) for name in ("decoder", "encoder.1", "encoder.0")]
    assert rank(findings)[0].where == "decoder"
    assert rank(findings, ["encoder.0", "encoder.1", "decoder"])[0].where == "encoder.0"


def test_layers_with_something_else_to_do_stay_apart():
    wide = finding("bad-initial-scale", where="0", do="make them smaller")
    narrow = finding("bad-initial-scale", where="2", do="make them larger")
    assert rank([narrow, wide]) == [wide, narrow]


def test_layers_of_another_severity_stay_apart():
    ranked = rank([finding("dead-units", "note", "0"), finding("dead-units", where="2")])
    assert [(one.severity, one.where) for one in ranked] == [("warning", "2"), ("note", "0")]


def test_columns_stay_apart():
    ranked = rank([finding("leakage", where="a"), finding("leakage", where="b")])
    assert [one.where for one in ranked] == ["a", "b"]


def test_the_same_finding_twice_is_one():
    assert rank([finding("leakage"), finding("leakage")]) == [finding("leakage")]


# Laws.

# Findings are built in the test: type checks draw random numbers, which a strategy must not.
DRAWN = st.lists(
    st.tuples(
        st.sampled_from(sorted(PROBLEMS)),
        st.sampled_from(["error", "warning", "note"]),
        st.sampled_from([None, "0", "2", "10"]),
        st.sampled_from(["Do.", "Do that."]),
        st.sampled_from([None, 1, 5]),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(DRAWN, st.randoms())
def test_laws_of_ranking(drawn, random):
    findings = [finding(*first, do=do, since_step=step) for *first, do, step in drawn]
    ranked = rank(findings)
    shuffled = list(findings)
    random.shuffle(shuffled)
    assert rank(shuffled) == ranked, "the order of findings has no influence"
    assert rank(ranked) == ranked, "what is ranked stays so"
    assert is_healthy(ranked) == is_healthy(findings)
    told = {one.problem for one in ranked} | {name for one in ranked for name in one.symptoms}
    assert told == {one.problem for one in findings}, "nothing is lost, nothing invented"
    order = ["error", "warning", "note"]
    assert [one.severity for one in ranked] == sorted(
        (one.severity for one in ranked), key=order.index
    )
    reached = consequences(LEADS_TO)
    for at, one in enumerate(ranked):
        for later in ranked[at + 1 :]:
            if one.severity == later.severity and one.where == later.where:
                assert one.problem not in reached.get(later.problem, ()), "causes first"
