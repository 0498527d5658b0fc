"""What ``glial inspect --cells`` draws: the cells of a self-organising map."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from glial.core.errors import InputError


def add_cells_argument(parser: argparse.ArgumentParser) -> None:
    """Where the picture of a map goes.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_cells_argument(parser)
        >>> parser.parse_args(["--cells", "map.png"]).cells
        'map.png'
    """
    parser.add_argument(
        "--cells",
        metavar="FILE.png",
        help="draw a run's self-organising map: borders, and what cells stand for",
    )


def check_cells(options: argparse.Namespace) -> None:
    """Refuse a picture that cannot be drawn, before anything is.

    Raises:
        InputError: If the file is no PNG, or the subject is no run.

    Example:
        >>> check_cells(argparse.Namespace(cells=None))
    """
    if options.cells is None:
        return
    if Path(options.cells).suffix.lower() != ".png":
        raise InputError(
            "--cells draws a PNG file",
            expected="a name that ends with .png",
            got=repr(options.cells),
            do=f"write --cells {Path(options.cells or 'cells').with_suffix('.png')}",
        )
    if not (Path(options.subject) / "plan.yaml").exists():
        raise InputError(
            "cells are drawn of a run, whose map has learnt",
            expected="the folder of a run",
            got=f"the model {options.subject}",
            do="train it first: glial train SOURCE --task reduce --model som",
        )


def draw_map(options: argparse.Namespace) -> dict[str, Any]:
    """Draw the map of a run, where that was asked for.

    Returns:
        The picture's file as ``cells``; None where it was not asked for.

    Raises:
        InputError: If the run's network is no self-organising map.

    Example:
        >>> draw_map(argparse.Namespace(cells=None))
        {'cells': None}
    """
    if options.cells is None:
        return {"cells": None}
    from glial.core.files import write_atomic
    from glial.runs import load
    from glial.runs.cells import cells_sheet

    write_atomic(Path(options.cells), cells_sheet(load(options.subject)).png())
    return {"cells": options.cells}
