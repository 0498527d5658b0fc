"""The public names: frozen, there, described, and each with an example."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import glial
from glial.core.tables import Table

FROZEN = Path(__file__).with_name("public_names.txt").read_text().split()
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(glial.__path__, "glial.")
    if found.name != "glial.__main__"
)
PACKAGES = ["glial", *(name for name in MODULES if name.count(".") == 1)]

Definition = ast.FunctionDef | ast.ClassDef

TOP = [
    "Doctor",
    "GlialError",
    "InputError",
    "Plan",
    "Run",
    "calibrate",
    "core",
    "data",
    "diagnose",
    "doctor",
    "embed",
    "evaluate",
    "evaluation",
    "explain",
    "explanation",
    "functional",
    "generate",
    "healing",
    "inspect",
    "load",
    "models",
    "nn",
    "objectives",
    "predict",
    "report",
    "reports",
    "runs",
    "serving",
    "tasks",
    "testing",
    "train",
    "training",
]


def test_top_level_names_are_these():
    assert glial.__all__ == TOP
    assert sorted(dir(glial)) == sorted([*TOP, "__version__"])


def test_unknown_top_level_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'zebra'"):
        _ = glial.zebra


def test_public_names_are_the_frozen_ones():
    actual = {
        f"{package}.{name}"
        for package in PACKAGES
        for name in getattr(importlib.import_module(package), "__all__", ())
    }
    gone, new = sorted(set(FROZEN) - actual), sorted(actual - set(FROZEN))
    assert not gone, f"public names may be added, never taken away or renamed: {gone}"
    assert not new, f"new public names: {new}. Do: make names, and read the diff"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_in_all_is_there(package):
    module = importlib.import_module(package)
    names = list(getattr(module, "__all__", ()))
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


def public_definitions(package: str) -> Iterator[tuple[str, Definition]]:
    """The functions and classes that a package makes public, each with its module's name.

    They are those in ``__all__``; in a package that re-exports nothing, those of its modules
    that bear no underscore. Overloads are left out.
    """
    exported = getattr(importlib.import_module(package), "__all__", None)
    for module_name in [name for name in MODULES if f"{name}.".startswith(f"{package}.")]:
        spec = importlib.util.find_spec(module_name)
        assert spec is not None
        assert spec.origin is not None
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                continue
            is_public = not node.name.startswith("_") if exported is None else node.name in exported
            decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
            if is_public and "overload" not in decorators:
                yield module_name, node


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES[1:])
def test_every_public_object_has_a_docstring_with_an_example(package):
    without = [
        f"{module_name}.{node.name}"
        for module_name, node in public_definitions(package)
        if ">>> " not in (ast.get_docstring(node) or "")
    ]
    assert without == []


def raised_names(function: ast.FunctionDef) -> set[str]:
    """The exception classes that a function's own body raises, but for those caught there."""
    caught = {
        node
        for attempt in ast.walk(function)
        if isinstance(attempt, ast.Try)
        for statement in attempt.body
        for node in ast.walk(statement)
    }
    raised = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node not in caught:
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            raised |= {name} if name[:1].isupper() else set()
    return raised


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES[1:])
def test_every_error_a_public_function_raises_is_described(package):
    silent = []
    for module_name, node in public_definitions(package):
        functions = [node] if isinstance(node, ast.FunctionDef) else []
        if isinstance(node, ast.ClassDef):
            functions = [
                item
                for item in node.body
                if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
            ]
        for function in functions:
            described = (ast.get_docstring(function) or "").partition("Raises:")[2]
            silent += [
                f"{module_name}.{function.name}: {name}"
                for name in sorted(raised_names(function))
                if f"{name}:" not in described
            ]
    assert silent == []


def all_tables() -> list[tuple[str, str, str]]:
    """Every entry of every table of parts that a module of Glial holds."""
    entries = []
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, value in inspect.getmembers(module, lambda value: isinstance(value, Table)):
            entries += [(module_name, name, entry) for entry in value]
    return entries


def test_every_entry_of_every_table_resolves():
    entries = all_tables()
    assert entries
    for module_name, name, entry in entries:
        table = getattr(importlib.import_module(module_name), name)
        assert table.resolve(entry) is not None, (module_name, name, entry)


def test_tables_name_only_their_own_or_lower_packages():
    order = ["core", "functional", "nn", "data", "models", "tasks", "training", "objectives"]
    order += ["runs", "evaluation", "explanation", "sklearn", "reports", "serving"]
    order += ["testing", "cli"]
    for module_name, name, entry in all_tables():
        address = getattr(importlib.import_module(module_name), name)[entry]
        if address.startswith("glial."):
            own, other = module_name.split(".")[1], address.replace(":", ".").split(".")[1]
            assert order.index(other) <= order.index(own), (module_name, name, entry)
