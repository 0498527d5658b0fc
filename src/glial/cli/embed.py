"""``glial embed``: rows or words as vectors; what is near what, and what is nearly the same."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json
from glial.core.errors import InputError
from glial.core.files import write_atomic

SHOWN_PAIRS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    add("run", metavar="RUN", help="the run's folder, or a file of word vectors")
    add("source", nargs="?", metavar="SOURCE", help="rows to embed; none for words")
    add("--out", metavar="FILE", help="of rows .csv, .parquet, .jsonl, .npz; of words .txt, .bin")
    add("--words", nargs="+", metavar="WORD", help="these words of a run of word vectors")
    add("--analogy", nargs=3, metavar=("A", "B", "C"), help="what is to C as B is to A")
    add("--method", choices=["add", "multiply"], default="add", help="of --analogy (add)")
    add("--layer", metavar="NAME", help="the layer to take (what the head sees), or inputs")
    add("--reduce", choices=["tsne", "pca"], help="lay the rows out in a plane")
    add("--picture", metavar="FILE.png", help="draw that plane")
    add("--color", metavar="COLUMN", help="of --picture: a column of SOURCE, or prediction")
    add("--near", type=number(int), metavar="K", help="the K nearest rows of each row, or words")
    add("--copies", type=number(float), metavar="THRESHOLD", help="pairs of at least this cosine")
    add("--against", metavar="SOURCE2", help="search these rows instead of the others")
    add("--metric", choices=["cosine", "euclidean"], default="cosine", help="of --near (cosine)")


def run(options: argparse.Namespace) -> int:
    """Write the embeddings whole or not at all, and say what is near or nearly the same."""
    if options.source is None:
        from glial.cli.words import show_words

        return show_words(options)
    from glial.data import check_table_ending
    from glial.runs import load
    from glial.runs.embedding import ARRAYS, embed_rows

    _check_rows(options)
    _check_plane(options)
    out = Path(options.out)
    check_table_ending(out, [ARRAYS])
    if options.against is not None and options.near is None and options.copies is None:
        raise InputError(
            "--against alone finds nothing",
            expected="--near K or --copies THRESHOLD beside it",
            got="neither",
            do="add one of them",
        )
    trained = load(options.run)
    rows = embed_rows(trained, options.source, layer=options.layer)
    if options.reduce is not None:
        rows = rows.reduced(options.reduce)
    others = None
    if options.against is not None:
        others = embed_rows(trained, options.against, layer=options.layer)
    near = None
    if options.near is not None:
        near = rows.near(options.near, others, metric=options.metric)
    copies = None if options.copies is None else rows.copies(options.copies, others)
    rows.write(out, near)
    if options.picture is not None:
        from glial.runs.planes import plane_png

        write_atomic(Path(options.picture), plane_png(trained, options.source, rows, options.color))
    count, size = rows.vectors.shape
    if options.json:
        told = {"layer": options.layer, "near": options.near, "against": options.against}
        told |= {"reduce": options.reduce, "picture": options.picture}
        print_json({"embeddings": str(out), "rows": count, "size": size, **told, "copies": copies})
        return 0
    print(f"wrote {count:,} embeddings of {size:,} numbers to {out}")
    if options.picture is not None:
        print(f"drew them in {options.picture}")
    if copies is not None:
        _show(copies)
    return 0


def _check_plane(options: argparse.Namespace) -> None:
    """Refuse pictures of what is no plane, and other rows where there is no map for them."""
    if options.color is not None and options.picture is None:
        raise InputError(
            "--color colours a picture",
            expected="--picture FILE.png beside it",
            got="none",
            do="add --picture, or leave --color out",
        )
    if options.picture is not None and Path(options.picture).suffix.lower() != ".png":
        raise InputError(
            "a plane is drawn as PNG",
            expected="--picture FILE.png",
            got=options.picture,
            do="name a .png file",
        )
    if options.reduce is not None and options.against is not None:
        raise InputError(
            "--reduce lays out the rows of one source",
            expected="--reduce, or --against SOURCE2",
            got="both",
            do="leave one of them out",
        )


def _check_rows(options: argparse.Namespace) -> None:
    """Refuse what only words have, and the want of a file."""
    if options.words or options.analogy:
        raise InputError(
            "--words and --analogy ask for words, and SOURCE for rows",
            expected="one of the two",
            got=f"SOURCE {options.source}",
            do="leave SOURCE out; a word behind the options belongs to them",
        )
    if options.out is None:
        raise InputError(
            "embeddings of rows need --out",
            expected="--out FILE",
            got="none",
            do="add --out, with a .csv, .parquet, .jsonl or .npz file",
        )


def _show(copies: list[dict[str, Any]]) -> None:
    from glial.cli.tables import print_table

    print(f"{len(copies):,} pairs of rows are nearly the same")
    rows = []
    for pair in copies[:SHOWN_PAIRS]:
        first, second = pair.get("paths", pair["rows"])
        rows.append([str(first), str(second), f"{pair['similarity']:.4f}"])
    if rows:
        print_table(["row", "row", "similarity"], rows)
    if len(copies) > SHOWN_PAIRS:
        print(f"and {len(copies) - SHOWN_PAIRS:,} more: see --json")
