"""Spoken digits told by a network that never heard their speaker."""

from __future__ import annotations

import zipfile

import pytest

import glial

HEARD = ("lucas", "nicolas", "theo", "yweweler")


@pytest.mark.shared_data
def test_two_digits_of_a_speaker_who_was_not_heard(shared_data, tmp_path):
    with zipfile.ZipFile(shared_data / "spoken-digits.zip") as file:
        for member in file.namelist():
            name = member.rpartition("/")[2]
            digit, speaker, _ = name.split("_") if name.endswith(".wav") else ("", "", "")
            folder = "heard" if speaker in HEARD else "unheard" if speaker == "jackson" else None
            if digit in ("1", "6") and folder:
                (tmp_path / folder).mkdir(exist_ok=True)
                (tmp_path / folder / name).write_bytes(file.read(member))
    settings = {
        "model.widths": [16, 32, 64],
        "train.batch_size": 16,
        "data.names": "{digit}_{speaker}_{index}",
        "data.test": str(tmp_path / "unheard"),
    }
    run = glial.train(str(tmp_path / "heard"), target="digit", epochs=12, out=False, set=settings)
    assert run.metrics["test"]["accuracy"] > 0.85 > 0.6 > run.metrics["baseline"]["accuracy"]
