"""Where in the user's code something happens, and what the user calls it."""

from __future__ import annotations

import sys
import sysconfig
import weakref
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from glial.core.findings import Place

_FOREIGN = tuple(
    {
        str(Path(folder).resolve())
        for folder in (
            str(Path(str(torch.__file__)).parent),
            str(Path(__file__).parents[2]),
            *(
                sysconfig.get_path(name)
                for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
            ),
        )
    }
)
_MOST_FRAMES = 200
_FRAMES_OF_A_SITE = 6


@lru_cache(maxsize=4096)
def is_users(filename: str) -> bool:
    """Whether a file is the user's own: of no installed package, and not Python's.

    Example:
        >>> is_users(torch.__file__), is_users("train.py")
        (False, True)
    """
    if filename.startswith("<frozen") or filename in ("<string>", "<__array_function__ internals>"):
        return False
    return not str(Path(filename).resolve()).startswith(_FOREIGN)


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost frame of the user's code; None where there is none.

    Args:
        depth: Frames to leave out, this function's caller first.
    """
    frame: FrameType | None = sys._getframe(depth)
    for _ in range(_MOST_FRAMES):
        if frame is None or is_users(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


def place_of(frame: FrameType | None) -> Place | None:
    """The line that a frame is at."""
    return None if frame is None else Place(frame.f_code.co_filename, frame.f_lineno)


Site = tuple[tuple[int, int], ...]


def site_of(frame: FrameType | None) -> Site:
    """Which line a frame is at and which called it: one function may be called from several.

    Example:
        >>> def here():
        ...     return site_of(sys._getframe(1))
        >>> here() == here(), here() == site_of(None)
        (True, False)
    """
    lines: list[tuple[int, int]] = []
    while frame is not None and len(lines) < _FRAMES_OF_A_SITE:
        lines.append((id(frame.f_code), frame.f_lineno))
        frame = frame.f_back
    return tuple(lines)


def user_place() -> Place | None:
    """The line of the user's code that is being run; None where there is none.

    Example:
        >>> user_place() is None or user_place().line > 0
        True
    """
    return place_of(user_frame(2))


class Places:
    """Where objects were made, by identity: their own ``__hash__`` may not work yet.

    Example:
        >>> class Unhashable:
        ...     __hash__ = None
        >>> one, places = Unhashable(), Places()
        >>> places.keep(one, Place("train.py", 3))
        >>> places.get(one).line, places.get(Unhashable()) is None
        (3, True)
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[weakref.ref[Any], Place]] = {}

    def keep(self, made: Any, place: Place | None) -> None:
        """Keep the place of an object as long as that lives, if it is known."""
        if place is None:
            return
        key = id(made)
        gone = weakref.ref(made, lambda _: self._places.pop(key, None))
        self._places[key] = gone, place

    def get(self, made: Any) -> Place | None:
        """Where an object was made; None where that is not known."""
        held, place = self._places.get(id(made), (None, None))
        return place if held is not None and held() is made else None


def name_of(value: Any, frame: FrameType | None) -> str | None:
    """The variable that holds an object, as seen from a frame of the user's code.

    Locals come first, then attributes of what locals hold, then the same of the callers, then
    globals. Names that start with an underscore are only taken where there is no other.

    Args:
        value: The object.
        frame: Where to look from.

    Returns:
        ``net`` or ``trainer.net`` (``self.`` left out); None where no variable holds it.
    """
    spare = None
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        if is_users(frame.f_code.co_filename):
            for scope in (frame.f_locals, frame.f_globals):
                found = _held(value, scope)
                if found is not None and not found.startswith("_"):
                    return found
                spare = spare or found
        frame = frame.f_back
    return spare


def _held(value: Any, scope: dict[str, Any]) -> str | None:
    for name, held in scope.items():
        if held is value:
            return name
    for name, held in list(scope.items())[:_MOST_FRAMES]:
        fields = getattr(held, "__dict__", None)
        if type(fields) is not dict or isinstance(held, (type, torch.Tensor)):
            continue
        inner = fields.get("_modules")
        fields = {**fields, **inner} if isinstance(inner, dict) else fields
        for field, one in list(fields.items())[:_MOST_FRAMES]:
            if one is value:
                return field if name == "self" else f"{name}.{field}"
    return None
