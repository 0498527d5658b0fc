"""What a script writes, kept while it is shown."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from typing import IO

CHUNK = 65_536
MOST_BYTES = 16_000_000  # of the end of what is written
LAST_SECONDS = 2.0  # for what was written to arrive, once the process has ended


class Output:
    r"""The output of a process, its standard output apart from its errors.

    Args:
        hidden: Whether it is kept alone: it is not shown, and the process is given no input.

    Example:
        >>> output = Output(hidden=True)
        >>> process = subprocess.Popen(["echo", "0.5"], stdout=subprocess.PIPE)
        >>> output.follow(process, 1); _ = process.wait(); output.finish()
        >>> output.text
        '0.5\n'
    """

    def __init__(self, *, hidden: bool = False) -> None:
        self.hidden = hidden
        self._parts: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
        self._threads: list[threading.Thread] = []

    @property
    def text(self) -> str:
        """What was written to standard output."""
        return self._parts["out"].decode(errors="replace")

    @property
    def errors(self) -> str:
        """What was written to standard error."""
        return self._parts["err"].decode(errors="replace")

    def follow(self, process: subprocess.Popen[bytes], out: int) -> None:
        """Read what a process writes; its standard output is shown at a descriptor."""
        for name, pipe, shown in (("out", process.stdout, out), ("err", process.stderr, 2)):
            if pipe is not None:
                kept = self._keeping(name, None if self.hidden else shown)
                thread = threading.Thread(target=_read, args=(pipe, kept), daemon=True)
                self._threads.append(thread)
                thread.start()

    def finish(self) -> None:
        """Wait for what was written last; a child that it left behind may hold the pipe."""
        for thread in self._threads:
            thread.join(LAST_SECONDS)

    def _keeping(self, name: str, shown: int | None) -> Callable[[bytes], None]:
        kept = self._parts[name]

        def keep(content: bytes) -> None:
            kept.extend(content)
            if len(kept) > MOST_BYTES:
                del kept[: len(kept) - MOST_BYTES]
            if shown is not None:
                _write(shown, content)

        return keep


def _read(pipe: IO[bytes], keep: Callable[[bytes], None]) -> None:
    with pipe:
        while content := os.read(pipe.fileno(), CHUNK):
            keep(content)


def _write(descriptor: int, content: bytes) -> None:
    """Write all of it; where nobody reads any more, it is kept alone."""
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except OSError:
            return
