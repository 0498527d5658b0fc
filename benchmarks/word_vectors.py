"""Vectors of words beside gensim's, at equal sizes, windows and epochs.

A made-up text, whose analogies are known: names of three kinds (lands, cities, folks) at some
places; the words before a name tell its kind and the words behind it its place, one fact in five a
wrong one. And a text of one's own, such as Shakespeare's plays, whose last 15 % are kept back: how
often a word that stands beside another gains more by it than a drawn word does (0.5 by chance).

    python benchmarks/word_vectors.py [--seeds 3] [--epochs 10] [--text plays.txt.gz]

Needs gensim beside Glial (pip install gensim==4.4.0); without it its rows are left out. Both learn
by their own usual optimisers and rates, from the same lines of the same words.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import permutations
from typing import Any

import torch

import glial
from glial.data.encoders.tokens import tokenize
from glial.data.word_vectors import WordVectors
from glial.runs.word_vectors import word_vectors

KINDS = {"land": "king border army", "city": "mayor airport street", "folk": "old happy young"}
ENDS = ["knows the {}", "loves its {}", "talks about {} often"]
FACTS = ["tongue", "river", "dish"]
SIZE, WINDOW, FEWEST = 50, 5, 2
WAYS = {
    "skip-gram, negative sampling": ("word2vec", {}, {"sg": 1}),
    "bag of words, negative sampling": ("word2vec", {"model.method": "cbow"}, {"sg": 0}),
    "skip-gram, hierarchical softmax": (
        "word2vec",
        {"model.output": "hierarchical_softmax"},
        {"sg": 1, "hs": 1, "negative": 0},
    ),
    "fastText, skip-gram": ("fasttext", {}, {"sg": 1, "bucket": 100_000}),
    "GloVe (x_max 10, 50 epochs)": ("glove", {"model.x_max": 10.0, "train.epochs": 50}, None),
}


def written(places: int, lines: int, seed: int) -> Iterator[str]:
    """The made-up text, line by line."""
    drawn = random.Random(seed)
    for _ in range(lines):
        kind, words = drawn.choice(list(KINDS.items()))
        place = drawn.randrange(places)
        told = place if drawn.random() < 0.8 else drawn.randrange(places)
        start = f"the {drawn.choice(words.split())} of {kind}{place}"
        yield f"{start} {drawn.choice(ENDS).format(f'{drawn.choice(FACTS)}{told}')}"


def questions(places: int) -> list[tuple[str, str, str, str]]:
    """Every analogy between two kinds at two places."""
    return [
        (f"{one}{i}", f"{other}{i}", f"{one}{j}", f"{other}{j}")
        for one, other in permutations(KINDS, 2)
        for i, j in permutations(range(places), 2)
    ]


def of_glial(name: str, changes: dict[str, Any], source: Any, epochs: int, seed: int) -> Any:
    """A run of Glial on a text."""
    settings = {
        "task.embedding_size": SIZE,
        "data.min_token_count": FEWEST,
        "model.window": WINDOW,
        **changes,
    }
    return glial.train(
        source, task="embedding", model=name, epochs=epochs, seed=seed, out=False, set=settings
    )


def of_gensim(options: dict[str, Any], lines: list[list[str]], epochs: int, seed: int) -> Any:
    """A model of gensim on the same lines."""
    from gensim.models import FastText, Word2Vec

    kind = FastText if "bucket" in options else Word2Vec
    return kind(
        lines,
        vector_size=SIZE,
        window=WINDOW,
        min_count=FEWEST,
        epochs=epochs,
        sample=1e-3,
        workers=1,
        seed=seed + 1,
        **options,
    )


def analogies(args: argparse.Namespace) -> None:
    """The share of analogies that each solves, and the seconds of a processor."""
    asked = questions(args.places)
    print(f"made-up text: {args.lines:,} lines, {len(asked):,} analogies, {args.epochs} epochs")
    for name, (model, changes, options) in WAYS.items():
        tellers: dict[str, Callable[[int], WordVectors]] = {
            "Glial": lambda seed, model=model, changes=changes: _ours(model, changes, seed, args)
        }
        if options is not None and find_spec("gensim"):
            tellers["gensim"] = lambda seed, options=options: _theirs(options, seed, args)
        for who, tell in tellers.items():
            found, seconds = [], []
            for seed in range(args.seeds):
                begin = time.process_time()
                vectors = tell(seed)
                seconds.append(time.process_time() - begin)
                solved = [vectors.solved(asked, method=how) for how in ("add", "multiply")]
                found.append(solved)
            means = [statistics.fmean(column) for column in zip(*found, strict=True)]
            told = "".join(f"{mean:10.3f}" for mean in means)
            print(f"{name:34}{who:8}{told}{statistics.fmean(seconds):10.1f} s", flush=True)


def _ours(model: str, changes: dict[str, Any], seed: int, args: argparse.Namespace) -> WordVectors:
    table = {"text": list(written(args.places, args.lines, seed))}
    whole = {"data.split": {"train": 1.0, "val": 0.0, "test": 0.0}}
    return word_vectors(of_glial(model, {**changes, **whole}, table, args.epochs, seed))


def _theirs(options: dict[str, Any], seed: int, args: argparse.Namespace) -> WordVectors:
    lines = [line.split() for line in written(args.places, args.lines, seed)]
    keyed = of_gensim(options, lines, args.epochs, seed).wv
    return WordVectors(keyed.index_to_key, torch.from_numpy(keyed.vectors.copy()))


def plays(args: argparse.Namespace) -> None:
    """How well words of the last 15 % of a text are told from drawn ones."""
    from glial.data.corpora import read_corpus, split_corpus
    from glial.data.settings import SplitSettings
    from glial.data.word_windows import lines_of

    texts = split_corpus(read_corpus(args.text), SplitSettings())
    lines = tokenize(lines_of(texts["train"]), "word").to_list()
    print(f"{args.text}: {sum(map(len, lines)):,} words, {args.epochs} epochs; roc_auc kept back")
    for name, (model, changes, options) in WAYS.items():
        if model == "fasttext":
            continue
        found: dict[str, list[float]] = {"Glial": [], "gensim": []}
        for seed in range(args.seeds):
            run = of_glial(model, changes, args.text, args.epochs, seed)
            found["Glial"].append(run.metrics["test"]["roc_auc"])
            if options is None or "hs" in options or not find_spec("gensim"):
                continue
            theirs = of_gensim(options, lines, args.epochs, seed)
            words = run.encoding.encoders["text"].tokens
            places = [theirs.wv.key_to_index[word] for word in words]
            with torch.no_grad():
                run.model.embedding.weight[2:] = torch.from_numpy(theirs.wv.vectors[places])
                run.model.contexts.weight[2:] = torch.from_numpy(theirs.syn1neg[places])
            found["gensim"].append(_auc(run, texts["test"]))
        for who, values in found.items():
            if values:
                told = ", ".join(f"{value:.3f}" for value in values)
                print(f"{name:34}{who:8}{told}", flush=True)


def _auc(run: Any, texts: list[str]) -> float:
    return float(glial.evaluate(run, {"text": texts})["metrics"]["roc_auc"])


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, usual in (("seeds", 3), ("epochs", 10), ("places", 20), ("lines", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--text", help="a file of text")
    args = parser.parse_args()
    torch.set_num_threads(1)
    analogies(args)
    if args.text:
        plays(args)


if __name__ == "__main__":
    main()
