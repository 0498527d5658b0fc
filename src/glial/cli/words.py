"""Words of ``glial embed``: what is near them, analogies, and files of their vectors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glial.cli.main import print_json
from glial.core.errors import InputError

if TYPE_CHECKING:
    from glial.data.word_vectors import WordVectors

ENDINGS = (".txt", ".vec", ".bin")
USUAL_NEAR = 5


def show_words(options: argparse.Namespace) -> int:
    """Say what is asked of words, and write their vectors.

    Args:
        options: Of the verb.

    Returns:
        The exit status.

    Raises:
        InputError: If nothing is asked, or a word has no vector.
    """
    _check(options)
    vectors = _vectors(options)
    told: dict[str, Any] = {}
    num_near = USUAL_NEAR if options.near is None else options.near
    if options.words and (options.near is not None or options.out is None):
        told["near"] = {word: _pairs(vectors.nearest(word, num_near)) for word in options.words}
    if options.analogy:
        a, b, c = options.analogy
        found = vectors.analogy(a, b, c, num_near, method=options.method)
        told["analogy"] = _pairs(found)
    kept = _only(vectors, options.words) if options.words else vectors
    if options.out is not None:
        kept.save(options.out)
    if options.json:
        size = {"words": len(kept), "size": kept.size}
        print_json({"embeddings": options.out, **size, "near": None, "analogy": None, **told})
        return 0
    if options.out is not None:
        print(f"wrote {len(kept):,} words of {kept.size:,} numbers to {options.out}")
    _print(told, options)
    return 0


def _check(options: argparse.Namespace) -> None:
    if not (options.words or options.analogy or options.out):
        raise InputError(
            "nothing is asked",
            expected="SOURCE with --out, or --words, --analogy or --out for words",
            got="neither",
            do="add one of them",
        )
    if options.near is not None and options.near < 1:
        raise InputError(
            f"--near {options.near} asks for no word",
            expected="1 or more",
            got=str(options.near),
            do="leave --near out",
        )
    for name in ("layer", "copies", "against"):
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name} needs rows",
                expected="SOURCE, the rows",
                got="none",
                do=f"give SOURCE, or leave --{name} out",
            )
    if options.out is not None and not _is_known(Path(options.out)):
        raise InputError(
            f"the ending of {options.out} is not known",
            expected=f"one of {', '.join(ENDINGS)}, each also as .gz",
            got=repr("".join(Path(options.out).suffixes[-2:])),
            do="choose one of these",
        )


def _is_known(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(ENDINGS)


def _vectors(options: argparse.Namespace) -> WordVectors:
    """The vectors of a run or a file, with those of unseen words that a run can make."""
    path = Path(options.run)
    if path.is_file():
        from glial.data.word_vectors import WordVectors

        return WordVectors.load(path)
    from glial.runs import load
    from glial.runs.word_vectors import with_unseen, word_vectors

    run = load(path)
    asked = [*(options.words or []), *(options.analogy or [])]
    return with_unseen(word_vectors(run), run, asked)


def _only(vectors: WordVectors, words: list[str]) -> WordVectors:
    words = list(dict.fromkeys(words))
    return type(vectors)(words, vectors.matrix[vectors.rows(words)])


def _pairs(found: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"word": word, "similarity": similarity} for word, similarity in found]


def _print(told: dict[str, Any], options: argparse.Namespace) -> None:
    for word, near in told.get("near", {}).items():
        print(f"{word}: {_line(near)}")
    if options.analogy:
        a, b, c = options.analogy
        print(f"{a} : {b} = {c} : {_line(told['analogy'])}")


def _line(near: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['word']} {one['similarity']:.3f}" for one in near)
