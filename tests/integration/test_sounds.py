"""Spoken digits told by a network that never heard this speaker's other recordings."""

from __future__ import annotations

import zipfile

import pytest

import glial


@pytest.mark.shared_data
def test_two_digits_of_a_speaker_who_was_not_heard(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "spoken-digits.zip") as file:
        names = [name for name in file.namelist() if name.endswith(".wav")]
        two = [name for name in names if name.rpartition("/")[2][0] in "16"]
        for name in two:
            part = "unheard" if "_jackson_" in name else "heard"
            goal = tmp_path / part / name.rpartition("/")[2]
            goal.parent.mkdir(exist_ok=True)
            if part == "unheard" or ("_theo_" in name or "_nicolas_" in name):
                goal.write_bytes(file.read(name))
    small = {"model.widths": [8, 16], "train.batch_size": 16, "data.sounds.seconds": 0.6}
    names = {"data.names": "{digit}_{speaker}_{index}"}
    heard, unheard = str(tmp_path / "heard"), str(tmp_path / "unheard")
    settings = {**small, **names, "data.test": unheard}
    run = glial.train(heard, target="digit", epochs=10, out=False, set=settings)
    assert run.metrics["test"]["accuracy"] > 0.85 > run.metrics["baseline"]["accuracy"]
