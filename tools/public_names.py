"""Prints every public name of Glial, a line each: what ``__all__`` of every package says."""

from __future__ import annotations

import importlib
import pkgutil

import glial


def public_names() -> list[str]:
    """The full public names, sorted."""
    packages = ["glial"]
    for found in pkgutil.iter_modules(glial.__path__, "glial."):
        if found.name != "glial.__main__":
            packages.append(found.name)
    return sorted(
        f"{package}.{name}"
        for package in packages
        for name in getattr(importlib.import_module(package), "__all__", ())
    )


if __name__ == "__main__":
    print("\n".join(public_names()))
