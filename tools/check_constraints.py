"""Fails when constraints.txt and what this environment needs do not agree, package by package."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
BUILD_TOOLS = ("hatchling", "editables")


def read_pins() -> dict[str, Version]:
    """The pinned version of each package; a line that is no exact pin ends the program."""
    pins: dict[str, Version] = {}
    for line in CONSTRAINTS.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        specifiers = list(requirement.specifier)
        if len(specifiers) != 1 or specifiers[0].operator != "==":
            sys.exit(f"constraints.txt: {text!r} is not an exact pin. Do: write {text}==VERSION")
        pins[canonicalize_name(requirement.name)] = Version(specifiers[0].version)
    return pins


def needed() -> dict[str, Version]:
    """Every package that Glial, its extras and its build need here, with the version installed."""
    found: dict[str, Version] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [("glial", "dev"), *((name, "") for name in BUILD_TOOLS)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"{name} is not installed. Do: make dev")
        if name != "glial":
            found[name] = Version(package.version)
        for line in package.requires or []:
            requirement = Requirement(line)
            extras = ("", extra) if extra else ("",)
            if requirement.marker and not any(
                requirement.marker.evaluate({"extra": one}) for one in extras
            ):
                continue
            child = canonicalize_name(requirement.name)
            waiting += [(child, one) for one in ("", *requirement.extras)]
    return found


def main() -> None:
    """Compare, and name every difference."""
    pins = read_pins()
    differences = []
    for name, version in sorted(needed().items()):
        # A wheel's local label (such as +cpu) is the same release.
        if name not in pins:
            differences.append(f"add {name}=={version.public}")
        elif pins[name].public != version.public:
            differences.append(f"{name} is pinned to {pins[name]} and {version} is installed")
    if differences:
        sys.exit("constraints.txt does not cover the environment:\n  " + "\n  ".join(differences))
    print(f"constraints.txt: {len(pins)} exact pins cover the environment")


if __name__ == "__main__":
    main()
