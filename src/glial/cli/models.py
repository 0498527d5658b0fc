"""``glial models``: the models that can be trained."""

from __future__ import annotations

import argparse

from glial.cli.main import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(options: argparse.Namespace) -> int:
    """List the table of models."""
    from glial.cli.tables import print_table
    from glial.models import MODELS

    rows = []
    for name in MODELS:
        cls = MODELS.resolve(name)
        settings = {
            key: field.get_default(call_default_factory=True)
            for key, field in cls.model_fields.items()
            if key != "name"
        }
        rows.append(
            {
                "model": name,
                "tasks": list(cls.tasks),
                "description": cls.description,
                "source": cls.source,
                "settings": settings,
            }
        )
    if options.json:
        print_json({"models": rows})
    else:
        heads = ("model", "description", "tasks", "source")
        cells = [[r["model"], r["description"], ", ".join(r["tasks"]), r["source"]] for r in rows]
        print_table(heads, cells)
    return 0
