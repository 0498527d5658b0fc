"""Anomalies of real series, as the Numenta benchmark judges them, beside simpler scores."""

import io
import json
import zipfile

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import IsolationForest

import glial
from glial.evaluation.metrics.windows import Scored, probation, window_score

NAME = "realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv"


@pytest.mark.shared_data
def test_a_rise_of_a_real_load_is_told_soon_and_little_else(shared_data):
    with zipfile.ZipFile(shared_data / "nab.zip") as archive:
        frame = pl.read_csv(io.BytesIO(archive.read(f"data/{NAME}")))
        labels = json.loads(archive.read("labels/combined_windows.json"))[NAME]
    stamps = frame["timestamp"].to_list()
    windows = [tuple(stamps.index(edge[:19]) for edge in window) for window in labels]
    first = probation(frame.height)
    split = {"data.split.train": 0.8, "data.split.val": 0.2, "data.split.test": 0.0}
    run = glial.train(
        frame.head(first), task="anomaly", time="timestamp", epochs=5, set=split, out=False
    )
    told = glial.predict(run, frame)["score"].fill_null(np.nan).to_numpy()
    values = frame["value"].to_numpy()
    forest = IsolationForest(random_state=0).fit(values[:first, None])
    chance = np.random.default_rng(0).random(len(values))
    scores = {"glial": told, "forest": -forest.score_samples(values[:, None]), "chance": chance}
    found = {name: window_score([Scored(one, windows)]) for name, one in scores.items()}
    assert found["glial"].score > 80
    assert found["glial"].found == 1
    assert found["glial"].score > max(found["forest"].score, found["chance"].score)
