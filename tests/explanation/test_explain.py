"""Runs explained: every kind of column, by every method that suits it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import glial
from glial.core.errors import InputError
from glial.explanation import EXPLAINERS, Explainer, explain, page, suitable

pytestmark = pytest.mark.slow
EVERYWHERE = (
    "saliency",
    "input_x_gradient",
    "smooth_grad",
    "integrated_gradients",
    "deeplift",
    "relevance",
    "relevance_gamma",
    "guided_backpropagation",
    "deconvolution",
    "occlusion",
)


def table_of_planted_columns(num_rows=400):
    """The answer hangs on one number and one category of five columns."""
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "noise": random.normal(size=num_rows),
            "cause": random.normal(size=num_rows),
            "kind": random.choice(["a", "b", "c", "d"], num_rows),
            "other": random.choice(["x", "y"], num_rows),
            "flat": random.normal(size=num_rows),
        }
    )
    score = 2 * frame["cause"] + 2.0 * (frame["kind"] == "b").cast(pl.Float64)
    return frame.with_columns(
        pl.when(score > 0.5).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("answer")
    )


@pytest.fixture(scope="module")
def table():
    return table_of_planted_columns()


@pytest.fixture(scope="module")
def table_run(table):
    return glial.train(table, target="answer", epochs=20, out=False)


@pytest.fixture(scope="module")
def texts():
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    rows, labels = [], []
    for _ in range(300):
        text = random.choice(words, 8).tolist()
        good = random.random() < 0.5
        text[int(random.integers(8))] = "splendid" if good else "awful"
        rows.append(" ".join(text))
        labels.append("good" if good else "bad")
    return pl.DataFrame({"text": rows, "label": labels})


@pytest.fixture(scope="module")
def text_run(texts):
    settings = {"model.name": "text_cnn"}
    return glial.train(texts, target="label", epochs=8, out=False, set=settings)


@pytest.fixture(scope="module")
def images():
    """Stripes that stand or lie, somewhere on noise."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 60, size=(300, 24, 24), dtype=np.uint8)
    standing = random.random(300) < 0.5
    for row, stands in enumerate(standing):
        top, start = random.integers(0, 16, size=2)
        patch = np.full((8, 8), 100, dtype=np.uint8)
        patch[:, ::2] = 250
        pixels[row, top : top + 8, start : start + 8] = patch if stands else patch.T
    names = np.where(standing, "standing", "lying")
    return pl.DataFrame({"image": pl.Series(pixels), "stripes": names})


@pytest.fixture(scope="module")
def image_run(images):
    return glial.train(images, target="stripes", epochs=6, out=False)


def strongest(found):
    return [row.strongest(1)[0][0] for row in found.rows]


@pytest.mark.parametrize("method", [*EVERYWHERE, "deep_shap", "shap", "kernel_shap"])
def test_planted_columns_come_first(method, table, table_run):
    found = explain(table_run, table, method=method, rows=range(20))[0]
    weights = {}
    for row in found.rows:
        cells = row.parts[0]
        for name, value in zip(cells.labels, cells.values, strict=True):
            weights[name] = weights.get(name, 0.0) + abs(float(value))
    first = sorted(weights, key=weights.get, reverse=True)[:2]
    assert set(first) == {"cause", "kind"} or first[0] == "cause"


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "deep_shap"])
def test_complete_methods_add_up_over_a_table(method, table, table_run):
    for row in explain(table_run, table, method=method, rows=range(6))[0].rows:
        told = sum(part.total for part in row.parts)
        assert told == pytest.approx(row.output - row.reference, abs=0.02 * abs(row.output) + 0.02)


@pytest.mark.parametrize(
    "method", [m for m in EVERYWHERE if m not in ("guided_backpropagation", "deconvolution")]
)
def test_planted_words_come_first(method, texts, text_run):
    found = explain(text_run, texts, method=method, rows=range(20))[0]
    hits = [one in ("splendid", "awful") for one in strongest(found)]
    assert sum(hits) >= 17


@pytest.mark.parametrize(
    "method", ["grad_cam", "integrated_gradients", "deeplift", "relevance", "occlusion"]
)
def test_planted_pixels_come_first(method, images, image_run):
    found = explain(image_run, images, method=method, rows=range(20))[0]
    hits = 0
    for row in found.rows:
        values = np.abs(row.parts[0].values)
        pixels = np.asarray(images["image"][row.row].to_numpy()) > 90
        hits += values[pixels].mean() > 2 * values[~pixels].mean()
    assert hits >= (13 if method == "grad_cam" else 16)  # its maps are coarse


def test_checks_are_told_with_the_explanation(table, table_run):
    found = explain(table_run, table, method="integrated_gradients", rows=range(8), check=True)[0]
    assert found.checks["looks_at_the_network"]
    assert found.checks["deletion"] < found.checks["random_deletion"]
    assert "checks" in found.to_dict()


def test_what_suits_a_run(table_run, text_run, image_run):
    assert suitable(table_run) == "shap"
    assert suitable(text_run) == "integrated_gradients"
    assert suitable(image_run) == "grad_cam"


def test_every_entry_is_an_explainer_with_its_own_name():
    for name in EXPLAINERS:
        part = EXPLAINERS.resolve(name)
        assert isinstance(part, Explainer)
        assert part.name == name
        assert part.about in ("prediction", "network")
        assert part.description


def test_several_classes_and_a_chosen_one():
    run = glial.train("iris", model="mlp", epochs=15, out=False)
    found = explain(run, "iris", method="integrated_gradients", rows=[0], target="virginica")[0]
    assert found.rows[0].answer == "virginica"
    own = explain(run, "iris", method="integrated_gradients", rows=[0])[0]
    assert found.rows[0].output < own.rows[0].output
    assert own.rows[0].answer == "setosa"
    with pytest.raises(InputError, match="did you mean 'virginica'"):
        explain(run, "iris", method="saliency", target="virginia")
    with pytest.raises(InputError, match="no such row"):
        explain(run, "iris", rows=[150])
    with pytest.raises(InputError, match="did you mean 'saliency'"):
        explain(run, "iris", method="salience")
    with pytest.raises(InputError, match="does not suit"):
        explain(run, "iris", method="grad_cam")


def test_regression_and_members():
    run = glial.train("diabetes", model="mlp", epochs=3, out=False, folds=2)
    found = explain(run, "diabetes", method="integrated_gradients", rows=[1])[0]
    assert found.unit == "scaled target"
    assert found.notes
    whole = explain(run, "diabetes", method="shap", rows=[1])[0].rows[0]
    told = sum(part.total for part in whole.parts)
    assert whole.reference + told == pytest.approx(whole.output, rel=1e-6)
    assert whole.output == pytest.approx(float(glial.predict(run, "diabetes")["prediction"][1]))


def test_sequences_and_sounds_of_planted_steps():
    random = np.random.default_rng(0)
    series, labels = [], []
    for _ in range(240):
        steps = 0.1 * random.normal(size=24)
        high = random.random() < 0.5
        place = int(random.integers(2, 20))
        steps[place : place + 3] += 2.0 if high else -2.0
        series.append(steps.tolist())
        labels.append("up" if high else "down")
    frame = pl.DataFrame({"steps": series, "label": labels})
    run = glial.train(frame, target="label", epochs=6, out=False)
    for method in ("integrated_gradients", "occlusion", "relevance"):
        found = explain(run, frame, method=method, rows=range(10))[0]
        hits = 0
        for row in found.rows:
            values = np.abs(row.parts[0].values[:, 0])
            planted = np.abs(np.array(series[row.row])) > 1
            hits += values[planted].mean() > 2 * values[~planted].mean()
        assert hits >= 8, method


def test_influence_maximization_embedding_and_concepts(images, image_run):
    small = images.head(40)
    told = explain(image_run, small, method="influence", rows=[0], train=small)[0]
    table = told.tables["influence"]
    same = table.filter((pl.col("speaks") == "for") & (pl.col("stripes") == small["stripes"][0]))
    assert len(same) >= 4
    drawn = explain(image_run, small, method="maximization")[0]
    assert (drawn.tables["maximization"]["after"] > drawn.tables["maximization"]["before"]).all()
    assert drawn.pictures["maximization.png"][1:4] == b"PNG"
    plane = explain(image_run, small, method="embedding", by="pca")[0].tables["embedding"]
    assert plane.columns == ["row", "x", "y", "prediction", "stripes"]
    layer = [name for name, m in image_run.model.named_modules() if type(m).__name__ == "Linear"]
    with pytest.raises(InputError, match="examples"):
        explain(image_run, small, method="concepts", layer=layer[-1])
    with pytest.raises(InputError, match="training rows"):
        explain(image_run, small, method="influence")


def test_the_page_holds_everything_and_no_script(texts, text_run):
    hostile = pl.DataFrame({"text": ["<script>alert(1)</script> splendid"], "label": ["good"]})
    found = explain(text_run, hostile, method=["integrated_gradients", "relevance"], check=True)
    told = page(found, "<b>run</b>")
    assert "<script" not in told
    assert "&lt;b&gt;run&lt;/b&gt;" in told
    assert "splendid" in told
    assert told.count("<h2>") == 2


def test_runs_that_cannot_be_explained_say_so(texts):
    run = glial.train(texts.select("text"), task="language-modelling", epochs=1, out=False)
    with pytest.raises(InputError, match="cannot be explained"):
        explain(run, texts.select("text"), method="saliency")


def test_words_and_parts_of_images_are_players(texts, text_run, images, image_run):
    for method in ("shap", "kernel_shap", "lime"):
        found = explain(text_run, texts, method=method, rows=range(4))[0]
        assert sum(one in ("splendid", "awful") for one in strongest(found)) >= 3, method
        assert found.unit == "probability"
    row = explain(image_run, images, method="shap", rows=[0])[0].rows[0]
    assert row.parts[0].values.shape == (24, 24)
    assert row.output == pytest.approx(row.reference + row.parts[0].total, abs=1e-5)


def test_methods_about_a_network_find_the_planted_columns(table, table_run):
    for method in ("importance", "shap_importance"):
        found = explain(table_run, table, method=method)[0].tables[method]
        assert set(found["feature"][:2]) == {"cause", "kind"}
    rules = explain(table_run, table, method="rules")[0]
    assert any("cause" in rule for rule in rules.tables["rules"]["rule"])
    assert "agreement" in rules.notes[0]
    weights = explain(table_run, table, method="surrogate_linear")[0].tables["weights"]
    assert (
        weights["feature"][0] in ("cause", "kind b", "kind=b", "kind")
        or "cause" in weights["feature"]
    )
    for method in ("dependence", "local_effects"):
        along = explain(table_run, table, method=method, target="yes")[0].tables[method]
        cause = along.filter(pl.col("feature") == "cause")["mean"].to_numpy()
        flat = along.filter(pl.col("feature") == "flat")["mean"].to_numpy()
        assert np.ptp(cause) > 3 * np.ptp(flat)
    pairs = explain(table_run, table, method="interactions", target="yes")[0]
    assert {
        pairs.tables["interactions"]["feature"][0],
        pairs.tables["interactions"]["other"][0],
    } == {
        "cause",
        "kind",
    }


def test_the_curves_of_a_row_pass_through_its_prediction(table, table_run):
    found = explain(table_run, table, method="ice", rows=[2, 5], target="yes")[0].tables["ice"]
    assert set(found["row"]) == {2, 5}
    assert set(found["feature"]) == {"noise", "cause", "kind", "other", "flat"}
    said = glial.predict(table_run, table)["probability_yes"][2]
    own = found.filter(
        (pl.col("row") == 2) & (pl.col("feature") == "kind") & (pl.col("value") == table["kind"][2])
    )
    assert own["prediction"].item() == pytest.approx(said, rel=1e-5)


def test_a_tree_in_the_networks_place_asks_for_the_planted_columns(table, table_run):
    found = explain(table_run, table, method="surrogate_tree")[0]
    tree = found.tables["tree"]
    assert any(word in tree["question"][0] for word in ("cause", "kind"))
    assert set(tree["answer"]) == {"", "yes", "no"}
    assert "agreement" in found.notes[0]


def test_other_rows_as_explanations(table, table_run):
    changed = explain(table_run, table, method="counterfactuals", rows=[0], fixed=["kind"])[0]
    rows = changed.tables["counterfactuals"]
    assert (rows["answer"] != rows["would_be"]).all()
    assert not any("kind:" in text for text in rows["if"])
    near = explain(table_run, table, method="neighbours", rows=[3], train=table)[0]
    assert near.tables["neighbours"]["example"][0] == 3
    with pytest.raises(InputError, match="training rows"):
        explain(table_run, table, method="neighbours", rows=[3])


def test_methods_that_ask_are_checked_too(table, table_run):
    found = explain(table_run, table, method="shap", rows=range(6), check=True)[0]
    assert found.checks["completeness"] < 1e-6
    assert found.checks["beats_chance"]
    assert found.checks["insertion"] > found.checks["random_insertion"]
