"""Every Python and console block of README.md and docs/ is run as a reader would run it.

The blocks of one page run in order, in one temporary folder; its Python blocks share their names.
A console line that starts with ``$ `` must exit 0, or as its comment says: ``# exits 2``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from glial.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.is_file()
)
FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<ticks>```+|~~~+)[ \t]*(?P<language>[^\s`]*)")
RUN = {"python", "console"}
NOT_RUN = {"text", "yaml", "json", "toml", "csv", "ini", "makefile", "diff", "bibtex", "mermaid"}
EXITS = re.compile(r"#\s*exits\s+(\d+)\s*$")


# What needs no shell, nor (as the doctor does) a process of its own, is run in this one: torch
# takes seconds to import.
PLAIN = re.compile(r"glial (?!doctor)[^|&;<>$*?`~(){}#]*")


class Block(NamedTuple):
    """A fenced block: its language, the line where its content starts, and the content."""

    language: str
    line: int
    text: str


def fenced_blocks(text: str) -> list[Block]:
    """The fenced blocks of a Markdown page, in order."""
    blocks: list[Block] = []
    opening: re.Match[str] | None = None
    start, content = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opening is None and fence:
            opening, start, content = fence, number + 1, []
        elif opening is not None and line.strip() == opening["ticks"]:
            blocks.append(Block(opening["language"], start, "\n".join(content)))
            opening = None
        elif opening is not None:
            content.append(line.removeprefix(opening["indent"]))
    assert opening is None, "a fenced block is not closed"
    return blocks


def commands(text: str) -> list[tuple[int, str, int]]:
    """The commands of a console block: line within it, command, expected exit status."""
    found: list[tuple[int, str, int]] = []
    lines = iter(enumerate(text.splitlines()))
    for number, line in lines:
        if not line.startswith("$ "):
            continue
        command = line[2:]
        while command.endswith("\\"):
            command = command[:-1] + next(lines)[1].removeprefix("> ")
        status = EXITS.search(command)
        found.append((number, command, int(status[1]) if status else 0))
    return found


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    status: int | str | None
    output: str


def run_command(command: str, folder: Path) -> Done:
    """Run one line, in a shell where this environment's ``glial`` is the first on the path."""
    plain = PLAIN.fullmatch(command.partition("#")[0].rstrip())
    if plain:
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            try:
                status: int | str | None = main(shlex.split(plain[0])[1:])
            except SystemExit as leaving:
                status = leaving.code
        return Done(status or 0, told.getvalue())
    environment = dict(os.environ)
    places = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    environment["PATH"] = os.pathsep.join([*places, environment["PATH"]])
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    return Done(done.returncode, done.stdout)


def run_block(block: Block, page: Path, names: dict[str, Any], folder: Path) -> None:
    """Run one block; a failure names the page and the line."""
    if block.language == "python":
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        exec(code, names)  # noqa: S102 - the project's own documents
    elif block.language == "console":
        for number, command, status in commands(block.text):
            done = run_command(command, folder)
            where = f"{page.relative_to(ROOT)}, line {block.line + number}: {command}"
            assert done.status == status, f"{where}\n{done.output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_of_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in fenced_blocks(page.read_text(encoding="utf-8")):
        run_block(block, page, names, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_whether_it_is_run(page):
    blocks = fenced_blocks(page.read_text(encoding="utf-8"))
    unclear = [block for block in blocks if block.language not in RUN | NOT_RUN]
    assert unclear == [], f"mark each block as one of {sorted(RUN | NOT_RUN)}"


def test_blocks_are_found_with_language_and_line():
    page = "a\n```python\nx = 1\n```\n\n  ```console\n  $ true\n  ```\n"
    assert fenced_blocks(page) == [Block("python", 3, "x = 1"), Block("console", 7, "$ true")]


def test_commands_carry_their_expected_status():
    text = "$ glial train \\\n>   a.csv\nsome output\n$ glial train b.csv  # exits 2"
    assert commands(text) == [
        (0, "glial train   a.csv", 0),
        (3, "glial train b.csv  # exits 2", 2),
    ]


def test_a_failing_block_is_seen(tmp_path):
    with pytest.raises(AssertionError, match="line 3: false"):
        run_block(Block("console", 3, "$ false"), ROOT / "README.md", {}, tmp_path)
    with pytest.raises(ZeroDivisionError):
        run_block(Block("python", 3, "1 / 0"), ROOT / "README.md", {}, tmp_path)
    run_block(Block("console", 3, "$ exit 2  # exits 2"), ROOT / "README.md", {}, tmp_path)
