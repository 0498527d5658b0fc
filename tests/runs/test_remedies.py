"""From findings to keys of a plan: every change is one that a plan can have."""

from __future__ import annotations

import pytest

from glial.core.findings import Finding, with_known_remedies
from glial.core.settings import flat, override
from glial.doctor import PROBLEMS
from glial.models import MODELS
from glial.runs import Plan
from glial.runs.remedies import REMEDIES, plan_changes, with_plan_remedies

FAULTY = {
    "train": {
        "lr": 0.1,
        "optimizer": "momentum",
        "momentum": 0.999,
        "eps": 1.0,
        "betas": [0.1, 0.1],
        "weight_decay": 9.0,
        "l1": 0.1,
        "l2": 0.1,
        "warmup": 0.9,
        "schedule": "exponential",
        "schedule_gamma": 0.01,
        "batch_size": 1,
        "restore_best": False,
        "clip_norm": 1e-6,
        "precision": "bfloat16",
        "epochs": 3,
    },
    "data": {"scaling": "none", "scale_target": False, "missing": "constant"},
    "task": {"name": "classification", "label_smoothing": 0.9, "loss": "focal"},
}
MLP = {
    "name": "mlp",
    "activation": "sigmoid",
    "initialization": "zero",
    "dropout": 0.97,
    "hidden_sizes": [1],
    "output_activation": "sigmoid",
    "bias_initialization": "random",
}


def found(problem, **evidence):
    return Finding(problem, "error", None, evidence, "It is.", "Do it.")


def changes(problem, values, **evidence):
    plan = Plan.from_values(values)
    return {one.name: one.set for one in plan_changes(found(problem, **evidence), plan, plan)}


def test_remedies_are_of_known_problems():
    assert set(REMEDIES) <= set(PROBLEMS)


@pytest.mark.parametrize("problem", sorted(REMEDIES))
@pytest.mark.parametrize("task", ["classification", "regression", "generate"])
def test_every_change_makes_a_plan_of_its_model_that_is_another(problem, task):
    for name in ("mlp", "tabular", "linear", "vae", "gan", "sequence_rnn", "custom"):
        model = MLP if name == "mlp" else {"name": name}
        values = {**FAULTY, "model": model, "task": {**FAULTY["task"], "name": task}}
        plan = Plan.from_values(values)
        for change in plan_changes(found(problem), plan, plan):
            healed = Plan.from_values(override(values, change.set))
            assert healed != plan
            before, after = flat(plan.to_values()), flat(healed.to_values())
            usual = {key for key in change.set if key.startswith("model.")}
            differ = {
                key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
            }
            assert differ <= set(change.set) | {"data.augment"}
            assert usual <= {f"model.{key}" for key in _fields(name)}


def _fields(name):
    return MODELS.resolve(name).model_fields if name in MODELS else ()


@pytest.mark.parametrize(
    ("problem", "first"),
    [
        ("learning-rate-too-high", {"train.lr": "auto"}),
        ("learning-rate-too-low", {"train.lr": "auto"}),
        ("unscaled-input", {"data.scaling": "auto"}),
        ("unscaled-target", {"data.scale_target": True}),
        ("batch-size-unsuitable", {"train.batch_size": 128}),
        ("class-imbalance", {"task.class_weights": "balanced"}),
        ("wrong-loss", {"task.loss": "auto"}),
        ("underfitting", {"model.hidden_sizes": None}),
        ("out-of-memory", {"train.accumulate": 2}),
        ("missing-nonlinearity", {"model.activation": "relu"}),
        (
            "symmetric-units",
            {"model.initialization": "auto", "model.bias_initialization": "zero"},
        ),
        (
            "over-regularised",
            {
                "train.weight_decay": 0.01,
                "train.l1": 0.0,
                "train.l2": 0.0,
                "model.dropout": 0.0,
                "task.label_smoothing": None,
            },
        ),
    ],
)
def test_what_was_set_by_hand_goes_back_to_what_suits_the_model(problem, first):
    made = changes(problem, {**FAULTY, "model": MLP})
    assert next(iter(made.values())) == first


def test_a_rate_goes_where_updates_are_a_thousandth_of_weights():
    values = {"model": "mlp", "train": {"lr": 10.0}}
    assert changes("learning-rate-too-high", values, update_to_weight=50.0)["lower-rate"] == {
        "train.lr": 2e-4
    }
    low = {"model": "mlp", "train": {"lr": 1e-6}}
    assert changes("learning-rate-too-low", low, update_to_weight=1e-5)["raise-rate"] == {
        "train.lr": 1e-4
    }
    # What was seen speaks for a higher rate: then only a tenth.
    assert changes("learning-rate-too-high", values, update_to_weight=1e-5)["lower-rate"] == {
        "train.lr": 1.0
    }


def test_a_measured_rate_is_not_measured_again():
    asked = Plan.from_values({"model": "mlp"})
    trained = Plan.from_values({"model": "mlp", "train": {"lr": 0.02}})
    made = plan_changes(found("learning-rate-too-high"), trained, asked)
    assert [one.name for one in made] == ["lower-rate", "clip-gradient"]


def test_what_was_set_by_hand_is_taken_back_before_anything_is_added():
    model = {"name": "mlp", "activation": "relu"}
    asked = Plan.from_values({"model": model, "train": {"l2": 1.0}})
    made = plan_changes(found("activation-collapse"), asked, asked)
    assert [one.name for one in made] == ["regularise-less", "add-normalisation"]
    assert made[0].set == {"train.l2": 0.0}
    # Also where it is not what the problem is known to come from.
    first, *others = plan_changes(found("dead-units"), asked, asked)
    assert (first.name, first.set) == ("usual-recipe", {"train.l2": 0.0})
    assert "change-activation" in [one.name for one in others]


def test_longer_training_says_so():
    plan = Plan.from_values({"model": "mlp", "train": {"epochs": 5}})
    (longer,) = [one for one in plan_changes(found("undertrained"), plan, plan) if one.longer > 1]
    assert (longer.set, longer.longer) == ({"train.epochs": 10}, 2.0)
    timed = Plan.from_values({"model": "mlp", "train": {"epochs": 5, "time_limit": 3.0}})
    assert "train-longer" not in {c.name for c in plan_changes(found("undertrained"), timed, timed)}


def test_what_no_plan_can_mend_has_no_remedy():
    plan = Plan.from_values({**FAULTY, "model": MLP})
    assert plan_changes(found("missing-step"), plan, plan) == []
    (told,) = with_plan_remedies([found("missing-step")], plan, plan)
    assert told.remedy is None


def test_remedies_are_known_again_by_problem_and_place():
    told = Finding("dead-units", "error", "a", {}, "It.", "Do.", remedy={"set": {"train.lr": 1.0}})
    same, other = (Finding("dead-units", "note", x, {}, "It.", "Do.") for x in ("a", "b"))
    first, second = with_known_remedies([same, other], [told])
    assert (first.remedy, second.remedy) == ({"set": {"train.lr": 1.0}}, None)
