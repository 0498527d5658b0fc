"""The sheet of pictures is well-formed and shows what was told."""

from xml.etree import ElementTree

from tests.charts.test_charts import corners

from glial.evaluation.pictures import draw_evaluation

SVG = "{http://www.w3.org/2000/svg}"


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def charts(root):
    return {chart.find(f"{SVG}title").text: chart for chart in root.findall(f"{SVG}svg")}


def drawn(chart, kind):
    return [
        path.get("d")
        for path in chart.iter(f"{SVG}path")
        if path.get("class", "").startswith(kind) and path.get("d") != "M-10 0H10"
    ]


def test_a_sheet_of_everything():
    roc = {"false_positive_rate": [0.0, 0.0, 1.0], "true_positive_rate": [0.0, 1.0, 1.0]}
    pairs = {"recall": [1.0, 0.0], "precision": [0.5, 1.0]}
    bins = [
        {"probability": 0.2, "frequency": 0.1, "interval": [0.0, 0.3]},
        {"probability": 0.9, "frequency": 1.0, "interval": None},
        {"probability": 0.5, "frequency": 0.4, "interval": [0.3, 0.6]},
    ]
    result = {
        "details": {
            "roc_curve": roc,
            "precision_recall_curve": pairs,
            "confusion_matrix": {"labels": ["<a>", "a long name"], "counts": [[3, 1], [0, 4]]},
        },
        "calibration": {"diagrams": {"equal_mass": bins}},
        "uncertainty": {"curve": {"coverage": [0.5, 1.0], "risk": [0.0, 0.2]}},
    }
    root = ElementTree.fromstring(draw_evaluation(result))
    found = charts(root)
    assert [*found] == [
        *("ROC", "Precision and recall", "Reliability", "Risk and coverage"),
        "What was taken for what",
    ]
    assert {"3", "4", "<a>", "a long name"} <= set(texts(root))
    (line,) = drawn(found["ROC"], "line s1")
    left, _, right = corners(line)
    assert corners(drawn(found["ROC"], "guide")[0]) == [left, right]
    (band,) = found["Reliability"].iter(f"{SVG}polygon")
    assert len(corners(band.get("points"))) == 4  # two bins have an interval
    places = [(float(chart.get("x")), float(chart.get("y"))) for chart in found.values()]
    assert len(set(places)) == 5


def test_curves_of_several_classes_are_named_and_at_most_eight():
    roc = {"false_positive_rate": [0.0, 1.0], "true_positive_rate": [0.0, 1.0]}
    curves = {f"class {number}": {"roc_curve": roc} for number in range(12)}
    root = ElementTree.fromstring(draw_evaluation({"details": {"curves": curves}}))
    assert len(drawn(charts(root)["ROC"], "line")) == 8
    assert "class 7" in texts(root)
    assert "class 8" not in texts(root)
