"""Sources are edited as by hand: every edit leaves Python, and says what it is meant to."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, LossSeen
from glial.doctor.remedies import Case, Change, Edit, Source, Sources, diff_of, texts_after
from glial.doctor.remedies.program.source import edited


def after(text: str, *edits: Edit) -> str:
    result = edited(text, edits)
    ast.parse(result)
    return result


@pytest.mark.parametrize(
    ("text", "inserted"),
    [
        ("f(1)\ng()\n", "f(1)\nnew()\ng()\n"),
        ("f(1)", "f(1)\nnew()\n"),
        ("f(1); g()\n", "f(1); new(); g()\n"),
        ("if x: f(1)\ng()\n", "if x: f(1); new()\ng()\n"),
        ("if x:\n    f(1)\n", "if x:\n    f(1)\n    new()\n"),
        ("f(1)  # why\n", "f(1)  # why\nnew()\n"),
        ("f(\n    1,\n)\ng()\n", "f(\n    1,\n)\nnew()\ng()\n"),
        ("é = f(1); g()\n", "é = f(1); new(); g()\n"),
        ("f(1)\r\ng()\r\n", "f(1)\r\nnew()\r\ng()\r\n"),
    ],
)
def test_lines_are_inserted_after_a_statement(text: str, inserted: str) -> None:
    source = Source("a.py", text)
    statement = source.statement(source.calls("f")[0])
    assert after(text, source.after(statement, "new()")) == inserted


@pytest.mark.parametrize(
    ("text", "inserted"),
    [
        ("g()\nf(1)\n", "g()\nnew()\nf(1)\n"),
        ("g(); f(1)\n", "g(); new(); f(1)\n"),
        ("if x: f(1)\n", "if x: new(); f(1)\n"),
        ("if x:\n\tf(1)\n", "if x:\n\tnew()\n\tf(1)\n"),
    ],
)
def test_lines_are_inserted_before_a_statement(text: str, inserted: str) -> None:
    source = Source("a.py", text)
    statement = source.statement(source.calls("f")[0])
    assert after(text, source.before(statement, "new()")) == inserted


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("g()\nf(1)\nh()\n", "g()\nh()\n"),
        ("g(); f(1); h()\n", "g(); h()\n"),
        ("g(); f(1)\n", "g()\n"),
        ("f(1); g()\n", "g()\n"),
        ("if x: f(1)\n", "if x: pass\n"),
        ("if x:\n    f(1)\n    g()\n", "if x:\n    g()\n"),
        ("f(1)  # why\ng()\n", "g()\n"),
        ("g()\nf(1)", "g()\n"),
    ],
)
def test_statements_are_taken_out(text: str, left: str) -> None:
    source = Source("a.py", text)
    assert after(text, source.remove(source.statement(source.calls("f")[0]))) == left


@pytest.mark.parametrize(
    ("text", "set_to"),
    [
        ("f(x)", "f(x, lr=0.1)"),
        ("f()", "f(lr=0.1)"),
        ("f(x, lr=3)", "f(x, lr=0.1)"),
        ("f(x, 3)", "f(x, 0.1)"),
        ("f(x, momentum=1)", "f(x, momentum=1, lr=0.1)"),
        ("f(\n    x,\n)", "f(\n    x, lr=0.1,\n)"),
    ],
)
def test_arguments_are_set(text: str, set_to: str) -> None:
    source = Source("a.py", text)
    assert after(text, source.argument(source.calls("f")[0], "lr", "0.1", 1)) == set_to


@pytest.mark.parametrize(
    ("text", "left"),
    [("f(x, a=1, b=2)", "f(x, b=2)"), ("f(x, b=2, a=1)", "f(x, b=2)"), ("f(a=1)", "f()")],
)
def test_arguments_are_left_out(text: str, left: str) -> None:
    source = Source("a.py", text)
    edit = source.without_argument(source.calls("f")[0], "a")
    assert edit is not None
    assert after(text, edit) == left
    assert source.without_argument(source.calls("f")[0], "c") is None


@pytest.mark.parametrize(
    ("imports", "written"),
    [
        ("import torch", "torch.nn.functional.relu"),
        ("import torch.nn.functional as F", "F.relu"),
        ("from torch.nn import functional as fn", "fn.relu"),
        ("from torch import nn", "nn.functional.relu"),
        ("from torch.nn.functional import relu", "relu"),
        ("import torch.nn", "torch.nn.functional.relu"),
    ],
)
def test_names_are_written_as_the_file_imports_them(imports: str, written: str) -> None:
    assert Source("a.py", imports).refer("torch.nn.functional.relu") == (written, [])


def test_a_missing_import_is_added_after_the_future() -> None:
    text = '"""What."""\nfrom __future__ import annotations\n\nx = 1\n'
    source = Source("a.py", text)
    name, edits = source.refer("torch.nn.ReLU")
    assert name == "torch.nn.ReLU"
    assert "annotations\nimport torch\n" in after(text, *edits)


def test_edits_that_reach_into_each_other_are_refused() -> None:
    sources = Sources({"/a.py": "lr = 1"})
    one = Change("one", "Does.", {"/a.py": (Edit(5, 6, "2"),)})
    other = Change("other", "Does.", {"/a.py": (Edit(4, 6, "3"),)})
    with pytest.raises(ValueError, match="same characters"):
        texts_after([one, other], sources)
    broken = Change("broken", "Does.", {"/a.py": (Edit(5, 6, "("),)})
    with pytest.raises(ValueError, match="not Python"):
        texts_after([broken], sources)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("i = 1\nprint(2)\n", False),
        ("i = 1\nprint(i)\n", True),
        ("def f():\n    i = 1\n    return g(lambda: i)\n", True),
        ("i = 1\ni = 2\nprint(i)\n", False),
        ("from math import *\ni = 1\nprint(i, pi)\n", True),
        ("from math import *\ni = 1\nprint(pi)\n", False),
        ("def f():\n    global j\n    i = 1\n    j = 2\nprint(j)\n", False),
    ],
)
def test_what_is_used_is_not_taken_out(text: str, lost: bool) -> None:
    source = Source("/a.py", text)
    change = Change.of("out", "Does.", source, [source.remove(source.assignments("i")[0])])
    if lost:
        with pytest.raises(ValueError, match=r"leaves names without a meaning: \['i'\]"):
            texts_after([change], Sources({"/a.py": text}))
    else:
        assert texts_after([change], Sources({"/a.py": text}))


def test_what_changes_nothing_is_no_change() -> None:
    sources = Sources({"/a.py": "lr = 1"})
    same = Change("same", "Does.", {"/a.py": (Edit(5, 6, "1"),)})
    assert texts_after([same], sources) == {}


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a = 1\nb = 2\n", "a = 1\nb = 2", "a = 1\r\nb = 2\r\n"])
def test_diffs_are_taken_by_git(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sub" / "train.py"
    path.parent.mkdir()
    path.write_bytes(text.encode())
    sources = Sources()
    source = sources.of(Place(str(path), 1))
    assert source is not None
    change = Change.of(
        "n", "Does.", source, [Edit(text.index("2"), text.index("2") + 1, "3\nc = 4")]
    )
    texts = texts_after([change], sources)
    diff = diff_of(texts, sources, tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
    assert path.read_bytes().decode() == texts[str(path)]


def test_of_several_losses_in_a_line_the_used_one_is_meant() -> None:
    text = "a = nn.NLLLoss(); b = nn.MSELoss(); c = lambda o, t: f(len(t))\n"
    seen = LossSeen("mse_loss", made_at=Place("/a.py", 1))
    finding = Finding("wrong-loss", "error", None, {}, "It.", "Do.")
    case = Case(finding, Evidence(losses=[seen]), Sources({"/a.py": text}))
    assert case.loss_module is not None
    assert case.loss_module.code == "nn.MSELoss()"
