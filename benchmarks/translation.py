"""Translation with attention and without, by beam and greedily, on real messages and on a grammar.

Messages are those of Django's catalogues, English to French or German: few, short, full of names
and placeholders. The grammar turns the order of clauses round, moves each verb behind its objects
and adjectives behind their nouns: what stands first in one language stands last in the other.

    python benchmarks/translation.py grammar [--rows 2000] [--epochs 12]
    python benchmarks/translation.py messages --to fr --django SITE-PACKAGES/django [--epochs 40]

All networks of a run see the same rows; those of the test part were never learnt from, and no
message stands in two parts. One thread. Django is needed for its catalogues alone: pip install
django.
"""

from __future__ import annotations

import argparse
import ast
import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

import glial

NOUNS = dict(
    zip(
        ["dog", "cat", "king", "child", "tree", "river", "book", "stone", "house", "friend"],
        ["hund", "katz", "rex", "kind", "baum", "fluss", "buch", "stein", "haus", "freund"],
        strict=True,
    )
)
ADJECTIVES = dict(
    zip(
        ["old", "red", "tall", "quiet", "wise", "small"],
        ["alt", "rot", "hoch", "still", "klug", "klein"],
        strict=True,
    )
)
VERBS = dict(
    zip(
        ["sees", "finds", "loves", "hears", "paints"],
        ["sieht", "findt", "liebt", "hoert", "malt"],
        strict=True,
    )
)
JOINTS = {"and": "und", "while": "wenn", "because": "weil"}
MODELS: dict[str, dict[str, Any]] = {
    "seq2seq, no attention": {"model": "seq2seq", "model.attention": "none"},
    "seq2seq, general": {"model": "seq2seq", "model.attention": "general"},
    "seq2seq, additive": {"model": "seq2seq", "model.attention": "additive"},
    "transformer": {"model": "transformer", "model.positions": "learned"},
}


def grammar(rows: int, seed: int = 0) -> pl.DataFrame:
    """Sentences of one to three clauses in both languages, none of them twice."""
    draw = random.Random(seed)

    def phrase() -> tuple[list[str], list[str]]:
        noun, kinds = draw.choice([*NOUNS]), draw.sample([*ADJECTIVES], draw.randint(0, 2))
        return ["the", *kinds, noun], ["da", NOUNS[noun], *[ADJECTIVES[k] for k in kinds]]

    def clause() -> tuple[list[str], list[str]]:
        subject, verb, object_ = phrase(), draw.choice([*VERBS]), phrase()
        return [*subject[0], verb, *object_[0]], [*object_[1], *subject[1], VERBS[verb]]

    found: dict[str, str] = {}
    while len(found) < rows:
        read, written = clause()
        for _ in range(draw.randint(0, 2)):
            joint, more = draw.choice([*JOINTS]), clause()
            read, written = [*read, joint, *more[0]], [*more[1], JOINTS[joint], *written]
        found.setdefault(" ".join(read), " ".join(written))
    return pl.DataFrame({"from": [*found], "to": [*found.values()]})


def messages(django: Path, language: str, longest: int) -> pl.DataFrame:
    """Each message of Django's catalogues once, of so many words, with its first translation."""
    found: dict[str, str] = {}
    for path in sorted(django.glob(f"**/locale/{language}/LC_MESSAGES/*.po")):
        for source, target in _entries(path.read_text(encoding="utf-8")):
            lengths = len(source.split()), len(target.split())
            if min(lengths) > 0 and max(lengths) <= longest and source != target:
                found.setdefault(" ".join(source.split()), " ".join(target.split()))
    return pl.DataFrame({"from": [*found], "to": [*found.values()]})


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """The messages of a .po file and what they are translated by; those in doubt are left out."""
    for block in text.split("\n\n"):
        if "#, fuzzy" in block or "#~" in block:
            continue
        parts: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith(("#", " ")) or not line:
                continue
            if not line.startswith('"'):
                key, _, line = line.partition(" ")
            parts[key] = parts.get(key, "") + str(ast.literal_eval(line))
        yield parts.get("msgid", ""), parts.get("msgstr", "")
        yield parts.get("msgid", ""), parts.get("msgstr[0]", "")
        yield parts.get("msgid_plural", ""), parts.get("msgstr[1]", "")


def judged(frame: pl.DataFrame, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train on the first four fifths of rows in no order, and translate the last, two ways."""
    order = list(range(frame.height))
    random.Random(seed).shuffle(order)
    edge = frame.height * 4 // 5
    options = {"train.threads": 1, "train.seed": seed, "data.split.test": 0.0, **settings}
    options |= {"data.split.train": 0.9, "data.split.val": 0.1}
    begin = time.perf_counter()
    run = glial.train(
        frame[order[:edge]],
        "to",
        task="translation",
        model=options.pop("model"),
        out=False,
        set=options,
    )
    found: dict[str, Any] = {"parameters": sum(p.numel() for p in run.model.parameters())}
    rest = frame[order[edge:]]
    for beam in (1, 4):
        task = run.plan.task.model_copy(update={"beam": beam})
        run.plan = run.plan.model_copy(update={"task": task})
        told = glial.evaluate(run, rest)
        found[f"beam {beam}"] = told["metrics"]
    return {**found, "baseline": told["baseline"], "seconds": time.perf_counter() - begin}


def main() -> None:
    """Train, translate and print a line for each network and way of decoding."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("grammar", "messages"))
    parser.add_argument("--to", default="fr", help="language of the messages")
    parser.add_argument("--django", type=Path, help="the folder of the package django")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--longest", type=int, default=15, help="most words of a message")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[*MODELS], help="names of networks")
    parser.add_argument("--set", nargs="*", default=[], metavar="a.b=c")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    if options.what == "grammar":
        frame, epochs = grammar(options.rows), options.epochs or 12
        usual: dict[str, Any] = {"data.min_token_count": 1, "model.size": 48, "train.lr": 0.005}
    else:
        if options.django is None:
            import importlib.util

            found = importlib.util.find_spec("django")
            places = found.submodule_search_locations if found else None
            if not places:
                parser.error("--django PATH is needed where Django is not installed")
            options.django = Path(places[0])
        frame, epochs = messages(options.django, options.to, options.longest), options.epochs or 40
        usual = {"data.tokens": "bpe", "data.max_tokens": 1000, "model.size": 64}
        usual |= {"train.lr": 0.004, "model.dropout": 0.3, "train.batch_size": 32}
    usual |= {"train.epochs": epochs} | dict(pair.split("=", 1) for pair in options.set)
    usual |= {"doctor.watch": False}
    words = frame["from"].str.split(" ").list.len()
    print(f"{options.what}: {frame.height} pairs, {words.mean():.1f} words, at most {words.max()}")
    print(f"{'network':24}{'parameters':>11}{'seed':>5}{'decoded':>8}", end="")
    print(f"{'BLEU':>7}{'chrF':>7}{'exact':>7}{'log loss':>9}{'seconds':>8}", flush=True)
    for seed in range(options.seeds):
        for name in options.only:
            told = judged(frame, {**usual, **MODELS[name]}, seed)
            for way in ("beam 1", "beam 4"):
                row = told[way]
                print(
                    f"{name:24}{told['parameters']:>11,}{seed:>5}{way:>8}{row['bleu']:>7.1f}"
                    f"{row['chrf']:>7.1f}{row['exact_match']:>7.3f}{row['log_loss']:>9.3f}"
                    f"{told['seconds']:>8.0f}",
                    flush=True,
                )
        row = told["baseline"]
        print(
            f"{'the source, copied':24}{'':>11}{seed:>5}{'':>8}{row['bleu']:>7.1f}"
            f"{row['chrf']:>7.1f}{row['exact_match']:>7.3f}{row['log_loss']:>9.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
