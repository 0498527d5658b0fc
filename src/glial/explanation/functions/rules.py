"""Readable rules: what a tree says, as if-then sentences in an order, each with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.explanation.functions.games import Bools, Table
from glial.explanation.functions.readable import Feature, as_frame
from glial.explanation.functions.surrogates import Fidelity, Surrogate, fidelity, rightness
from glial.explanation.functions.trees import Step, is_numeric


@dataclass(frozen=True)
class Condition:
    """What a rule asks of one column.

    Attributes:
        feature: The number, or the question about a category.
        low: The number is above this.
        high: And at most this.

    Example:
        >>> str(Condition(Feature("age"), 20.0, 37.5)), str(Condition(Feature("age"), high=37.5))
        ('20 < age <= 37.5', 'age <= 37.5')
        >>> str(Condition(Feature("sex", "category", "male"), high=0.5))
        'sex is not male'
    """

    feature: Feature
    low: float = -np.inf
    high: float = np.inf

    def holds(self, frame: pl.DataFrame) -> Bools:
        """Whether it holds in each row."""
        values = self.feature.values(frame[self.feature.column])
        return np.asarray((values > self.low) & (values <= self.high))

    def __str__(self) -> str:
        name = self.feature.name
        if self.feature.kind != "number":
            return name if self.low >= 0 else name.replace(" is ", " is not ", 1)
        if np.isfinite(self.low) and np.isfinite(self.high):
            return f"{self.low:.10g} < {name} <= {self.high:.10g}"
        return (
            f"{name} <= {self.high:.10g}" if np.isfinite(self.high) else f"{name} > {self.low:.10g}"
        )


@dataclass(frozen=True)
class Rule:
    """If all conditions hold, the answer.

    Attributes:
        conditions: The conditions; none is every other row.
        answer: The class, or the number.
        coverage: Share of held-out rows that no rule before it takes and that meet it.
        fidelity: Share of these to which the network gives the same class; of numbers the root
            mean squared difference from it. NaN where there are none.
        accuracy: The same against what is true; None where that is not known.

    Example:
        >>> str(Rule((Condition(Feature("age"), high=37.5),), "young"))
        'if age <= 37.5 then young'
    """

    conditions: tuple[Condition, ...]
    answer: Any
    coverage: float = np.nan
    fidelity: float = np.nan
    accuracy: float | None = None

    def holds(self, frame: pl.DataFrame) -> Bools:
        """Whether all conditions hold in each row."""
        found = np.ones(frame.height, dtype=np.bool_)
        for condition in self.conditions:
            found &= condition.holds(frame)
        return found

    def __str__(self) -> str:
        answer = f"{self.answer:.4g}" if isinstance(self.answer, float) else str(self.answer)
        if not self.conditions:
            return f"else {answer}"
        excluded: dict[str, list[str]] = {}
        for condition in self.conditions:
            if condition.feature.kind == "category" and condition.low < 0:
                excluded.setdefault(condition.feature.column, []).append(condition.feature.category)
        words = [
            str(c)
            for c in self.conditions
            if c.feature.category not in excluded.get(c.feature.column, [])
        ]
        for column, names in excluded.items():
            words.append(f"{column} is {'none of' if len(names) > 1 else 'not'} {', '.join(names)}")
        return f"if {' and '.join(words)} then {answer}"


@dataclass(frozen=True)
class RuleList:
    """Rules in an order: the first whose conditions hold answers; the last always does.

    Attributes:
        rules: The rules.
        fidelity: How well they say what the network says, on held-out rows.
        accuracy: How well they say what is true there; None where that is not known.
        network_accuracy: How well the network does.

    Example:
        >>> from glial.explanation import fit_surrogate
        >>> rows = np.random.default_rng(0).uniform(size=(400, 2))
        >>> tree = fit_surrogate(lambda x: np.where(x[:, 1] > 0.5, "in", "out"), rows)
        >>> found = extract_rules(tree)
        >>> len(found.rules), found.fidelity.value > 0.95
        (2, True)
    """

    rules: list[Rule]
    fidelity: Fidelity
    accuracy: float | None
    network_accuracy: float | None

    def predict(self, rows: Table) -> NDArray[Any]:
        """What the rules say of rows."""
        return _answers(self.rules, as_frame(rows))

    def table(self) -> pl.DataFrame:
        """A row a rule, in their order."""
        found = [
            {
                "rule": str(rule),
                "coverage": rule.coverage,
                "fidelity": rule.fidelity,
                "accuracy": rule.accuracy,
            }
            for rule in self.rules
        ]
        figures = dict.fromkeys(("coverage", "fidelity", "accuracy"), pl.Float64)
        return pl.DataFrame(found, schema={"rule": pl.String, **figures})

    def to_dict(self) -> dict[str, Any]:
        """The rules and figures as JSON takes them."""
        return {
            "rules": self.table().to_dicts(),
            "fidelity": vars(self.fidelity),
            "accuracy": self.accuracy,
            "network_accuracy": self.network_accuracy,
        }

    def __str__(self) -> str:
        lines = [
            f"{rule}  [covers {rule.coverage:.1%}, fidelity {rule.fidelity:.3g}]"
            for rule in self.rules
        ]
        return "\n".join([*lines, str(self.fidelity)])


def extract_rules(surrogate: Surrogate) -> RuleList:
    """The rules that a tree stands for, made shorter and put in an order.

    Conditions of one column on a path become one. Of classes, each rule then loses the
    conditions without which it is no less often right on the rows that were fitted on; rules are
    chosen one after the other, each time the one that is most often right on the rows left, and a
    last one says the rest; those without which the list is as often right are dropped. Of numbers,
    the leaves' rules stand as they are, the one of most rows first. Figures are those of held-out
    rows.

    Args:
        surrogate: A tree.

    Raises:
        InputError: If the surrogate is no tree.

    Source:
        Quinlan (1987), "Simplifying decision trees", doi:10.1016/S0020-7373(87)80053-6, section
        5; Rivest (1987), "Learning decision lists", doi:10.1007/BF00058680.

    Example:
        >>> from glial.explanation import fit_surrogate
        >>> rows = np.random.default_rng(0).uniform(size=(400, 2))
        >>> tree = fit_surrogate(lambda x: np.where(x[:, 1] > 0.5, "in", "out"), rows)
        >>> found = extract_rules(tree)
        >>> [len(rule.conditions) for rule in found.rules]
        [1, 0]
    """
    if surrogate.tree is None:
        raise InputError(
            "rules are read from a tree", expected="form='tree'", got=f"form={surrogate.form!r}"
        )
    rules = [Rule(_merged(steps), answer) for steps, answer in surrogate.tree.paths()]
    frame, (fitted_told, told) = as_frame(surrogate.fitted), surrogate.told
    if is_numeric(told):
        sizes = [int(rule.holds(frame).sum()) for rule in rules]
        rules = [rules[place] for place in np.argsort(sizes, kind="stable")[::-1]]
        rules[-1] = replace(rules[-1], conditions=())
    else:
        shorter = [_shorter(rule, frame, fitted_told) for rule in rules]
        rules = _fewer(_ordered(shorter, frame, fitted_told), frame, fitted_told)
    held_out, truth = as_frame(surrogate.held_out), surrogate.truth
    said = _answers(rules, held_out)
    return RuleList(
        _judged(rules, held_out, told, None if truth is None else truth[1]),
        fidelity(said, told, fitted_told),
        None if truth is None else rightness(said, truth[1]),
        surrogate.network_accuracy,
    )


def _merged(steps: Sequence[Step]) -> tuple[Condition, ...]:
    """One condition a feature; what a column is makes needless what it is not."""
    found: dict[Feature, Condition] = {}
    for feature, threshold, is_above in steps:
        before = found.get(feature, Condition(feature))
        if is_above:
            found[feature] = replace(before, low=max(before.low, threshold))
        else:
            found[feature] = replace(before, high=min(before.high, threshold))
    settled = {f.column for f, c in found.items() if f.kind == "category" and c.low >= 0}
    return tuple(
        c for f, c in found.items() if f.kind == "number" or f.column not in settled or c.low >= 0
    )


def _shorter(rule: Rule, frame: pl.DataFrame, told: NDArray[Any]) -> Rule:
    """The rule without conditions that make it no more often right."""
    right = told == rule.answer
    held = np.array([condition.holds(frame) for condition in rule.conditions])
    kept = list(range(len(held)))

    def precision(places: list[int]) -> float:
        inside = held[places].all(axis=0)
        return float(right[inside].mean()) if inside.any() else 0.0

    best = precision(kept) if kept else 0.0
    while len(kept) > 1:
        tried = [(precision([p for p in kept if p != place]), place) for place in kept]
        value, place = max(tried)
        if value < best:
            break
        best = value
        kept.remove(place)
    return replace(rule, conditions=tuple(rule.conditions[place] for place in kept))


def _ordered(rules: list[Rule], frame: pl.DataFrame, told: NDArray[Any]) -> list[Rule]:
    """Rules one after the other, each most often right on what is left, and one for the rest."""
    held = {rule: rule.holds(frame) for rule in rules}
    left = np.ones(frame.height, dtype=np.bool_)
    chosen, default = [], _commonest(told)
    while left.any():
        scores = {}
        for rule, inside in held.items():
            taken = told[inside & left]
            if len(taken):  # Laplace's estimate, which trusts many rows more than few
                scores[rule] = (int((taken == rule.answer).sum()) + 1) / (len(taken) + 2)
        if not scores:
            break
        default = _commonest(told[left])
        best = max(scores, key=lambda one: scores[one])
        left &= ~held.pop(best)
        chosen.append(best)
    return [*chosen, Rule((), default)]


def _fewer(rules: list[Rule], frame: pl.DataFrame, told: NDArray[Any]) -> list[Rule]:
    """The rules without those that make the list no more often right, the last ones first."""
    held = {rule: rule.holds(frame) for rule in rules}
    answers = {rule: rule.answer for rule in rules}

    def hits(kept: list[Rule]) -> int:
        first = np.array([held[rule] for rule in kept]).argmax(axis=0)
        said = np.array([answers[rule] for rule in kept])[first]
        return int((said == told).sum())

    best = hits(rules)
    for rule in reversed(rules[:-1]):
        tried = [one for one in rules if one is not rule]
        if hits(tried) >= best:
            rules, best = tried, hits(tried)
    return rules


def _commonest(told: NDArray[Any]) -> Any:
    known, counts = np.unique(told, return_counts=True)
    return known[counts.argmax()]


def _taken(rules: Sequence[Rule], frame: pl.DataFrame) -> NDArray[np.int64]:
    """The number of the rule that answers each row."""
    held = np.array([rule.holds(frame) for rule in rules])
    return np.asarray(held.argmax(axis=0))


def _answers(rules: Sequence[Rule], frame: pl.DataFrame) -> NDArray[Any]:
    return np.array([rule.answer for rule in rules])[_taken(rules, frame)]


def _judged(
    rules: Sequence[Rule], frame: pl.DataFrame, told: NDArray[Any], truth: NDArray[Any] | None
) -> list[Rule]:
    """The rules with their figures on rows."""
    taken = _taken(rules, frame)
    judged = []
    for place, rule in enumerate(rules):
        inside = taken == place
        judged.append(
            replace(
                rule,
                coverage=float(inside.mean()),
                fidelity=_agreement(rule.answer, told[inside]),
                accuracy=None if truth is None else _agreement(rule.answer, truth[inside]),
            )
        )
    return judged


def _agreement(answer: Any, others: NDArray[Any]) -> float:
    if not len(others):
        return float("nan")
    if is_numeric(others):
        return float(np.sqrt(((others - answer) ** 2).mean()))
    return float((others == answer).mean())
