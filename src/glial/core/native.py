"""Small libraries in C, built once by the machine's own compiler for the processor at hand."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path

from glial.core.files import cache_folder, is_private, private_folder

logger = logging.getLogger(__name__)

# GCC alone: its vectors are written so, and its threads are the ones that torch runs.
COMPILERS = ("gcc", "cc")
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-fPIC", "-shared")
BUILD_SECONDS = 120


class NoKernelsError(Exception):
    """A library cannot be built or loaded here; the message says why.

    Example:
        >>> str(NoKernelsError("there is no compiler"))
        'there is no compiler'
    """


def load_library(package: str, source: str) -> ctypes.CDLL:
    """The library of a C file in a package, built if need be; its code is run by this process.

    Args:
        package: The package, such as ``glial.training``.
        source: The file's name in it.

    Raises:
        NoKernelsError: If it cannot be built or loaded.

    Example:
        >>> load_library("glial.training", "kernels.c").adam  # doctest: +SKIP
        <_FuncPtr object at 0x7f1c3c1d6a40>
    """
    path = built_library(package, source)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NoKernelsError(f"{path} cannot be loaded: {error}") from error


def built_library(package: str, source: str) -> Path:
    """The library's file in the user's cache; its name says what it is made of and its content.

    Args:
        package: The package, such as ``glial.training``.
        source: The C file's name in it.

    Raises:
        NoKernelsError: If there is no compiler, it fails, or the cache cannot be used.

    Example:
        >>> built_library("glial.training", "kernels.c").suffix  # doctest: +SKIP
        '.so'
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if not sys.platform.startswith("linux") or compiler is None:
        raise NoKernelsError("there is no GCC")
    text = resources.files(package).joinpath(source).read_bytes()
    # What "native" means here and now, and which compiler this is, in its own words.
    words = _run(compiler, *FLAGS, "-v", "-E", "-x", "c", os.devnull, "-o", os.devnull)
    made_of = hashlib.sha256(text + words).hexdigest()[:16]
    folder = cache_folder() / "kernels"
    begin = time.monotonic()
    try:
        folder = private_folder(folder)  # what lies in it is run
        for path in folder.glob(f"{made_of}-*.so"):
            if is_private(path) and path.name == f"{made_of}-{_content(path)}.so":
                return path
            path.unlink()
        with tempfile.TemporaryDirectory(dir=folder) as room:
            (Path(room) / source).write_bytes(text)
            made = Path(room) / "made.so"
            _run(compiler, *FLAGS, "-o", str(made), str(Path(room) / source), "-lm")
            made.chmod(stat.S_IRUSR | stat.S_IXUSR)
            path = made.replace(folder / f"{made_of}-{_content(made)}.so")
    except OSError as error:
        raise NoKernelsError(f"{folder} cannot be used: {error}") from error
    logger.info("%s built by %s in %.1f s: %s", source, compiler, time.monotonic() - begin, path)
    return path


def _run(*command: str) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=BUILD_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines()
        wrong = next((line for line in lines if "error:" in line), str(error))
        raise NoKernelsError(f"{command[0]} fails: {wrong}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKernelsError(f"{command[0]} fails: {error}") from error
    return done.stderr


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
