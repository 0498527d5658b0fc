"""Entities of WNUT-17 from scratch: Glial's tagger beside a CRF with standard features.

Both see the archive's training part alone; its development part chooses the tagger's epoch, and the
test part judges. No pretrained vectors, no lists of names.

    python benchmarks/tagging.py wnut17.zip [--seeds 3] [--set model.head=softmax]...

Needs sklearn-crfsuite beside Glial for the CRF; without it that row is left out.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from typing import Any

import glial
from glial.data import Source, read_source
from glial.tasks.entities import count_entities, entity_scores

SCORES = ("precision", "recall", "f1", "f1_macro")


def shape(word: str) -> str:
    """Capitals as X, other letters as x, digits as d."""
    plain = re.sub(r"\d", "d", word)
    return re.sub(r"[^\W\d_]", lambda found: "X" if found.group().isupper() else "x", plain)


def features(words: list[str], place: int) -> dict[str, Any]:
    """What a CRF is usually told of a word and of its neighbours."""
    word = words[place]
    found: dict[str, Any] = {
        "bias": 1.0,
        "lower": word.lower(),
        "suffix 3": word[-3:],
        "suffix 2": word[-2:],
        "prefix 3": word[:3],
        "prefix 2": word[:2],
        "upper": word.isupper(),
        "title": word.istitle(),
        "digit": word.isdigit(),
        "shape": shape(word),
        "first": place == 0,
        "last": place == len(words) - 1,
    }
    for step in (-1, 1):
        if 0 <= place + step < len(words):
            other = words[place + step]
            found |= {
                f"{step} lower": other.lower(),
                f"{step} title": other.istitle(),
                f"{step} upper": other.isupper(),
                f"{step} shape": shape(other),
            }
    return found


def of_crf(source: Source) -> dict[str, float] | None:
    """Test scores of the CRF, whose fit draws nothing; None where it is not installed."""
    try:
        from sklearn_crfsuite import CRF
    except ImportError:
        return None

    def seen(frame: Any) -> list[list[dict[str, Any]]]:
        rows = frame["tokens"].to_list()
        return [[features(words, place) for place in range(len(words))] for words in rows]

    crf = CRF(algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True)
    crf.fit(seen(source.frame), source.frame["tags"].to_list())
    test = source.frame if source.test is None else source.test
    found = crf.predict(seen(test))
    return entity_scores(count_entities(test["tags"].to_list(), found))


def main() -> None:
    """Print the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="CoNLL files with train, dev and test parts")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="a=b")
    options = parser.parse_args()
    source = read_source(options.source)
    begin = time.monotonic()
    told = of_crf(source)
    seconds = time.monotonic() - begin
    print(f"{'test':24}" + "".join(f"{name:>16}" for name in SCORES))
    if told is not None:
        print(f"{'CRF, ' + format(seconds, '.0f') + ' s':24}" + row([told]))
    settings = dict(text.split("=", 1) for text in options.set)
    runs = []
    for seed in range(options.seeds):
        chosen = {**settings, "train.seed": seed}
        run = glial.train(
            options.source, task="tagging", epochs=options.epochs, out=False, set=chosen
        )
        runs.append(run.metrics["test"])
        print(f"{f'tagger, {run.seconds:.0f} s, seed {seed}':24}" + row(runs[-1:]), flush=True)
    if len(runs) > 1:
        print(f"{'tagger, mean':24}" + row(runs))


def row(told: list[dict[str, float]]) -> str:
    """Means of scores, with their standard deviation where there are several."""
    cells = []
    for name in SCORES:
        values = [scores[name] for scores in told]
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{statistics.fmean(values):.3f}{spread}")
    return "".join(f"{cell:>16}" for cell in cells)


if __name__ == "__main__":
    main()
