"""The sheet of pictures is well-formed and shows what was told."""

from xml.etree import ElementTree

import pytest

from glial.evaluation.pictures import SIDE, Curve, Matrix, Panel, draw_evaluation

SVG = "{http://www.w3.org/2000/svg}"


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def test_a_sheet_of_everything():
    roc = {"false_positive_rate": [0.0, 0.0, 1.0], "true_positive_rate": [0.0, 1.0, 1.0]}
    pairs = {"recall": [1.0, 0.0], "precision": [0.5, 1.0]}
    bins = [
        {"probability": 0.2, "frequency": 0.1, "interval": [0.0, 0.3]},
        {"probability": 0.9, "frequency": 1.0, "interval": None},
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
    assert len(list(root)) == 5
    told = texts(root)
    assert {"ROC", "reliability", "risk and coverage", "3", "4", "<a>", "a long …"} <= set(told)


def test_curves_of_several_classes_are_named_and_at_most_eight():
    roc = {"false_positive_rate": [0.0, 1.0], "true_positive_rate": [0.0, 1.0]}
    curves = {f"class {number}": {"roc_curve": roc} for number in range(12)}
    root = ElementTree.fromstring(draw_evaluation({"details": {"curves": curves}}))
    assert len(list(root.iter(f"{SVG}polyline"))) == 8
    assert "class 7" in texts(root)
    assert "class 8" not in texts(root)


def test_corners_of_a_curve_are_corners_of_the_square():
    panel = Panel("t", "x", "y", [Curve("a", [(0.0, 0.0), (0.25, 1.0)])], [(0.5, 0.0, 1.0)])
    drawn = panel.svg(0, 0)
    assert f'points="0.0,{SIDE:.1f} {SIDE / 4:.1f},0.0"' in drawn
    assert f"M{SIDE / 2:.1f} {SIDE:.1f}V0.0" in drawn


@pytest.mark.parametrize("size", [2, 5, 12])
def test_a_matrix_has_a_cell_for_each_pair(size):
    counts = [[row == column for column in range(size)] for row in range(size)]
    drawn = Matrix([str(number) for number in range(size)], counts).svg(0, 0)
    assert drawn.count("<rect") == size**2
    assert drawn.count('fill-opacity="0.900"') == size
