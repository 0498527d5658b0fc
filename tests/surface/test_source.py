"""What may not stand in the source: unsafe loading, relative imports, files too long to read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "glial"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 400
UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
UNSAFE_BUILTINS = {"eval", "exec", "compile", "__import__"}
UNSAFE_CALLS = {"torch.load", "torch.save", "yaml.unsafe_load", "yaml.full_load"}
VAGUE_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py"}


def imported(node: ast.AST) -> set[str]:
    """The first parts of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return set()


def faults(tree: ast.AST) -> list[str]:
    """Every unsafe import or call of a module, with its line."""
    found = []
    for node in ast.walk(tree):
        bad = imported(node) & UNSAFE_MODULES
        if isinstance(node, ast.ImportFrom) and node.level:
            bad |= {"relative import"}
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            bad |= {name} & (UNSAFE_BUILTINS | UNSAFE_CALLS)
            told = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if name == "torch.load" and told.get("weights_only") == "True":
                bad -= {name}
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    bad |= {"allow_pickle"}
        found += [f"line {node.lineno}: {name}" for name in sorted(bad)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_source_file_is_safe_and_short(path):
    text = path.read_text(encoding="utf-8")
    assert faults(ast.parse(text)) == []
    assert text.count("\n") <= MAX_LINES
    assert path.name not in VAGUE_NAMES


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "exec('1')",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "from . import data",
    ],
)
def test_the_check_sees_what_it_looks_for(code):
    assert faults(ast.parse(code))


def test_the_check_leaves_evaluation_mode_alone():
    assert faults(ast.parse("model.eval()\nnp.load(path, allow_pickle=False)")) == []
