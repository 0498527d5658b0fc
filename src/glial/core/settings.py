"""Typed settings: read from YAML and ``a.b=c``, checked, and written with every default."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from glial.core.errors import InputError, suggest

MAX_YAML_BYTES = 1_000_000
_PATTERN = re.compile(r"\{\w+\}[^\s:#]")
S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of every group of settings: typed, strict, no unknown key, checked when assigned.

    Example:
        >>> class Example(Settings):
        ...     epochs: int = 3
        >>> Example.read({"epochs": 5}).epochs
        5
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, validate_assignment=True, allow_inf_nan=False
    )

    @classmethod
    def read(cls: type[S], values: Mapping[str, Any], *, where: str = "") -> S:
        """Settings from plain values.

        Args:
            values: Keys and values, as YAML or JSON gives them.
            where: Dotted place of these settings in the plan, for messages.

        Raises:
            InputError: If a key is unknown (the nearest is suggested) or a value is wrong.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise _as_input_error(error, cls, where) from error
        except OverflowError as error:
            raise InputError(
                f"a number of {where or 'the settings'} is too large",
                expected="numbers that fit 64 bits",
                got=str(error),
                do="make the number smaller",
            ) from error


def _as_input_error(error: ValidationError, cls: type[BaseModel], where: str) -> InputError:
    items = error.errors()
    first = next((item for item in items if item["type"] == "extra_forbidden"), items[0])
    keys, owner = _known_part(cls, first["loc"])
    path = ".".join([where, *keys] if where else keys) or "the settings"
    if first["type"] == "extra_forbidden":
        known = list(owner.model_fields)
        near = suggest(keys[-1], known)
        return InputError(
            f"unknown key {path!r} in the plan",
            expected=f"one of {', '.join(sorted(known))}" if known else None,
            got=repr(keys[-1]),
            do=f"did you mean {near!r}?" if near else "remove the key",
        )
    # A value that may be one of several kinds is refused once for each of them.
    same = [item for item in items if _known_part(cls, item["loc"])[0] == keys]
    wishes = [item["msg"].removeprefix("Input should be ") for item in same]
    return InputError(
        f"the plan's value of {path!r} is wrong",
        expected="; or ".join(dict.fromkeys(w.removeprefix("Value error, ") for w in wishes)),
        got=_short(first.get("input")),
        do=f"correct {path} in the plan, or with --set {path}=...",
    )


def _known_part(
    cls: type[BaseModel], place: tuple[int | str, ...]
) -> tuple[list[str], type[BaseModel]]:
    """The keys of the plan in pydantic's place of an error, and the settings of the last one.

    Pydantic also names the member of a union that it tried, which the plan's reader never wrote.
    """
    keys: list[str] = []
    for part in place:
        if part == cls.__name__ or str(part).startswith("literal["):
            continue
        field = cls.model_fields.get(str(part))
        keys.append(str(part))
        if field is None:
            break
        inner = _settings_in(field.annotation)
        if inner is None:
            break
        cls = inner
    return keys, cls


def _settings_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_settings_in(item) for item in typing.get_args(annotation))
    return next((found for found in inner if found is not None), None)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


class _Loader(yaml.SafeLoader):
    """YAML's plain values: no tags, no anchors (alias bombs), no key twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.constructor.ConstructorError(
                None, None, "anchors and aliases are not allowed here", event.start_mark
            )
        if getattr(event, "tag", None):
            raise yaml.constructor.ConstructorError(
                None, None, f"the tag {event.tag!r} is not allowed here", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (list, dict)) or key in values:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {_short(key)} stands twice or is none", node.start_mark
                )
            values[key] = self.construct_object(value_node, deep=deep)
        return values


class _Dumper(yaml.SafeDumper):
    """Writes what :class:`_Loader` reads back: no aliases, and text in quotes where it must be."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# YAML 1.1 reads 1e-3 as text, 2024-01-01 as a date, 12:30 as 750, 010 as 8, yes and no as truth
# values; people mean a number, texts, ten, and texts. Text of that kind is still written in
# quotes, for other readers.
_PLAIN = {
    "null": (r"^(~|null|Null|NULL|)$", [*"~nN", ""]),
    "bool": (r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "int": (r"^[-+]?[0-9][0-9_]*$", list("-+0123456789")),
    "float": (
        r"^([-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
}
_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _PLAIN.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first)


def _whole_number(loader: _Loader, node: Any) -> int:
    return int(node.value.replace("_", ""))


def _text(dumper: _Dumper, text: str) -> Any:
    odd_breaks = any(sign in text for sign in "\x85\u2028\u2029")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if odd_breaks else None)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Dumper.add_representer(str, _text)


def parse_yaml(text: str, *, name: str = "the text") -> Any:
    """Plain values from YAML text; tags, anchors and repeated keys are refused.

    Args:
        text: The YAML.
        name: What the text is called in messages.

    Raises:
        InputError: If the text is not YAML of that plain kind.

    Example:
        >>> parse_yaml("lr: 1e-3")
        {'lr': 0.001}
    """
    if len(text) > MAX_YAML_BYTES:
        raise InputError(
            f"{name} is too large",
            expected=f"at most {MAX_YAML_BYTES} characters",
            got=str(len(text)),
            do="a plan is a page of text: check that this is the right file",
        )
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError) as error:
        raise InputError(
            f"{name} is not a plan that can be read",
            expected="plain YAML: no tags, no anchors, no key twice",
            got=" ".join(str(error).split()),
            do="correct the line named",
        ) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        InputError: If the file is missing, is not text, or holds no mapping.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "plan.yaml"
        >>> _ = path.write_text("train: {epochs: 3}")
        >>> read_yaml(path)
        {'train': {'epochs': 3}}
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read",
            expected="a plan: YAML text in UTF-8",
            got=str(error),
            do="check the path, or write a plan with: glial init SOURCE --target COLUMN",
        ) from error
    values = parse_yaml(text, name=str(path))
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(
            f"{path} is not a plan",
            expected="keys and values at the top, such as 'data:'",
            got=type(values).__name__,
            do="write a plan with: glial init SOURCE --target COLUMN",
        )
    return values


def write_yaml(values: Mapping[str, Any]) -> str:
    r"""YAML text of plain values, keys in the order given.

    Example:
        >>> write_yaml({"train": {"lr": 0.001}})
        'train:\n  lr: 0.001\n'
    """
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def override(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested values with dotted keys set.

    Args:
        values: Nested mappings.
        changes: Dotted key to value; a text value is read as YAML, but for one that begins with
            a word in braces and goes on, such as ``{label}_{index}``, which no YAML does.

    Raises:
        InputError: If a dotted key goes through something that has no keys.

    Example:
        >>> override({"train": {"lr": 1.0}}, {"train.lr": "1e-3", "model.name": "mlp"})
        {'train': {'lr': 0.001}, 'model': {'name': 'mlp'}}
    """
    result: dict[str, Any] = {key: _copied(value) for key, value in values.items()}
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        place = result
        for key in path:
            if place.get(key) is None:
                place[key] = {}
            place = place[key]
            if not isinstance(place, dict):
                raise InputError(
                    f"cannot set {dotted!r}",
                    expected="a dotted key of the plan, such as train.lr",
                    got=f"{key!r} has no keys under it",
                    do="see plan.yaml, written by glial init, for every key",
                )
        place[last] = _understood(value, dotted) if isinstance(value, str) else value
    return result


def _understood(value: str, dotted: str) -> Any:
    is_pattern = _PATTERN.match(value) is not None
    return value if is_pattern else parse_yaml(value, name=f"--set {dotted}")


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return value


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values with dotted keys.

    Example:
        >>> flat({"train": {"lr": 0.1}})
        {'train.lr': 0.1}
    """
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result
