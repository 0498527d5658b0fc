"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from glial.core.errors import InputError


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked of an experiment, beside its source.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_experiment_arguments(parser)
        >>> parser.parse_args(["--target", "y", "--target", "z"]).target
        ['y', 'z']
    """
    add_data_arguments(parser)
    add = parser.add_argument
    add("--model", metavar="M", help="see: glial models")
    add("--weights", metavar="W", help="start from these: imagenet, a file, or a run's folder")
    add("--epochs", type=number(int), metavar="N", help="most passes over the training rows")
    add("--time-limit", type=number(float), metavar="SECONDS", help="most seconds of training")
    add("--set", action="append", default=[], metavar="a.b=c", help="any key of the plan")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked of the data of an experiment: its target and its splits.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_data_arguments(parser)
        >>> parser.parse_args(["--group", "patient"]).group
        'patient'
    """
    add = parser.add_argument
    add("--target", action="append", metavar="COL", help="column to predict; may be repeated")
    add("--task", metavar="T", help="such as regression, embedding or language-modelling")
    add("--val", metavar="FILE", help="validation rows")
    add("--test", metavar="FILE", help="test rows")
    add("--group", metavar="COL", help="equal values of this column stay in one split")
    add("--time", metavar="COL", help="split by the order of this column")
    add("--folds", type=number(int), metavar="K", help="train K networks, cross-validated")
    add("--weight", metavar="COL", help="weights of rows")
    add("--seed", type=number(int), metavar="S", help="seed of everything random (0)")


def number(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of numbers for argparse, with a name that its messages can use.

    Example:
        >>> number(int)("3")
        3
    """

    def parse(text: str) -> Any:
        return kind(text)

    parse.__name__ = "whole number" if kind is int else "number"
    return parse


def experiment_changes(options: argparse.Namespace) -> dict[str, Any]:
    """Dotted keys of the plan that the arguments set; ``--set`` has the last word.

    Raises:
        InputError: If a ``--set`` is not of the form ``key=value``.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_experiment_arguments(parser)
        >>> experiment_changes(parser.parse_args(["--epochs", "3", "--set", "train.lr=1e-3"]))
        {'train.epochs': 3, 'train.lr': '1e-3'}
    """
    target = options.target
    named = {
        "data.target": target[0] if target and len(target) == 1 else target,
        "task.name": options.task,
        "model.name": getattr(options, "model", None),
        "model.weights": getattr(options, "weights", None),
        "train.epochs": getattr(options, "epochs", None),
        "train.time_limit": getattr(options, "time_limit", None),
        "train.seed": options.seed,
        "data.val": options.val,
        "data.test": options.test,
        "data.split.group": options.group,
        "data.split.time": options.time,
        "data.split.folds": options.folds,
        "data.weight": options.weight,
    }
    changes = {key: value for key, value in named.items() if value is not None}
    return changes | set_changes(options.set)


def set_changes(texts: Sequence[str]) -> dict[str, str]:
    """Dotted keys of the plan and their values, from what stands behind ``--set``.

    Args:
        texts: Each of the form ``key=value``.

    Raises:
        InputError: If one is not.

    Example:
        >>> set_changes(["task.beam=8"])
        {'task.beam': '8'}
    """
    changes = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise InputError(
                f"--set {text} cannot be read",
                expected="key=value, such as train.lr=0.001",
                got=repr(text),
                do="write the dotted key, an equals sign and the value",
            )
        changes[key.strip()] = value
    return changes
