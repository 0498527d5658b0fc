"""``glial generate``: what a generative run makes up."""

from __future__ import annotations

import argparse
from pathlib import Path

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
    add("--seed", type=whole, default=0, metavar="S", help="seed of what is drawn (0)")
    add("--out", metavar="FILE", help="a .csv, .parquet or .jsonl file, a row a sample")


def run(options: argparse.Namespace) -> int:
    """Print the samples, or write them whole or not at all."""
    from glial.data import check_table_ending
    from glial.runs import generate

    out = None if options.out is None else Path(options.out)
    if out is not None:
        check_table_ending(out)
    samples = generate(
        options.run,
        prompt=options.prompt,
        num_samples=options.n,
        length=options.length,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        repetition_penalty=options.repetition_penalty,
        beam=options.beam,
        seed=options.seed,
    )
    rows = [sample.to_dict() for sample in samples]
    if out is not None:
        import polars as pl

        from glial.data import write_table

        write_table(pl.DataFrame(rows), out)
    if options.json:
        print_json({"samples": rows} | ({} if out is None else {"out": str(out)}))
    elif out is not None:
        print(f"wrote {len(rows):,} samples to {out}")
    else:
        for sample in samples:
            rule = f"--- ln p {sample.log_likelihood:.2f} " if len(samples) > 1 else ""
            print(f"{rule:-<40}\n{sample.text}" if rule else sample.text)
    return 0
