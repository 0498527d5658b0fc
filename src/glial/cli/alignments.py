"""What ``glial inspect --attention`` draws: where a run's network looks in a text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.core.errors import InputError

ENDINGS = (".png", ".svg")


def add_attention_arguments(parser: argparse.ArgumentParser) -> None:
    """What text is looked at, and where the picture goes.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_attention_arguments(parser)
        >>> parser.parse_args(["--attention", "a text", "--out", "a.svg"]).attention
        'a text'
    """
    parser.add_argument(
        "--attention", metavar="TEXT", help="draw where a run's network looks in this text"
    )
    parser.add_argument("--out", metavar="FILE", help="a .png or .svg file, for --attention")


def check_attention(options: argparse.Namespace) -> None:
    """Refuse what cannot be drawn, before anything is.

    Raises:
        InputError: If one of the two options stands alone, the file has another ending, or the
            subject is no run.

    Example:
        >>> check_attention(argparse.Namespace(attention=None, out=None))
    """
    if (options.attention is None) != (options.out is None):
        raise InputError(
            "--attention and --out belong together",
            expected="--attention TEXT --out FILE.png",
            got="--attention alone" if options.out is None else "--out alone",
            do="say which text is looked at, and where the picture goes",
        )
    if options.out is None:
        return
    if Path(options.out).suffix.lower() not in ENDINGS:
        raise InputError(
            "--out draws a PNG or an SVG file",
            expected="a name that ends with .png or .svg",
            got=repr(options.out),
            do=f"write --out {Path(options.out or 'attention').with_suffix('.png')}",
        )
    if not (Path(options.subject) / "plan.yaml").exists():
        raise InputError(
            "attention is drawn of a run, whose network knows words",
            expected="the folder of a run",
            got=f"the model {options.subject}",
            do="train it first: glial train",
        )


def draw_attention(options: argparse.Namespace) -> dict[str, Any]:
    """Draw what was asked for.

    Args:
        options: The command's.

    Returns:
        ``attention``, the file, None where nothing was asked for; then also ``attention_rows`` and
        ``attention_columns``, the tokens, and ``attention_layers``.

    Raises:
        InputError: If the network has no attention, reads no text, or lacks a layer.
    """
    if options.attention is None:
        return {"attention": None}
    from glial.core.files import write_atomic
    from glial.nn.pictures import alignment_png, alignment_svg, alignments
    from glial.runs import load
    from glial.runs.attention import attention_of

    found = attention_of(load(options.subject), options.attention, options.layer)
    maps = alignments(found.layers, found.rows, found.columns)
    path = Path(options.out)
    drawn = alignment_svg(maps) if path.suffix.lower() == ".svg" else alignment_png(maps)
    write_atomic(path, drawn)
    return {
        "attention": options.out,
        "attention_rows": found.rows,
        "attention_columns": found.columns,
        "attention_layers": [layer.layer for layer in found.layers],
    }
