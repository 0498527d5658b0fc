"""Columns of sounds: recognised, scanned, brought to a form, opened with damaged ones left out."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import DataSettings, SoundSettings, infer_kind, open_files, read, read_source
from glial.data.media import SOUNDS, each_file, medium_named, medium_of
from glial.data.sounds import SoundForm, SoundScan, choose_sound_form, decode_sounds, scan_sounds

Put = Callable[..., Path]
NOISE = 0.5 * np.random.default_rng(0).standard_normal(400).clip(-1, 1)


def scan_of(seconds: list[float], rates: list[int] | None = None) -> SoundScan:
    return SoundScan(np.array(rates or [8000] * len(seconds)), np.array(seconds), {})


def test_the_commonest_rate_and_nearly_the_greatest_length_are_chosen() -> None:
    form = choose_sound_form(scan_of([0.5, 0.25, 0.5], [8000, 8000, 44_100]), SoundSettings())
    assert form == SoundForm(8000, 4000)
    form = choose_sound_form(scan_of([30.0], [48_000]), SoundSettings())
    assert form == SoundForm(16_000, 160_000)
    asked = SoundSettings(rate=4000, seconds=2.0, trim=40.0)
    assert choose_sound_form(scan_of([0.5]), asked) == SoundForm(4000, 8000, 40.0)
    many = scan_of([0.5] * 199 + [5.0])
    assert choose_sound_form(many, SoundSettings()).seconds == 0.5


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"high_hz": 5000.0}, "frequencies of 5000"),
        ({"low_hz": 4000.0}, "frequencies of 4000"),
        ({"hop_ms": 0.1}, "too short"),
    ],
)
def test_what_does_not_fit_the_rate_is_refused(settings: dict[str, float], word: str) -> None:
    with pytest.raises(InputError, match=word):
        choose_sound_form(scan_of([0.5]), SoundSettings(**settings))


def test_settings_that_contradict_each_other_are_refused() -> None:
    for values in ({"low_hz": 400.0, "high_hz": 300.0}, {"features": "mfcc", "bands": 10}):
        with pytest.raises(InputError):
            SoundSettings.read(values)


def test_no_sound_at_all_is_refused(put: Put) -> None:
    path = str(put("a.wav", b"nothing"))
    with pytest.raises(InputError, match="no sound that can be read"):
        choose_sound_form(scan_sounds(pl.Series([path, None])), SoundSettings())


def test_columns_of_sounds_are_recognised(put: Put) -> None:
    paths = [str(put(f"{i}.WAV", NOISE)) for i in range(3)]
    assert infer_kind(pl.Series("a", paths)) == "sound"
    assert infer_kind(pl.Series("a", [*paths, None])) == "sound"
    assert medium_named(pl.Series([*paths, "words"])) is None
    assert medium_named(pl.Series(["no-such-file.wav"])) is None
    assert medium_of(["a.wav", "b.flac", "c.png"]) is SOUNDS
    assert medium_of([]) is None


def test_the_samples_of_a_column(put: Put, caplog) -> None:
    paths = pl.Series("a", [str(put("a.wav", NOISE)), None, str(put("b.wav", NOISE[:100]))])
    with caplog.at_level(logging.WARNING, "glial"):
        heard = decode_sounds(paths, SoundForm(8000, 200))
    assert "1 of 3 sounds are longer than 0.03 s" in caplog.text
    assert heard.samples.shape == (3, 200)
    assert not heard.samples[1].any()
    opened = pl.Series("a", heard.samples)
    assert np.array_equal(decode_sounds(opened, SoundForm(8000, 200)).samples, heard.samples)
    cut = decode_sounds(opened, SoundForm(8000, 100)).samples
    assert np.array_equal(cut, heard.samples[:, 50:150])


def twenty(put: Put, broken: int) -> list[str]:
    return [str(put(f"{i:02}.wav", b"broken" if i < broken else NOISE)) for i in range(20)]


def test_rows_whose_sound_is_broken_are_named_and_left_out(put: Put, caplog) -> None:
    frame = pl.DataFrame({"p": twenty(put, 1), "n": range(20)})
    kinds = {"p": "sound", "n": "number"}
    with caplog.at_level(logging.WARNING, "glial"):
        opened = open_files([frame, frame[:3]], kinds, DataSettings())
    assert opened.tables[0]["n"].to_list() == list(range(1, 20))
    assert opened.kept[1].tolist() == [False, True, True]
    assert "00.wav" in caplog.text
    assert "2 rows without a usable sound" in caplog.text
    paths = open_files([frame], kinds, DataSettings(), decode=False)
    assert paths.tables[0]["p"].to_list() == frame["p"].to_list()[1:]
    with pytest.raises(InputError, match="2 of 20 sounds") as refused:
        open_files([pl.DataFrame({"p": twenty(put, 2)})], kinds, DataSettings())
    assert "data.sounds.max_unreadable" in str(refused.value.do)


def test_a_folder_of_sounds_is_read_and_its_pictures_passed_over(put: Put, tmp_path: Path) -> None:
    for name in ("owl/1.wav", "owl/2.wav", "cat/1.wav", "cat/2.wav"):
        put(f"animals/{name}", NOISE)
    put("animals/owl/owl.png", b"a picture")
    found = read_source(tmp_path / "animals")
    assert found.target == "label"
    assert found.frame["label"].to_list() == ["cat", "cat", "owl", "owl"]
    with zipfile.ZipFile(tmp_path / "animals.zip", "w") as file:
        for path in sorted((tmp_path / "animals").rglob("*.*")):
            file.write(path, path.relative_to(tmp_path))
    packed = read_source(tmp_path / "animals.zip")
    assert packed.frame["label"].to_list() == found.frame["label"].to_list()
    assert read([tmp_path / "animals/owl/1.wav"]).columns == ["path"]


def test_paths_of_a_table_lead_from_where_it_lies(put: Put, tmp_path: Path) -> None:
    put("in/a.wav", NOISE)
    pl.DataFrame({"file": ["in/a.wav"], "y": [1]}).write_csv(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv")["file"].to_list() == [str(tmp_path / "in/a.wav")]


def test_columns_out_of_the_names_of_a_folder(put: Put, tmp_path: Path) -> None:
    for name in ("7_theo_0.wav", "0_ann_1.wav"):
        put(f"flat/{name}", NOISE)
    found = read_source(tmp_path / "flat", "{digit}_{speaker}_{take}")
    assert found.frame["digit"].to_list() == ["0", "7"]
    assert found.frame["speaker"].to_list() == ["ann", "theo"]
    with pytest.raises(InputError, match="2 of 2 file names do not fit"):
        read_source(tmp_path / "flat", "{digit}-{speaker}")
    with pytest.raises(InputError, match="which is there already"):
        read_source(tmp_path / "flat", "{path}_{rest}")
    with pytest.raises(InputError, match="there are none"):
        read_source({"a": [1, 2]}, "{digit}_{speaker}")


def test_each_file_names_the_row_that_it_is_of() -> None:
    found = dict(each_file(pl.Series(["a", None, "b"]), str.upper, "tried"))
    assert found == {0: "A", 2: "B"}
