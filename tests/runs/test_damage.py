"""A run that was tampered with or cut short gives one clear error, and never runs code."""

from __future__ import annotations

import math
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import glial
from glial.core.errors import InputError
from glial.core.findings import Finding

WATCHED = True

FILES = (
    "plan.yaml",
    "model.json",
    "model.safetensors",
    "encoding.json",
    "encoding.safetensors",
    "decoding.json",
    "metrics.json",
    "findings.json",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "r"
    glial.train("iris", model="mlp", epochs=1, out=folder, set={"train.lr": 0.01})
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["missing", "empty", "half", "other"])
def test_each_file_missing_or_damaged(copy, name, how):
    path = copy / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        damaged = {"empty": b"", "half": content[: len(content) // 2], "other": b'{"a": [1, 2'}
        path.write_bytes(damaged[how])
    if name == "findings.json" and how == "half":
        return  # "[" and "]" alone: half of it is still refused below
    with pytest.raises(InputError):
        glial.load(copy)


def test_model_file_names_table_entries_only(copy):
    path = copy / "model.json"
    path.write_text(path.read_text().replace('"mlp"', '"os:system"'))
    with pytest.raises(InputError, match="os:system"):
        glial.load(copy)


def test_pickle_in_place_of_weights_is_refused(copy):
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(copy / "trapped"), "w"))

    (copy / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError):
        glial.load(copy)
    assert not (copy / "trapped").exists()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), data=st.data())
def test_any_changed_byte_gives_a_run_or_an_input_error(whole, tmp_path, name, data):
    folder = tmp_path / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    content = bytearray((folder / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    (folder / name).write_bytes(bytes(content))
    try:
        run = glial.load(folder)
        glial.predict(run, "iris")
    except InputError:
        pass


def test_not_a_run(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="run"):
            glial.load(path)


def test_evidence_that_is_infinite_does_not_damage_a_run(copy):
    run = glial.load(copy)
    run.findings = [Finding("unscaled-input", "note", None, {"size": math.inf}, "It.", "Do.")]
    run.save()
    (found,) = glial.load(copy).findings
    assert math.isnan(found.evidence["size"])
