"""Fitted parts as plain values and arrays, and back: checked field by field, never code."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.core.files import read_json, to_json, write_atomic

FORMAT = 2
GROUPS = ("columns", "imputers", "steps")
Arrays = dict[str, NDArray[Any]]
Part = TypeVar("Part")


def to_stored(part: Any, prefix: str = "") -> tuple[dict[str, Any], Arrays]:
    """The fields of a dataclass: words and flags as values, numbers with a point as arrays.

    Args:
        part: A dataclass whose fields are floats, arrays, words, flags, whole numbers, lists
            of words, or dataclasses of such and lists of these.
        prefix: What the arrays' names begin with.

    Example:
        >>> from glial.data.scaling import Scaling
        >>> to_stored(Scaling("none"))[0]
        {'how': 'none'}
    """
    values: dict[str, Any] = {}
    arrays: Arrays = {}
    for item in fields(part):
        value = getattr(part, item.name)
        if is_dataclass(value):
            inner, more = to_stored(value, f"{prefix}{item.name}.")
            values[item.name] = inner
            arrays.update(more)
        elif isinstance(value, list) and value and is_dataclass(value[0]):
            taken = [to_stored(one, f"{prefix}{item.name}.{i}.") for i, one in enumerate(value)]
            values[item.name] = [inner for inner, _ in taken]
            for _, more in taken:
                arrays.update(more)
        elif isinstance(value, (float, np.ndarray)):
            arrays[prefix + item.name] = np.asarray(value)
        else:
            values[item.name] = value
    return values, arrays


def from_stored(kind: type[Part], values: dict[str, Any], arrays: Arrays, prefix: str = "") -> Part:
    """The dataclass that :func:`to_stored` took apart.

    Args:
        kind: Its type.
        values: Its plain values.
        arrays: All arrays.
        prefix: What the names of its arrays begin with.

    Raises:
        ValueError: If a field is missing, of another type, or not finite.

    Example:
        >>> from glial.data.scaling import Scaling
        >>> scaling = Scaling("standard", 2.0, 0.5)
        >>> from_stored(Scaling, *to_stored(scaling)).shift
        2.0
    """
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]
        hint = hints[item.name]
        key = prefix + item.name
        if is_dataclass(hint):
            found[item.name] = from_stored(hint, values[item.name], arrays, f"{key}.")  # type: ignore[arg-type]
        elif get_origin(hint) is list and is_dataclass(get_args(hint)[0]):
            one: Any = get_args(hint)[0]
            found[item.name] = [
                from_stored(one, inner, arrays, f"{key}.{number}.")
                for number, inner in enumerate(values[item.name])
            ]
        elif hint is float:
            found[item.name] = _number(arrays[key], key)
        elif key in arrays:
            found[item.name] = _array(arrays[key], hint, key)
        else:
            found[item.name] = _plain(values[item.name], hint, key)
    return kind(**found)


def _number(array: NDArray[Any], key: str) -> float:
    if array.shape != () or array.dtype != np.float64 or not math.isfinite(array):
        raise ValueError(f"{key} is an array of {array.dtype} {list(array.shape)}, not a number")
    return float(array)


def _array(array: NDArray[Any], hint: Any, key: str) -> NDArray[Any]:
    wanted = np.int64 if "int64" in str(hint) else np.float64
    if array.dtype != wanted or not np.isfinite(array).all():
        raise ValueError(f"{key} is no array of finite {np.dtype(wanted)}")
    return array


def _plain(value: Any, hint: Any, key: str) -> Any:
    fits = isinstance(value, bool) if hint is bool else False
    fits |= hint is int and isinstance(value, int) and not isinstance(value, bool)
    fits |= hint is str and isinstance(value, str)
    fits |= get_origin(hint) is Literal and value in get_args(hint)
    if hint == list[str]:
        fits = isinstance(value, list) and all(isinstance(word, str) for word in value)
    if not fits:
        raise ValueError(f"{key} is {value!r}")
    return value


def write_parts(
    folder: Path,
    groups: Mapping[str, Mapping[str, Any] | Sequence[Any]],
    rest: Mapping[str, Any],
    known: Mapping[str, type],
) -> None:
    """Write fitted parts as ``encoding.json`` and ``encoding.safetensors``.

    Args:
        folder: Where to.
        groups: Group to its parts, by name or in a row.
        rest: Further plain values.
        known: The types of parts by the names that stand for them.
    """
    kinds = {part: kind for kind, part in known.items()}
    written: dict[str, Any] = {"format": FORMAT}
    tensors: dict[str, torch.Tensor] = {}
    for group, parts in groups.items():
        named = parts.items() if isinstance(parts, Mapping) else enumerate(parts)
        written[group] = []
        for number, (name, part) in enumerate(named):
            values, arrays = to_stored(part, f"{group}.{number}.")
            written[group].append({"name": name, "kind": kinds[type(part)], **values})
            tensors |= {key: torch.from_numpy(np.array(a, order="C")) for key, a in arrays.items()}
    written |= rest
    content = safetensors.torch.save(tensors)
    write_atomic(folder / "encoding.safetensors", content)
    write_atomic(
        folder / "encoding.json", to_json({"checksum": _checksum(written, content), **written})
    )


def read_parts(folder: Path, known: Mapping[str, type]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts that :func:`write_parts` wrote, and the further values.

    Args:
        folder: Where from.
        known: The types of parts by the names that stand for them.

    Raises:
        InputError: If a file is missing, cut short or changed.
    """
    with _whole(folder) as (content, arrays):
        groups = {group: _read_group(content[group], group, known, arrays) for group in GROUPS}
        return {**groups, "steps": list(groups["steps"].values())}, {
            key: content[key] for key in ("crosses", "dropped")
        }


def read_columns(folder: Path, name: str, kind: type[Part]) -> list[Part]:
    """The columns' parts of one kind, without what else stands beside them.

    Args:
        folder: Where from.
        name: The name that stands for the kind.
        kind: Their type.

    Raises:
        InputError: If a file is missing, cut short or changed.
    """
    with _whole(folder) as (content, arrays):
        return [
            from_stored(kind, part, arrays, f"columns.{number}.")
            for number, part in enumerate(content["columns"])
            if part["kind"] == name
        ]


@contextmanager
def _whole(folder: Path) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """What an encoding's files hold; what does not fit it, there or later, is damage."""
    content = read_json(folder / "encoding.json")
    try:
        arrays = (folder / "encoding.safetensors").read_bytes()
        _check_whole(content, arrays)
        yield content, {k: t.numpy() for k, t in safetensors.torch.load(arrays).items()}
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(
            f"the encoding of {folder} is damaged",
            expected="encoding.json and encoding.safetensors as Glial wrote them",
            got=f"{type(error).__name__}: {error}",
            do="a file was changed or cut short: restore it, or train again",
        ) from error


def _read_group(
    parts: list[dict[str, Any]], group: str, known: Mapping[str, type], arrays: Arrays
) -> dict[Any, Any]:
    names = [part["name"] for part in parts]
    if len(set(names)) != len(names) or (group == "columns" and not names):
        raise ValueError(f"no {group}, or one twice")
    return {
        part["name"]: from_stored(known[part["kind"]], part, arrays, f"{group}.{number}.")
        for number, part in enumerate(parts)
    }


def _check_whole(content: Any, arrays: bytes) -> None:
    if not isinstance(content, dict):
        raise TypeError(f"{type(content).__name__} in place of an object")
    rest = {key: value for key, value in content.items() if key != "checksum"}
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}, where {FORMAT} is known")
    if content["checksum"] != _checksum(rest, arrays):
        raise ValueError("the checksum does not fit the content")


def _checksum(written: Any, arrays: bytes) -> str:
    """What tells a changed or half-written encoding from a whole one."""
    return hashlib.sha256(to_json(written, indent=None).encode() + arrays).hexdigest()
