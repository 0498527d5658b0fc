"""Tools that read a script's text."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from doctor.peers.listening import Watcher

LEVELS = {"CRITICAL": "error", "ERROR": "error", "WARNING": "warning", "INFO": "note"}


def mldoct(text: str) -> Watcher:
    """``mldoctor check`` on a script's text."""
    from mldoctor.linter import lint_script

    watcher = Watcher()
    with _file(text) as path:
        for finding in lint_script(str(path))[0]:
            watcher.say(finding["type"], LEVELS[finding["severity"]], finding["message"])
    return watcher


def mended(text: str) -> str | None:
    """What ``mldoctor check --fix`` makes of a script; None where it leaves it as it is."""
    from mldoctor.linter import auto_fix_script, lint_script

    with _file(text) as path:
        findings, visitor = lint_script(str(path))
        if findings and visitor is not None and auto_fix_script(str(path), visitor)[0]:
            return path.read_text()
    return None


def torchfix(text: str) -> Watcher:
    """``torchfix``, as its flake8 plugin, with its default rules."""
    from torchfix.torchfix import DISABLED_BY_DEFAULT, TorchChecker

    watcher = Watcher()
    for _, _, said, _ in TorchChecker(None, text.splitlines(keepends=True)).run():
        if not said.startswith(tuple(DISABLED_BY_DEFAULT)):
            watcher.say(said.split(" ")[0], "warning", said)
    return watcher


@contextlib.contextmanager
def _file(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.py"
        path.write_text(text)
        yield path


LINTERS = {"mldoct": mldoct, "torchfix": torchfix}
