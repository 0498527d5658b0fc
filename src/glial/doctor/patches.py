"""Files that run with another text than they hold, in this process; what is on disk stays."""

from __future__ import annotations

import importlib.util
import io
import json
import linecache
import os
import sys
import tokenize
from collections.abc import Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType
from typing import Any, NoReturn


class Patches:
    """Texts that stand in for those of files.

    A file that Python reads to run it, as the script, as a module, or anew in a process that was
    spawned, is read from here; places, tracebacks and ``inspect`` know it under its own path.

    Args:
        texts: The whole new text of each file, by its path.

    Example:
        >>> patches = Patches({"train.py": "x = 1"})
        >>> patches.bytes_of("./train.py"), patches.bytes_of("other.py")
        (b'x = 1', None)
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {os.path.realpath(path): text for path, text in texts.items()}

    @classmethod
    def read(cls, path: str) -> Patches:
        """Those of a file of JSON."""
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - before a script: be quick
            return cls(json.load(file))

    def put(self) -> None:
        """Have every file of these be read from here, until the process ends."""
        self._patch_reading()
        self._patch_imports()
        sys.path_hooks.insert(0, self._hook)
        for path, text in self._texts.items():
            _show_as(path, text)

    def bytes_of(self, path: Any) -> bytes | None:
        """The new content of a file; None where it keeps its own."""
        if not isinstance(path, (str, os.PathLike)):
            return None
        text = self._texts.get(os.path.realpath(path))
        return None if text is None else encoded(text)

    def _patch_reading(self) -> None:
        """What reads code goes through this door: imports, and what is run by its path."""
        read_original = io.open_code

        def open_code(path: str) -> Any:
            content = self.bytes_of(path)
            return read_original(path) if content is None else io.BytesIO(content)

        io.open_code = open_code
        sys.modules["_io"].open_code = open_code  # type: ignore[attr-defined]

    def _patch_imports(self) -> None:
        """Have no byte code of the file on disk be taken, nor any written for it."""
        stats_of = SourceFileLoader.path_stats

        def path_stats(loader: SourceFileLoader, path: str) -> Any:
            if self.bytes_of(path) is not None:
                raise OSError
            return stats_of(loader, path)

        SourceFileLoader.path_stats = path_stats  # type: ignore[assignment]

    def _hook(self, path: str) -> _Main:
        """What runs the script, where the interpreter itself asks: no other function has then."""
        try:
            sys._getframe(1)
        except ValueError:
            if path and (content := self.bytes_of(path)) is not None:
                return _Main(path, content)
        raise ImportError


class _Main:
    """Finds, loads and runs one file as the script, as Python would without it.

    Python asks whether a script's path is that of an archive with code in it, before it opens it
    as a file. This answers for files whose text is another.
    """

    def __init__(self, path: str, content: bytes) -> None:
        self._path, self._content = path, content

    def find_spec(self, name: str, target: Any = None) -> ModuleSpec | None:
        """The script's, and no other."""
        if name != "__main__":
            return None
        return ModuleSpec(name, self, origin=self._path)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Python's own module will do."""

    def exec_module(self, module: Any) -> NoReturn:
        """A script is not imported."""
        raise ImportError(self._path)

    def get_code(self, name: str) -> CodeType:
        """Code that has :meth:`run` run the script."""
        return _run_main.__code__

    def run(self) -> None:
        """Run the script with the names and the path that Python gives one."""
        sys.path_importer_cache.pop(self._path, None)
        if self._path in sys.path:
            folder = os.path.dirname(os.path.realpath(self._path))  # noqa: PTH120
            place = sys.path.index(self._path)
            sys.path[place : place + 1] = [] if sys.flags.safe_path else [folder]
        _show_as(self._path, importlib.util.decode_source(self._content))
        main, loader = sys.modules["__main__"], SourceFileLoader("__main__", self._path)
        main.__file__, main.__spec__, main.__package__ = self._path, None, None
        main.__loader__ = loader
        loader.exec_module(main)


def _run_main() -> None:
    """What is run with the names of ``__main__``, this loader among them."""
    __loader__.run()  # type: ignore[name-defined]


def _show_as(path: str, text: str) -> None:
    """Have tracebacks and ``inspect`` show a text as that of a file."""
    lines = text.splitlines(keepends=True)
    linecache.cache[path] = (len(text), None, lines, path)


def encoded(text: str) -> bytes:
    r"""The bytes of a file with this text, in the encoding that it declares.

    Example:
        >>> encoded("# coding: latin-1\nx = 'é'")[-2:]
        b"\xe9'"
    """
    plain = text.encode("utf-8")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(plain).readline)
    except SyntaxError:  # an encoding that is none: Python will say so
        return plain
    return text.encode(encoding)
