"""``glial generate``: what a generative run makes up."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.cli.arguments import number
from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    add = parser.add_argument
    whole, real = number(int), number(float)
    add("run", metavar="RUN", help="the run's folder")
    add("--prompt", metavar="TEXT", default="", help="what the text begins with")
    add("--n", type=whole, default=1, metavar="N", help="how many samples (1)")
    add("--length", type=whole, default=200, metavar="L", help="most tokens of each (200)")
    add("--temperature", type=real, default=1.0, metavar="T", help="0 is the likeliest (1)")
    add("--top-k", type=whole, metavar="K", help="draw from the K likeliest tokens")
    add("--top-p", type=real, metavar="P", help="draw from the likeliest that reach this share")
    add("--repetition-penalty", type=real, default=1.0, metavar="R", help="above 1: repeat less")
    add("--beam", type=whole, metavar="W", help="the likeliest texts by a beam of this width")
    add("--class", dest="only", metavar="NAME", help="of rows: all of this class")
    add(
        "--steps",
        type=whole,
        metavar="N",
        help="of a diffusion or a chain: steps from noise to a sample",
    )
    add("--guidance", type=real, metavar="W", help="of a diffusion: heed the class more")
    add("--interpolate", type=whole, metavar="K", help="K rows on each of --n ways between codes")
    add("--walk", action="store_true", help="what each number of a code does")
    add("--source", metavar="SOURCE", help="the images to turn, or rows to restore")
    add("--back", action="store_true", help="of cyclegan: the second kind into the first")
    add("--seed", type=whole, default=0, metavar="S", help="seed of what is drawn (0)")
    add(
        "--out", metavar="PLACE", help="a folder, or of texts and tables a .csv, .parquet or .jsonl"
    )


def run(options: argparse.Namespace) -> int:
    """Print the samples, or write them whole or not at all."""
    from glial.runs import generate, load

    trained = load(options.run)
    out = None if options.out is None else Path(options.out)
    _check_out(trained, out)
    made = generate(
        trained,
        prompt=options.prompt,
        num_samples=options.n,
        length=options.length,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        repetition_penalty=options.repetition_penalty,
        beam=options.beam,
        only=options.only,
        steps=options.steps,
        guidance=options.guidance,
        interpolate=options.interpolate,
        walk=options.walk,
        source=options.source,
        back=options.back,
        seed=options.seed,
    )
    if isinstance(made, list):
        return _show_texts(made, out, options.json)
    return _show_rows(made, out, options.json)


def _check_out(run: Any, out: Path | None) -> None:
    """Refuse a place that does not fit, before anything is made."""
    from glial.core.errors import InputError
    from glial.runs.unlabelled.making import check_place

    has_images = run.task in ("generate", "reduce") and bool(run.encoding.sizes("image"))
    if out is not None:
        check_place(out, has_images=has_images)
    elif has_images:
        raise InputError(
            "images need a place", expected="--out FOLDER", got="none", do="add --out samples/"
        )


def _show_rows(made: Any, out: Path | None, json: bool) -> int:
    if out is not None:
        made.write(out)
    if json:
        told: dict[str, Any] = {"rows": len(made.rows), "classes": made.classes}
        if out is None:
            told["samples"] = made.table().to_dicts()
        print_json(told | ({} if out is None else {"out": str(out)}))
    elif out is not None:
        print(f"wrote {len(made.rows):,} samples to {out}")
    else:
        from glial.cli.tables import print_table

        table = made.table()
        print_table(table.columns, table.rows())
    return 0


def _show_texts(samples: list[Any], out: Path | None, json: bool) -> int:
    rows = [sample.to_dict() for sample in samples]
    if out is not None:
        import polars as pl

        from glial.data import write_table

        write_table(pl.DataFrame(rows), out)
    if json:
        print_json({"samples": rows} | ({} if out is None else {"out": str(out)}))
    elif out is not None:
        print(f"wrote {len(rows):,} samples to {out}")
    else:
        for sample in samples:
            rule = f"--- ln p {sample.log_likelihood:.2f} " if len(samples) > 1 else ""
            print(f"{rule:-<40}\n{sample.text}" if rule else sample.text)
    return 0
