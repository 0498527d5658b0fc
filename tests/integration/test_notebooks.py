"""The notebook of the documents: kept without outputs, and what it says happens when it is run."""

from __future__ import annotations

import json
from pathlib import Path

import sklearn.datasets

from glial.doctor.launching.notebook import Notebook

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "first-network.ipynb"


def test_it_is_kept_without_outputs():
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    cells = content["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_its_cells_run_to_a_network_that_the_doctor_finds_well(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    notebook = Notebook.read(NOTEBOOK)
    assert notebook.taken_out == ()
    names: dict[str, object] = {}
    exec(compile(notebook.code, str(NOTEBOOK), "exec"), names)  # noqa: S102 - our own document
    assert names["counts"]["count"].to_list() == list(
        map(sklearn.datasets.load_wine().target.tolist().count, (0, 1, 2))
    )
    accuracy = names["accuracy"]
    assert accuracy["baseline"] < 0.5 < 0.85 < accuracy["test"]
    assert names["run"].findings == names["mended"].findings == []
    broken, mended = names["broken"], names["mended"]
    assert broken.findings[0].problem == "learning-rate-too-high"
    assert broken.metrics["test"]["accuracy"] < mended.metrics["test"]["accuracy"]
    assert [finding.problem for finding in names["doctor"].findings] == ["missing-zero-grad"]
    assert len(names["wrong"]) < 0.15 * len(names["rows"])
    assert "epoch 26" in capsys.readouterr().out
