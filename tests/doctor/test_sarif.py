"""SARIF 2.1.0: the facts of the format, as its standard states them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlparse

from glial.core.findings import Finding, Place
from glial.core.version import __version__
from glial.doctor.problems import PROBLEMS
from glial.doctor.sarif import to_sarif

FINDINGS = [
    Finding(
        "softmax-twice",
        "error",
        "head.2",
        {"rows": 1.0},
        "it is twice",
        "take one out",
        at=Place("my code/train.py", 12),
        since_step=1,
        symptoms=("loss-not-decreasing",),
    ),
    Finding("dead-units", "warning", "body", {"share": 0.5}, "They are dead.", "Lower the rate."),
    Finding("dead-units", "note", None, {}, "they are dead", "wait", at=Place("/abs/b.py", 3)),
    Finding("leakage", "warning", None, {}, "it leaks", "split", at=Place("nb.ipynb:cell 2", 3)),
]


def test_document_is_what_the_standard_asks_for():
    document = to_sarif(FINDINGS)
    assert json.loads(json.dumps(document)) == document
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("glial doctor", __version__)
    assert [rule["id"] for rule in driver["rules"]] == ["softmax-twice", "dead-units", "leakage"]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"] == PROBLEMS[rule["id"]].title
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note", "warning"]
    for finding, result in zip(FINDINGS, run["results"], strict=True):
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.problem
        assert result["message"]["text"].endswith(".")


def test_places_are_relative_references_with_lines_from_one():
    first, second, third, fourth = to_sarif(FINDINGS)["runs"][0]["results"]
    place = first["locations"][0]["physicalLocation"]
    assert unquote(place["artifactLocation"]["uri"]) == "my code/train.py"
    assert " " not in place["artifactLocation"]["uri"]
    assert place["region"] == {"startLine": 12}
    assert first["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "head.2"}]
    assert "physicalLocation" not in second["locations"][0]
    uri = urlparse(third["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
    assert (uri.scheme, Path(uri.path)) == ("file", Path("/abs/b.py"))
    notebook = fourth["locations"][0]["physicalLocation"]
    assert notebook == {"artifactLocation": {"uri": "nb.ipynb"}}
    assert (
        to_sarif([Finding("leakage", "note", None, {}, "a", "b")])["runs"][0]["results"][0][
            "locations"
        ]
        == []
    )


def test_no_findings_are_a_run_without_results():
    (run,) = to_sarif([])["runs"]
    assert run["results"] == run["tool"]["driver"]["rules"] == []
