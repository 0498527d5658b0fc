"""``glial models``: the models that can be trained."""

from __future__ import annotations

import argparse
from typing import Any

from glial.cli.main import print_json

# What a network of images was published with.
PUBLISHED = ("input_size", "min_side", "normalization", "num_classes")


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
                **{key: _plain(getattr(cls, key, None)) for key in PUBLISHED},
            }
        )
    if options.json:
        print_json({"models": rows})
    else:
        heads = ("model", "description", "tasks", "source")
        families: dict[tuple[str, ...], list[str]] = {}
        for row in rows:
            told = (row["description"], ", ".join(row["tasks"]), row["source"])
            families.setdefault(told, []).append(row["model"])
        print_table(heads, [[", ".join(names), *told] for told, names in families.items()])
    return 0


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
