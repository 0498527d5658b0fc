"""What verbs that heal share: their arguments, and what they say of what was tried."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from glial.cli.arguments import number
from glial.core.errors import InputError


class HealingOptions(TypedDict, total=False):
    """Whether to heal, and within which budget."""

    heal: bool
    budget: float


def add_healing_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """``--heal`` and ``--budget``.

    Args:
        parser: Of a verb.
        what: What is changed, such as ``the plan``.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_healing_arguments(parser, "the plan")
        >>> parser.parse_args(["--heal"]).budget is None
        True
    """
    change = f"change {what} where the doctor finds something and that helps"
    parser.add_argument("--heal", action="store_true", help=change)
    parser.add_argument(
        "--budget", type=number(float), metavar="N", help="most trainings of healing (8)"
    )


def healing_options(options: argparse.Namespace) -> HealingOptions:
    """What was asked for, as Python takes it.

    Raises:
        InputError: If there is a budget and nothing to spend it on.

    Example:
        >>> healing_options(argparse.Namespace(heal=True, budget=None))
        {'heal': True}
    """
    if options.budget is not None and not options.heal:
        raise InputError(
            "--budget is for healing",
            expected="--budget with --heal",
            got=f"--budget {options.budget:g} alone",
            do="add --heal, or leave --budget out",
        )
    asked: HealingOptions = {"heal": options.heal}
    return asked if options.budget is None else {**asked, "budget": options.budget}


ENDINGS = {
    "healthy": "healing: nothing to mend",
    "not-watched": "healing: nothing was watched, so nothing was tried",
    "no-remedy": "healing: no change is known that could mend what was found",
}


def healing_text(healing: Mapping[str, Any] | None) -> Iterator[str]:
    """What was tried, what it brought, and what was kept.

    Args:
        healing: As in JSON; None where nobody asked for it.

    Example:
        >>> print(*healing_text({"stopped": "healthy", "attempts": []}))
        healing: nothing to mend
    """
    if healing is None:
        return
    tried = [one for one in healing["attempts"] if one["verdict"] != "not-tried"]
    if not tried:
        yield ENDINGS.get(healing["stopped"], "healing: nothing was tried")
        return
    metric, after = healing["metric"], healing["after"]
    before = _score(healing["before"]["mean"])
    yield f"healing, by {metric}{', lower is better' if healing['lower_is_better'] else ''}:"
    for attempt in tried:
        yield f"  {attempt['verdict']}: {attempt['does']} ({attempt['remedy']})"
        yield f"    {_told(attempt)}"
    left = "nothing is kept"
    if after:
        left = f"kept: {', '.join(healing['kept'])}; {metric} {before} -> {_score(after['mean'])}"
    untried = len(healing["attempts"]) - len(tried)
    ending = {
        "budget": f"; {untried} more were not tried within the budget" if untried else "",
        "interrupted": "; interrupted",
    }
    yield (
        f"  {left}; {healing['trainings']:.4g} trainings, of "
        f"which the search took {healing['search_cost']:.2g}{ending.get(healing['stopped'], '')}"
    )


def _told(attempt: Mapping[str, Any]) -> str:
    pairs = [f"{_score(before)} -> {_score(after)}" for _, before, after in attempt["scores"]]
    noise = attempt["noise"]
    against = "" if noise is None else f" (noise {_score(noise)})"
    words = [f"{', '.join(pairs)}{against}"] if pairs else []
    words += [f"gone: {', '.join(attempt['gone'])}"] if attempt["gone"] else []
    words += [f"new: {', '.join(attempt['new'])}"] if attempt["new"] else []
    words += [attempt["why"]] if attempt["why"] else []
    return "; ".join(words) or "there is no score to compare"


def _score(value: float | None) -> str:
    return "none" if value is None or value != value else f"{value:.4g}"
