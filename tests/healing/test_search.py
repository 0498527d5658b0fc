"""The search, on a patient whose scores are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from glial.core.errors import InputError
from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.healing import Healing, Pair, Step, Treatment, Trial, heal, judge, pooled_deviation

RATE, SCALE, LONG = "learning-rate-too-high", "unscaled-input", "undertrained"


def finding(problem, severity="error"):
    return Finding(problem, severity, None, {}, "It is.", "Do it.")


def treat(*names, problem=RATE, before=(), longer=1.0, alters_loss=False):
    steps = tuple(Step(name, problem, None, "Do it.", alters_loss) for name in names)
    changes = {step.remedy: 1 for step in (*before, *steps)}
    return Treatment((*before, *steps), set=changes, longer=longer)


@dataclass
class Fake:
    """Scores by treatment's name and seed; what each shows, and what can be tried on top of it."""

    scores: dict[str, list[float | None]]
    shows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    offers: dict[str, list[Treatment]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    can_shorten: bool = False
    part: float = 1.0  # of its time that a training spends training
    lower_is_better: bool = False
    measured_by: str = "val accuracy"
    stops_at: int | None = None
    without_metric: tuple[str, ...] = ()
    made: list[tuple[str, int, float]] = field(default_factory=list)

    def train(self, treatment, *, seed, share=1.0):
        if len(self.made) == self.stops_at:
            raise KeyboardInterrupt
        name = treatment.name
        self.made.append((name, seed, share))
        score = self.scores[name][seed]
        seconds = self.seconds.get(name, 10.0) * (1 - self.part + self.part * share)
        failed = None if score is not None or name in self.without_metric else "ValueError"
        found = [finding(problem) for problem in self.shows.get(name, ())]
        return Trial(score, seconds, self.part * seconds, found, Evidence(), failed)

    def candidates(self, trial, treatment):
        return self.offers.get(treatment.name, [])


def verdicts(healing: Healing):
    return {one.treatment.name: one.verdict for one in healing.attempts}


def test_what_is_healthy_is_left_alone():
    patient = Fake({"": [0.9]})
    healing = heal(patient)
    assert (healing.stopped, healing.kept, patient.made) == ("healthy", None, [("", 0, 1.0)])
    assert (healing.trainings, healing.search_cost, healing.attempts) == (1, 0, [])


def test_what_a_patient_offers_without_a_problem_is_tried_once():
    scores = {"": [0.5] * 3, "a": [0.9] * 3, "b": [0.9] * 3}
    offers = {"": [treat("a"), treat("b")], "a": [treat("b", before=treat("a").steps)]}
    healing = heal(Fake(scores, offers=offers))
    assert verdicts(healing) == {"a": "kept", "b": "not-tried"}
    assert healing.stopped == "done"


def test_without_a_metric_and_a_problem_nothing_is_tried():
    healing = heal(Fake({"": [None]}, offers={"": [treat("a")]}, without_metric=("",)))
    assert (healing.stopped, healing.attempts) == ("healthy", [])


def test_what_has_no_remedy_is_said_to_have_none():
    healing = heal(Fake({"": [0.5]}, {"": (RATE,)}))
    assert (healing.stopped, healing.kept) == ("no-remedy", None)


def test_a_right_first_remedy_costs_one_training_to_find():
    patient = Fake(
        {"": [0.50, 0.52, 0.48], "a": [0.90, 0.91, 0.89]}, {"": (RATE,)}, {"": [treat("a")]}
    )
    healing = heal(patient)
    assert patient.made == [
        ("", 0, 1.0),
        ("a", 0, 1.0),  # counts as its first seed too
        *(("", 1, 1.0), ("a", 1, 1.0), ("", 2, 1.0), ("a", 2, 1.0)),
    ]
    assert verdicts(healing) == {"a": "kept"}
    assert healing.kept == treat("a")
    assert (healing.trainings, healing.search_cost, healing.confirm_cost) == (6, 1.0, 5.0)
    (attempt,) = healing.attempts
    assert attempt.gain == pytest.approx(0.4)
    assert attempt.noise == pytest.approx(math.sqrt((0.0008 + 0.0002) / 4))
    assert (attempt.stage, attempt.cost, attempt.gone) == ("confirmed", 3.0, (RATE,))
    told = healing.to_dict()
    scores = [0.50, 0.52, 0.48]
    assert told["before"] == {"mean": pytest.approx(0.5), "scores": scores, "problems": [RATE]}
    assert told["after"]["mean"] == pytest.approx(0.9)
    assert (told["kept"], told["set"], told["diff"]) == (["a"], {"a": 1}, None)
    assert told["attempts"][0]["scores"][1] == [1, 0.52, 0.91]


def test_a_gain_within_the_noise_between_seeds_is_not_kept():
    scores = {"": [0.5, 0.7, 0.3], "a": [0.52, 0.8, 0.33]}
    healing = heal(Fake(scores, {"": (RATE,)}, {"": [treat("a")]}))
    (attempt,) = healing.attempts
    assert (attempt.verdict, attempt.stage) == ("dropped", "confirmed")
    assert (attempt.gain, attempt.noise) == (pytest.approx(0.05), pytest.approx(0.219, abs=1e-3))
    assert healing.kept is None
    assert healing.to_dict()["after"] is None


def test_gains_that_are_alike_are_kept_however_seeds_differ():
    scores = {"": [0.5, 0.7, 0.3], "a": [0.55, 0.75, 0.37]}
    healing = heal(Fake(scores, {"": (RATE,)}, {"": [treat("a")]}))
    assert verdicts(healing) == {"a": "kept"}
    assert healing.noise > healing.attempts[0].gain


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([0.6, 0.9, 0.6], [0.9, 0.9, 0.9], "kept"),  # it went well once, by luck
        ([0.6, 0.9, 0.9], [0.9, 0.9, 0.9], "dropped"),  # more often than not
        ([0.6, 0.95, 0.6], [0.9, 0.95, 0.9], "dropped"),  # better than some with it
    ],
)
def test_what_always_goes_well_is_better_than_what_sometimes_does(before, after, verdict):
    patient = Fake({"": before, "a": after}, {"": (RATE,)}, {"": [treat("a")]})
    assert verdicts(heal(patient)) == {"a": verdict}


def test_what_harmed_by_itself_is_not_combined_before_what_may_help_alone():
    scores = {"": [0.5] * 3, "a": [0.3] * 3, "a + b": [0.6] * 3, "b": [0.9] * 3}
    offers = {"": [treat("a"), treat("a", "b"), treat("b")]}
    healing = heal(Fake(scores, {"": (RATE,)}, offers))
    assert verdicts(healing) == {"a": "dropped", "a + b": "not-tried", "b": "kept"}


def test_one_pair_that_loses_is_enough_to_drop_it_and_ends_confirming():
    scores = {"": [0.5, 0.5, 0.5], "a": [0.9, 0.4, 0.9]}
    patient = Fake(scores, {"": (RATE,)}, {"": [treat("a")]})
    healing = heal(patient)
    assert verdicts(healing) == {"a": "dropped"}
    assert ("a", 2, 1.0) not in patient.made


def test_the_next_remedy_is_tried_where_the_first_brings_nothing():
    scores = {"": [0.5] * 3, "a": [0.5] * 3, "b": [0.8] * 3}
    patient = Fake(scores, {"": (RATE,)}, {"": [treat("a"), treat("b"), treat("c")]})
    healing = heal(patient)
    assert verdicts(healing) == {"a": "dropped", "b": "kept", "c": "not-tried"}
    assert healing.search_cost == 2.0
    assert healing.trainings == 7


def test_screening_stops_at_two_trainings():
    scores = {"": [0.5] * 3, "a": [0.5] * 3, "b": [0.5] * 3, "c": [0.9] * 3}
    healing = heal(Fake(scores, {"": (RATE,)}, {"": [treat("a"), treat("b"), treat("c")]}))
    assert verdicts(healing) == {"a": "dropped", "b": "dropped", "c": "not-tried"}
    assert (healing.stopped, healing.search_cost, healing.trainings) == ("budget", 2.0, 3)


def test_a_remedy_that_trains_for_longer_is_paid_for():
    scores = {"": [0.5] * 3, "a": [0.9] * 3, "b": [0.9] * 3}
    offers = {"": [treat("a", longer=3.0), treat("b", longer=2.0)]}
    patient = Fake(scores, {"": (LONG,)}, offers, {"b": 20.0})
    healing = heal(patient)
    assert verdicts(healing) == {"a": "not-tried", "b": "kept"}
    assert (healing.search_cost, healing.trainings) == (2.0, 6)


def test_what_takes_too_long_to_be_screened_is_confirmed_where_nothing_else_helps():
    scores = {"": [0.5] * 3, "a": [0.4] * 3, "b": [0.9] * 3, "c": [0.95] * 3}
    shows = {"": (LONG,), "b": (LONG,)}
    offers = {"": [treat("c", longer=30.0), treat("a"), treat("b", longer=3.0)]}
    patient = Fake(scores, shows, offers, {"b": 28.0})
    healing = heal(patient)
    assert verdicts(healing) == {"c": "not-tried", "a": "dropped", "b": "kept"}
    assert (healing.search_cost, healing.trainings) == (1.0, 7)


def test_where_parts_of_trainings_cost_much_whole_ones_are_made():
    scores = {"": [0.5] * 3, "a": [0.5] * 3, "b": [0.8] * 3}
    offers = {"": [treat(name) for name in "abc"]}
    patient = Fake(scores, {"": (RATE,)}, offers, can_shorten=True, part=0.6)
    healing = heal(patient)
    assert verdicts(healing) == {"a": "dropped", "b": "kept", "c": "not-tried"}
    assert all(share == 1.0 for _, _, share in patient.made)


def test_candidates_are_screened_on_parts_of_a_training_after_the_first():
    scores = {"": [0.5] * 3, "a": [0.5] * 3, "b": [0.6] * 3, "c": [0.8] * 3, "d": [0.7] * 3}
    offers = {"": [treat(name) for name in "abcde"]}
    patient = Fake(scores, {"": (RATE,)}, offers, can_shorten=True)
    healing = heal(patient)
    assert patient.made[:6] == [
        ("", 0, 1.0),
        ("a", 0, 1.0),
        *((name, 0, 0.25) for name in ("", "b", "c", "d")),
    ]
    assert verdicts(healing) == {
        "a": "dropped",
        "b": "dropped",
        "c": "kept",
        "d": "dropped",
        "e": "not-tried",
    }
    assert (healing.search_cost, healing.trainings) == (2.0, 1 + 1 + 4 * 0.25 + 5)


def test_what_shows_at_the_end_is_not_screened_on_parts():
    scores = {"": [0.5] * 3, "a": [0.5] * 3, "b": [0.9] * 3}
    offers = {"": [treat("a"), treat("b", problem=LONG), treat("c", problem=LONG)]}
    patient = Fake(scores, {"": (RATE,)}, offers, can_shorten=True)
    assert verdicts(heal(patient))["b"] == "kept"
    assert {share for _, _, share in patient.made} == {1.0}


def test_what_mends_a_part_is_extended_while_errors_are_left():
    both = treat("b", problem=SCALE, before=treat("a").steps)
    scores = {"": [0.2] * 3, "a": [0.5] * 3, "a + b": [0.9, 0.8, 0.9]}
    shows = {"": (SCALE, RATE), "a": (SCALE,)}
    patient = Fake(scores, shows, {"": [treat("a"), treat("c")], "a": [both]})
    healing = heal(patient)
    assert verdicts(healing) == {"a": "dropped", "c": "not-tried", "a + b": "kept"}
    assert healing.to_dict()["kept"] == ["a", "b"]
    kept = healing.attempts[-1]
    assert kept.pairs[0] == Pair(0, 0.2, 0.9)  # of the control, not of what it extends
    assert set(kept.gone) == {SCALE, RATE}
    assert (healing.search_cost, healing.trainings) == (2.0, 1 + 2 + 4)


def test_what_it_extends_is_kept_where_the_extension_does_not_last():
    both = treat("b", problem=SCALE, before=treat("a").steps)
    scores = {"": [0.2] * 3, "a": [0.5] * 3, "a + b": [0.9, 0.1, 0.9]}
    shows = {"": (SCALE, RATE), "a": (SCALE,), "a + b": (SCALE,)}
    healing = heal(Fake(scores, shows, {"": [treat("a")], "a": [both]}), budget=12)
    assert verdicts(healing) == {"a": "kept", "a + b": "dropped"}


def test_with_budget_left_the_next_cause_is_mended_on_top():
    both = treat("b", problem=SCALE, before=treat("a").steps)
    scores = {"": [None] * 3, "a": [0.5, 0.5, 0.5], "a + b": [0.9] * 3}
    shows = {"": (SCALE, RATE), "a": (SCALE,)}
    seconds = {"": 1.0, "a": 10.0}

    class Late(Fake):
        def candidates(self, trial, treatment):
            made = [name for name, _, _ in self.made]
            late = treatment.name == "a" and made.count("a") < 3
            return [] if late else super().candidates(trial, treatment)

    patient = Late(scores, shows, {"": [treat("a")], "a": [both]}, seconds)
    healing = heal(patient, budget=9)
    assert verdicts(healing) == {"a": "kept", "a + b": "kept"}
    assert healing.kept is both
    assert [pair.before for pair in healing.attempts[1].pairs] == [0.5] * 3
    assert healing.to_dict()["before"]["scores"] == [None] * 3
    assert healing.trainings == 9
    assert healing.search_cost == 2.0  # a control that broke off is no measure of a training


def test_a_control_without_a_score_loses_to_any():
    scores = {"": [None, None, None], "a": [0.1, 0.2, 0.3]}
    healing = heal(Fake(scores, {"": (RATE,)}, {"": [treat("a")]}))
    assert verdicts(healing) == {"a": "kept"}
    assert healing.attempts[0].gain == math.inf
    assert healing.to_dict()["before"]["scores"] == [None] * 3


def test_a_treated_training_that_breaks_is_failed():
    scores = {"": [0.5], "a": [None]}
    healing = heal(Fake(scores, {"": (RATE,)}, {"": [treat("a")]}))
    (attempt,) = healing.attempts
    assert (attempt.verdict, attempt.why, attempt.gain) == ("failed", "ValueError", -math.inf)


def test_what_breaks_soon_costs_little_even_if_the_control_broke_too():
    scores = {"": [None] * 3, "a": [None], "b": [None], "c": [0.9] * 3}
    seconds = {"a": 2.0, "b": 2.0}
    offers = {"": [treat("a"), treat("b"), treat("c")]}
    healing = heal(Fake(scores, {"": (RATE,)}, offers, seconds))
    assert verdicts(healing) == {"a": "failed", "b": "failed", "c": "kept"}


def test_one_that_breaks_with_another_seed_is_dropped():
    scores = {"": [0.5] * 3, "a": [0.9, None, 0.9]}
    healing = heal(Fake(scores, {"": (RATE,)}, {"": [treat("a")]}))
    assert (verdicts(healing), healing.kept) == ({"a": "dropped"}, None)


def test_without_a_metric_nothing_is_kept():
    scores = {"": [None] * 3, "a": [None] * 3, "b": [None] * 3}
    shows = {"": (RATE,), "a": (SCALE,)}
    offers = {"": [treat("a"), treat("b"), treat("c")]}
    healing = heal(Fake(scores, shows, offers, without_metric=("", "a", "b")))
    assert verdicts(healing) == {"a": "unverified", "b": "unverified", "c": "not-tried"}
    assert (healing.attempts[0].gone, healing.attempts[0].new) == ((RATE,), (SCALE,))
    assert (healing.attempts[1].gone, healing.attempts[1].new) == ((RATE,), ())
    assert (healing.kept, healing.trainings) == (None, 3)


def test_a_loss_that_cannot_be_compared_is_no_verdict():
    scores = {"": [0.5] * 3, "a": [None] * 3, "b": [0.9] * 3}
    shows = {"": (RATE,), "a": (RATE,)}
    offers = {"": [treat("a", alters_loss=True), treat("b")]}
    healing = heal(Fake(scores, shows, offers, without_metric=("a",)))
    assert verdicts(healing) == {"a": "unverified", "b": "kept"}


def test_lower_can_be_better():
    scores = {"": [2.0, 2.1, 2.2], "a": [1.0, 1.1, 1.2]}
    patient = Fake(scores, {"": (RATE,)}, {"": [treat("a")]}, lower_is_better=True)
    assert heal(patient).attempts[0].gain == pytest.approx(1.0)
    patient = Fake(scores | {"a": [3.0] * 3}, {"": (RATE,)}, {"": [treat("a")]})
    patient.lower_is_better = True
    assert heal(patient).kept is None


@pytest.mark.parametrize(
    ("at", "made", "tried"),
    [(0, 0, {}), (1, 1, {"a": "not-tried"}), (3, 3, {"a": "dropped"})],
)
def test_an_interrupt_leaves_what_is_known(at, made, tried):
    scores = {"": [0.5] * 3, "a": [0.9] * 3}
    patient = Fake(scores, {"": (RATE,)}, {"": [treat("a")]}, stops_at=at)
    healing = heal(patient)
    assert (healing.stopped, healing.trainings, healing.kept) == ("interrupted", made, None)
    assert verdicts(healing) == tried
    assert healing.to_dict()["stopped"] == "interrupted"


def test_the_same_changes_are_tried_once():
    scores = {"": [0.5] * 3, "a": [0.5] * 3, "b": [0.9] * 3}
    again = Treatment(treat("z").steps, set=treat("a").set)
    offers = {"": [treat("a"), again, Treatment(treat("y").steps), treat("b")]}
    assert verdicts(heal(Fake(scores, {"": (RATE,)}, offers))) == {"a": "dropped", "b": "kept"}


@pytest.mark.parametrize("budget", [6, 7])
def test_a_budget_keeps_what_confirming_needs(budget):
    scores = {"": [0.5] * 3, "a": [0.5] * 3, "b": [0.9] * 3}
    healing = heal(Fake(scores, {"": (RATE,)}, {"": [treat("a"), treat("b")]}), budget=budget)
    assert verdicts(healing) == {"a": "dropped", "b": "not-tried" if budget == 6 else "kept"}
    assert healing.trainings <= budget
    assert healing.stopped == ("budget" if budget == 6 else "done")


@pytest.mark.parametrize("budget", [5, 0, -1, math.nan])
def test_a_budget_too_small_to_show_anything_is_refused(budget):
    with pytest.raises(InputError, match="at least 6 trainings"):
        heal(Fake({}), budget=budget)


def test_a_first_training_that_was_made_is_not_made_again():
    scores = {"": [0.5] * 3, "a": [0.9] * 3}
    patient = Fake(scores, {"": (RATE,)}, {"": [treat("a")]})
    healing = heal(patient, control=Trial(0.5, 10.0, 9.0, [finding(RATE)]))
    assert ("", 0, 1.0) not in patient.made
    assert (healing.trainings, verdicts(healing)) == (6, {"a": "kept"})


@pytest.mark.parametrize(
    ("after", "helps"), [((-2.0, -2.1, -1.9), True), ((-2.0, -2.1, -28.0), False)]
)
def test_a_control_that_breaks_differently_each_time_is_no_noise(after, helps):
    pairs = [Pair(n, *both) for n, both in enumerate(zip((-3000, -28.1, -140), after, strict=True))]
    assert pooled_deviation([(-3000, -28.1, -140), after]) > 1100  # and the mean gain is 1054
    assert judge(pairs, lower_is_better=False).helps is helps
    turned = [Pair(pair.seed, -pair.before, -pair.after) for pair in pairs]
    assert judge(turned, lower_is_better=True).helps is helps


def test_no_pair_is_no_help():
    assert not judge([], lower_is_better=False).helps
