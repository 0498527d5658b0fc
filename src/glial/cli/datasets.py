"""``glial datasets``: the data sets that can be named as a source."""

from __future__ import annotations

import argparse

from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(options: argparse.Namespace) -> int:
    """List the data sets, and whether each is at hand."""
    from glial.cli.tables import print_table
    from glial.data import list_datasets

    rows = list_datasets()
    if options.json:
        print_json({"datasets": rows})
    else:
        heads = list(rows[0])
        print_table(heads, [[row[head] for head in heads] for row in rows])
    return 0
