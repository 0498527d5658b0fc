"""A run judged: the plain figures unchanged, with intervals, and by class."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from sklearn import metrics

import glial
from glial.cli.main import main
from glial.core.errors import InputError
from glial.evaluation import evaluate
from glial.evaluation.metrics.answers import ClassAnswers, LabelAnswers, answers_of, replicates_of
from glial.evaluation.metrics.details import POINTS, answer_details, thinned, yes_no_curves
from glial.evaluation.metrics.forecasted import forecast_replicates
from glial.evaluation.metrics.tagged import entity_replicates, tags_replicates
from glial.runs import answer
from glial.runs.forecasts import forecasted
from glial.tasks import TaskSettings, fit_task
from glial.tasks.entities import count_entities, entity_scores


def numbers(rows=90, seed=0):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    return pl.DataFrame({"a": a, "b": b, "y": 2 * a - b + random.normal(size=rows) / 2})


@pytest.fixture(scope="module")
def iris():
    return glial.train("iris", model="linear", epochs=4, out=False)


@pytest.mark.slow
@pytest.mark.parametrize("replicates", [0, 60])
def test_the_plain_figures_stay_as_they_are(iris, replicates):
    plain = glial.runs.evaluate(iris, "iris")
    found = glial.evaluate(iris, "iris", replicates=replicates)
    assert found["metrics"] == plain["metrics"]
    assert found["baseline"] == plain["baseline"]
    assert {name: found["details"][name] for name in plain["details"]} == plain["details"]
    assert found == evaluate(iris, "iris", replicates=replicates)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "binary", "multilabel", "regression"])
def test_one_weight_a_row_gives_the_metrics_and_every_metric_has_an_interval(task):
    frame = numbers().with_columns(
        words=(pl.col("a").sign() + (pl.col("b") > 0)).cast(pl.Int64).cast(pl.String),
        up=pl.col("a") > 0,
        right=pl.col("b") > 0,
    )
    targets = {"classification": "words", "binary": "up", "regression": "y"}
    target = targets.get(task, ["up", "right"])
    others = {"words", "up", "right", "y"} - {target if isinstance(target, str) else "", *target}
    frame = frame.drop(others)
    name = {"binary": "classification"}.get(task, task)
    run = glial.train(frame, target, task=name, model="linear", epochs=2, out=False)
    found = answer(run, frame)
    score = replicates_of(run.decoder, found.outputs, found.frame)
    same = {name: float(each[0]) for name, each in score(np.ones((1, frame.height))).items()}
    told = glial.evaluate(run, frame, replicates=80)
    assert same == pytest.approx(told["metrics"])
    assert list(told["intervals"]) == list(told["metrics"])
    for name, (low, high) in told["intervals"].items():
        assert low < told["metrics"][name] < high
        gain = told["differences"][name]
        assert gain["value"] == told["metrics"][name] - told["baseline"][name]
        assert gain["interval"][0] < gain["value"] < gain["interval"][1]
    assert told["bootstrap"] == {
        "confidence": 0.95,
        "replicates": 80,
        "resampled": "rows",
        "units": 90,
        "note": None,
    }


@pytest.mark.slow
def test_rows_of_a_group_are_drawn_together():
    frame = numbers(60).with_columns(patient=np.arange(60) // 6)
    run = glial.train(frame, "y", group="patient", model="linear", epochs=1, out=False)
    told = glial.evaluate(run, frame, replicates=50)
    assert told["bootstrap"]["resampled"] == "groups of patient"
    assert told["bootstrap"]["units"] == 10
    assert glial.evaluate(run, frame.drop("patient"), replicates=50)["bootstrap"]["units"] == 60


@pytest.mark.slow
def test_a_loader_has_intervals_too():
    frame = numbers()
    tensors = torch.from_numpy(frame.to_numpy()).float()
    rows = torch.utils.data.TensorDataset(tensors[:, :2], tensors[:, 2])
    loader = torch.utils.data.DataLoader(rows, batch_size=30)
    settings = {"train.epochs": 2, "train.lr": 0.01}
    run = glial.train(loader, model=torch.nn.Linear(2, 1), out=False, set=settings)
    told = glial.evaluate(run, loader, replicates=50)
    low, high = told["intervals"]["rmse"]
    assert low < told["metrics"]["rmse"] < high


@pytest.mark.slow
def test_one_row_and_one_class_say_little(iris):
    one = glial.data.read("iris").head(1)
    told = glial.evaluate(iris, one)
    assert told["intervals"] == {}
    assert told["bootstrap"]["note"] == "one of the rows alone says nothing"
    told = glial.evaluate(iris, glial.data.read("iris").head(20), replicates=50)
    assert math.isnan(told["metrics"]["roc_auc"])
    assert np.isnan(told["intervals"]["roc_auc"]).all()


def test_wrong_requests_are_refused(iris):
    with pytest.raises(InputError, match="a share"):
        glial.evaluate(iris, "iris", confidence=95)
    with pytest.raises(InputError, match="at least 40"):
        glial.evaluate(iris, "iris", replicates=10)


def test_tags_are_resampled_by_row():
    random = np.random.default_rng(0)
    names = ["B-x", "I-x", "B-y", "O"]
    truth = [list(random.choice(names, size)) for size in random.integers(1, 8, 12)]
    found = [[random.choice([tag, "O", "B-x"]) for tag in tags] for tags in truth]
    rows = np.random.default_rng(1).integers(0, 12, 12)
    weights = np.bincount(rows, minlength=12)[None].astype(float)
    drawn = [truth[row] for row in rows], [found[row] for row in rows]
    told = {name: each[0] for name, each in entity_replicates(truth, found)(weights).items()}
    assert told == pytest.approx(entity_scores(count_entities(*drawn)))
    flat, guess = ([tag for tags in part for tag in tags] for part in drawn)
    told = {name: each[0] for name, each in tags_replicates(truth, found)(weights).items()}
    among = {"labels": sorted(set(flat)), "average": "macro", "zero_division": 0}
    assert told == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(flat, guess),
            "balanced_accuracy": metrics.recall_score(flat, guess, **among),
            "f1_macro": metrics.f1_score(flat, guess, average="macro", zero_division=0),
        }
    )


@pytest.mark.parametrize("scheme", ["entities", "none"])
def test_replicates_of_tags_are_the_tasks_own_scores(scheme):
    tags = [["B-x", "O"], ["O", "B-x", "I-x"]] if scheme == "entities" else [["a", "b"], ["b"] * 3]
    frame = pl.DataFrame({"y": tags})
    task = fit_task(frame, ["y"], TaskSettings(name="tagging"))
    outputs = torch.randn(2, 3, len(task.labels.names), generator=torch.manual_seed(0))
    outputs[0, 2] = 0
    told = replicates_of(task, outputs, frame)(np.ones((1, 2)))
    expected = task.scores(outputs, frame)
    assert {name: each[0] for name, each in told.items()} == pytest.approx(expected)


def test_neighbours_are_resampled_by_the_row_that_is_searched_for():
    frame = pl.DataFrame({"y": list("aabbccd")})
    task = fit_task(frame, ["y"], TaskSettings(name="embedding"))
    outputs = task.trivial_outputs(7)
    assert answers_of(task, outputs, frame) is None
    weights = np.array([[1.0] * 7, [3.0, 1, 1, 2, 1, 0, 5]])
    told = replicates_of(task, outputs, frame)(weights)
    for number, weight in enumerate(weights):
        expected = task.scores(outputs, frame, weight)
        assert {name: each[number] for name, each in told.items()} == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("series", [1, 12])
def test_forecasts_are_resampled_by_stretches_or_series(series):
    random = np.random.default_rng(0)
    steps = 80 if series == 1 else 40
    values = [step % 6 + random.normal() / 4 for _ in range(series) for step in range(steps)]
    frame = pl.DataFrame(
        {
            "shop": np.repeat(np.arange(series), steps).astype(str),
            "step": np.tile(np.arange(steps), series),
            "y": values,
        }
    )
    changes = {"task.horizon": 3, "task.context": 9, "task.season": 6}
    options = {"time": "step", "group": "shop", "epochs": 1, "out": False, "set": changes}
    run = glial.train(frame, "y", task="forecasting", **options)
    told = glial.evaluate(run, frame, replicates=60)
    plain = glial.runs.evaluate(run, frame)
    assert {name: told[name] for name in plain} == plain
    score, base = forecast_replicates(found := forecasted(run, frame))
    once = np.ones((1, len(found.moments)))
    for function, expected in ((score, plain["metrics"]), (base, plain["baseline"])):
        same = {name: float(each[0]) for name, each in function(once).items()}
        assert same == pytest.approx({name: expected[name] for name in same}, nan_ok=True)
    low, high = told["intervals"]["mae"]
    assert low < told["metrics"]["mae"] < high
    assert "nominal_coverage" not in told["intervals"]
    kind = "series" if series > 1 else "stretches of 3 steps"
    assert told["bootstrap"]["resampled"] == kind


def test_each_class_is_scikit_learns_report():
    random = np.random.default_rng(0)
    truth, guess = random.integers(0, 3, (2, 50))
    shares = random.dirichlet(np.ones(3), 50)
    told = answer_details(ClassAnswers(["a", "b", "c"], truth, shares, guess))
    report = metrics.classification_report(truth, guess, output_dict=True)
    for code, each in enumerate(told["classes"]):
        for name, own in (("precision",) * 2, ("recall",) * 2, ("f1-score", "f1")):
            assert each[own] == pytest.approx(report[str(code)][name])
        assert each["support"] == report[str(code)]["support"]
        area = metrics.roc_auc_score(truth == code, shares[:, code])
        assert each["roc_auc"] == pytest.approx(area)
    assert list(told["curves"]) == ["a", "b", "c"]
    assert "curves" not in answer_details(ClassAnswers(["a", "b"], truth % 2, shares[:, :2], guess))


def test_each_label_is_told():
    random = np.random.default_rng(0)
    truth, shares = random.random((30, 2)) < 0.5, random.random((30, 2))
    truth[:, 1] = True
    told = answer_details(LabelAnswers(["a", "b"], truth, shares, shares > 0.5))
    assert told["labels"][0]["recall"] == metrics.recall_score(truth[:, 0], shares[:, 0] > 0.5)
    assert told["labels"][1]["support"] == 30
    assert math.isnan(told["labels"][1]["roc_auc"])
    assert list(told["curves"]) == ["a"]


@pytest.mark.parametrize(("rows", "sharp"), [(30, 1), (5_000, 0.3), (20_000, 2), (20_000, 0)])
def test_thin_curves_keep_their_area(rows, sharp):
    random = np.random.default_rng(rows)
    truth = random.random(rows) < 0.1
    shares = 1 / (1 + np.exp(-random.normal(sharp * truth, 1)))
    curves = yes_no_curves(truth, shares)
    roc = curves["roc_curve"]
    area = metrics.auc(roc["false_positive_rate"], roc["true_positive_rate"])
    assert area == pytest.approx(metrics.roc_auc_score(truth, shares), abs=1e-3)
    pairs = curves["precision_recall_curve"]
    steps = -(np.diff(pairs["recall"]) * pairs["precision"][:-1]).sum()
    assert steps == pytest.approx(metrics.average_precision_score(truth, shares), abs=1e-3)
    assert len(roc["false_positive_rate"]) <= 2 * POINTS
    assert len(pairs["recall"]) <= 4 * POINTS


def test_a_short_curve_is_left_alone():
    x = np.linspace(0, 1, 20)
    assert thinned(x, x, lambda x, y: float(np.trapezoid(y, x))).tolist() == list(range(20))


@pytest.mark.slow
def test_the_verb_prints_intervals_and_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    glial.train("breast-cancer", model="linear", epochs=1, out="run")
    capsys.readouterr()
    assert main(["evaluate", "run", "breast-cancer", "--replicates", "60"]) == 0
    out = capsys.readouterr().out
    assert "95 % interval" in out
    assert "60 resamples of 569 rows" in out
    arguments = ["--replicates", "50", "--confidence", "0.9", "--seed", "3", "--json"]
    assert main(["evaluate", "run", "breast-cancer", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bootstrap"]["confidence"] == 0.9
    assert len(told["intervals"]["accuracy"]) == 2
    assert main(["evaluate", "run", "breast-cancer", "--replicates", "0"]) == 0
    assert "interval" not in capsys.readouterr().out
    assert main(["evaluate", "run", "breast-cancer", "--confidence", "95"]) == 2


@pytest.fixture(scope="module")
def uneven():
    """A run that one clinic's rows, whose truth is turned around, do not fit."""
    frame = numbers(600).with_columns(
        clinic=pl.Series(["u", "v", "w"] * 200), up=(pl.col("y") > 0).cast(pl.String)
    )
    run = glial.train(frame.drop("y", "clinic"), "up", model="linear", epochs=5, out=False)
    turned = pl.col("clinic").eq("w") ^ pl.col("up").eq("true")
    return run, frame.with_columns(up=turned.cast(pl.String))


@pytest.mark.slow
def test_groups_are_judged_as_if_they_were_alone(uneven):
    run, frame = uneven
    told = glial.evaluate(run, frame, groups="clinic", replicates=60)["groups"]["clinic"]
    assert [group["value"] for group in told] == ["u", "v", "w"]
    for group in told:
        rows = frame.filter(pl.col("clinic") == group["value"])
        alone = glial.evaluate(run, rows, replicates=60)
        assert group["rows"] == 200
        assert {name: group[name] for name in ("metrics", "intervals", "baseline")} == {
            name: alone[name] for name in ("metrics", "intervals", "baseline")
        }
    assert told[2]["intervals"]["accuracy"][1] < told[0]["intervals"]["accuracy"][0]


@pytest.mark.slow
def test_groups_of_one_row_and_of_one_class_are_told_honestly(uneven):
    run, frame = uneven
    few = frame.head(9).with_columns(group=pl.Series(["a"] * 8 + ["b"]), up=pl.lit("true"))
    told = glial.evaluate(run, few, groups=["group"], replicates=50)["groups"]["group"]
    assert told[1]["rows"] == 1
    assert told[1]["intervals"] == {}
    assert math.isnan(told[0]["metrics"]["roc_auc"])
    assert np.isnan(told[0]["intervals"]["roc_auc"]).all()
    with pytest.raises(InputError, match="unknown column 'gruppe'"):
        glial.evaluate(run, few, groups="gruppe")
    with pytest.raises(InputError, match="one group"):
        glial.evaluate(run, few.head(3), groups="group")


@pytest.mark.slow
def test_the_planted_slice_of_a_run_is_found_and_its_metrics_are_its_rows(uneven):
    run, frame = uneven
    told = glial.evaluate(run, frame, slices=True, replicates=0)["slices"]
    assert told["loss"] == "log_loss"
    assert told["columns"] == ["a", "b", "y", "clinic"]
    worst = next(one for one in told["found"] if one["slice"] == "clinic = w")
    assert worst["all_rows"] == 200
    rows = frame.filter(pl.col("clinic") == "w")
    assert worst["metrics"] == pytest.approx(glial.runs.evaluate(run, rows)["metrics"])
    assert worst["loss"] > worst["rest"]


@pytest.mark.slow
def test_calibration_and_refusing_of_a_run(uneven):
    run, frame = uneven
    told = glial.evaluate(run, frame, calibration=True, replicates=50)
    found = told["calibration"]
    assert found["brier"]["brier_score"] == pytest.approx(told["metrics"]["brier_score"])
    assert found["measures"]["expected_calibration_error"] > 0.1
    unsure = told["uncertainty"]["measures"]
    assert unsure["risk_at_1"] == pytest.approx(1 - told["metrics"]["accuracy"])


@pytest.mark.slow
def test_numbers_are_unsure_where_networks_differ():
    frame = numbers(80)
    changes = {"data.split.folds": 3}
    run = glial.train(frame, "y", model="linear", epochs=1, out=False, set=changes)
    told = glial.evaluate(run, frame, calibration=True, replicates=50)
    assert told["calibration"] is None
    measures = told["uncertainty"]["measures"]
    assert measures["risk_at_1"] == pytest.approx(told["metrics"]["mae"])
    lone = glial.train(frame, "y", model="linear", epochs=1, out=False)
    assert glial.evaluate(lone, frame, calibration=True)["uncertainty"] is None


@pytest.mark.slow
def test_sets_intervals_and_refusals_have_intervals_too():
    frame = numbers(400).with_columns(up=(pl.col("y") > 0).cast(pl.String))
    changes = {"task.coverage": 0.9, "task.refuse": 0.2}
    run = glial.train(frame.drop("y"), "up", model="linear", epochs=2, out=False, set=changes)
    told = glial.evaluate(run, frame, replicates=50)
    names = {"coverage", "set_size", "refused", "selective_risk"}
    assert names <= set(told["metrics"])
    assert set(told["intervals"]) == set(told["metrics"])
    found = answer(run, frame)
    score = replicates_of(run.decoder, found.outputs, found.frame)
    same = {name: float(each[0]) for name, each in score(np.ones((1, 400))).items()}
    assert same == pytest.approx(told["metrics"])
    changes = {"task.coverage": 0.9}
    run = glial.train(frame.drop("up"), "y", model="linear", epochs=2, out=False, set=changes)
    told = glial.evaluate(run, frame, replicates=50)
    low, high = told["intervals"]["coverage"]
    assert low < told["metrics"]["coverage"] < high


@pytest.mark.slow
def test_the_verb_tells_groups_slices_and_calibration(uneven, tmp_path, monkeypatch, capsys):
    _, frame = uneven
    monkeypatch.chdir(tmp_path)
    frame.write_csv("rows.csv")
    glial.train(
        frame.drop("y", "clinic"), "up", model="linear", epochs=1, out="run", set={"train.seed": 1}
    )
    capsys.readouterr()
    asked = ["--group", "clinic", "--slices", "--calibration", "--replicates", "50"]
    assert main(["evaluate", "run", "rows.csv", *asked, "--out", "pictures/new"]) == 0
    out = capsys.readouterr().out
    for words in ("clinic  rows", "weak slice", "expected_calibration_error", "aurc", "picture:"):
        assert words in out
    assert (tmp_path / "pictures/new/evaluation.svg").read_text().startswith("<svg")
    assert main(["evaluate", "run", "rows.csv", *asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"groups", "slices", "calibration", "uncertainty"} <= set(told)


@pytest.mark.slow
def test_what_has_no_rows_is_not_asked_for_them():
    frame = pl.DataFrame({"step": range(60), "y": [float(step % 6) for step in range(60)]})
    run = glial.train(frame, "y", task="forecasting", time="step", epochs=1, out=False)
    for asked in ({"groups": "step"}, {"slices": True}, {"calibration": True}):
        with pytest.raises(InputError, match="row by row"):
            glial.evaluate(run, frame, **asked)
