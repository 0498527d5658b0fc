"""A notebook as a script: what stays, what is taken out, and which line is which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glial.core.errors import InputError
from glial.core.findings import Place
from glial.doctor.launching.notebook import Notebook


def lines_of(text):
    notebook = Notebook.of(Path("a.ipynb"), [(1, text)])
    return notebook.code.splitlines()[2:], [told for _, told in notebook.taken_out]


@pytest.mark.parametrize(
    ("text", "kept", "out"),
    [
        ("x = 1\ny = x % 2", ["x = 1", "y = x % 2"], []),
        ("%matplotlib inline\nx = 1", ["pass", "x = 1"], ["%matplotlib inline"]),
        ("if x:\n    !ls 'it\nx = 1", ["if x:", "    pass", "x = 1"], ["!ls 'it"]),
        ("files = !ls\nx = 1", ["pass", "x = 1"], ["files = !ls"]),
        ("model?\nx = 1", ["pass", "x = 1"], ["model?"]),
        ("?model", ["pass"], ["?model"]),
        ("!pip install a \\\n   b\nx = 1", ["pass", "", "x = 1"], ["!pip install a \\", "b"]),
        ("%%time\nx = 1", ["pass", "x = 1"], ["%%time"]),
        ("%%bash\nls\nrm -r", ["pass", "", ""], ["%%bash"]),
        ("%time a\n%time b\n!c 'd", ["pass", "pass", "pass"], ["%time a", "%time b", "!c 'd"]),
        # What starts with a percent sign and is Python stays.
        ("x = (a\n% b)", ["x = (a", "% b)"], []),
        ('text = """\n%d items\n!"""', ['text = """', "%d items", '!"""'], []),
        # What is wrong and no magic stays too, for Python to complain of.
        ("x = = 1\n%time y", ["x = = 1", "%time y"], []),
        ("", [], []),
    ],
)
def test_only_what_a_notebook_alone_can_run_is_taken_out(text, kept, out):
    assert lines_of(text) == (kept, out)


def test_lines_are_those_of_cells():
    notebook = Notebook.of(Path("sub/a.ipynb"), [(2, "a = 1\nb = 2"), (5, "%time c\nd = 3")])
    code = notebook.code.splitlines()
    for text, cell, line in [("a = 1", 2, 1), ("b = 2", 2, 2), ("d = 3", 5, 2)]:
        place = notebook.place(code.index(text) + 1)
        assert place == Place(f"sub/a.ipynb:cell {cell}", line)
    assert str(notebook.place(3)) == "sub/a.ipynb:cell 2:1"
    assert notebook.taken_out == ((Place("sub/a.ipynb:cell 5", 1), "%time c"),)
    assert notebook.place(99) == Place("sub/a.ipynb", 99)


CELLS = [
    {"cell_type": "markdown", "source": ["# Title"]},
    {"cell_type": "code", "source": ["x = 1\n", "y = 2"]},
    {"cell_type": "code", "source": "z = 3"},
]


def test_cells_of_a_file(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": CELLS, "metadata": {}, "nbformat": 4}))
    assert (
        Notebook.read(path).code.partition("\n")[2] == "# cell 2\nx = 1\ny = 2\n# cell 3\nz = 3\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"cells": 3}',
        '{"cells": [3]}',
        "x = 1",
        '{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}',
        '{"cells": [], "metadata": 1}',
    ],
)
def test_what_is_no_python_notebook_is_refused(tmp_path, text):
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.ipynb is not"):
        Notebook.read(path)
