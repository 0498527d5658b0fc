"""What leads to what, and the order in which findings are told: causes before what they lead to.

Source:
    The edges are those of the literature below, by problem; where none is named, the edge follows
    from what the problem is (a step never taken changes no weight).

    Bengio, Simard, Frasconi (1994), "Learning long-term dependencies with gradient descent is
    difficult": saturation, vanishing and exploding gradients. LeCun, Bottou, Orr, Müller (1998),
    "Efficient backprop": scales of inputs, targets and first weights, shuffling. Glorot, Bengio
    (2010) and He, Zhang, Ren, Sun (2015, "Delving deep into rectifiers"): first weights,
    saturation, dead units. Pascanu, Mikolov, Bengio (2013), "On the difficulty of training
    recurrent neural networks": explosion and spikes of the loss. Ioffe, Szegedy (2015) and
    Ioffe (2017, "Batch renormalization"): small batches and the statistics of normalisation.
    Lu, Shin, Su, Karniadakis (2020), "Dying ReLU and initialization": dead units and collapse.
    Zhang, Bengio, Hardt, Recht, Vinyals (2017), "Understanding deep learning requires rethinking
    generalization": wrong labels and overfitting. Arjovsky, Bottou (2017), "Towards principled
    methods for training generative adversarial networks": a discriminator that wins, vanishing
    gradients. Kaufman, Rosset, Perlich, Stitelman (2012), "Leakage in data mining": copies,
    groups and times. Micikevicius et al. (2018), "Mixed precision training": updates rounded away.
    Humbatova et al. (2020), "Taxonomy of real faults in deep learning systems"; Wardat, Cruz, Le,
    Rajan (2022), "DeepDiagnosis": faults of programs and what is seen of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from glial.core.findings import SEVERITIES, Finding, Severity
from glial.doctor.problems import PROBLEMS

# What each problem leads to directly. What is not named here leads to nothing else.
LEADS_TO: dict[str, tuple[str, ...]] = {
    # The loop.
    "missing-step": ("untrained-parameters", "loss-not-decreasing"),
    "missing-zero-grad": ("learning-rate-too-high", "exploding-gradient", "loss-oscillating"),
    "wrong-order": ("untrained-parameters", "learning-rate-too-high", "loss-oscillating"),
    "wrong-mode": ("stale-statistics", "cross-sample-leak", "overfitting", "underfitting"),
    "untrained-parameters": ("underfitting", "loss-not-decreasing"),
    "stale-statistics": ("overfitting", "loss-oscillating"),
    # Output and loss.
    "wrong-output-width": ("bad-initial-loss", "saturated-units", "underfitting"),
    "shape-broadcast": ("misaligned-labels", "activation-collapse", "underfitting"),
    "softmax-twice": ("vanishing-gradient", "learning-rate-too-low", "underfitting"),
    "wrong-axis": ("cross-sample-leak", "bad-initial-loss", "underfitting"),
    "wrong-output-activation": (
        "dead-units",
        "saturated-units",
        "vanishing-gradient",
        "activation-collapse",
        "bad-initial-loss",
        "loss-not-finite",
        "underfitting",
    ),
    "wrong-loss": (
        "saturated-units",
        "exploding-gradient",
        "vanishing-gradient",
        "bad-initial-loss",
        "loss-not-finite",
        "underfitting",
    ),
    "wrong-reduction": ("learning-rate-too-high", "bad-initial-loss"),
    # Numbers and their formats.
    "unsafe-numerics": ("exploding-gradient", "loss-spike", "loss-not-finite"),
    "low-precision": ("vanishing-gradient", "learning-rate-too-low", "loss-not-finite"),
    # What the network is shown.
    "target-in-input": ("overfitting",),
    "wrong-target": ("target-in-input", "exploding-gradient", "underfitting"),
    "cross-sample-leak": ("overfitting",),
    "unmasked-padding": ("underfitting",),
    "missing-position": ("underfitting",),
    # Inputs and labels.
    "missing-values": ("unscaled-input", "unscaled-target", "loss-not-finite"),
    "misaligned-labels": ("label-noise", "overfitting", "underfitting"),
    "wrong-layout": ("cross-sample-leak", "underfitting"),
    "unscaled-input": (
        "learning-rate-too-high",
        "learning-rate-too-low",
        "exploding-gradient",
        "dead-units",
        "saturated-units",
        "bad-initial-loss",
    ),
    "unscaled-target": (
        "learning-rate-too-high",
        "learning-rate-too-low",
        "exploding-gradient",
        "dead-units",
        "bad-initial-loss",
    ),
    "constant-input": ("learning-rate-too-low", "activation-collapse", "underfitting"),
    "unshuffled-data": (
        "bad-split",
        "stale-statistics",
        "dead-units",
        "loss-oscillating",
        "loss-spike",
        "underfitting",
    ),
    "harmful-augmentation": (
        "misaligned-labels",
        "label-noise",
        "preprocessing-mismatch",
        "overfitting",
        "underfitting",
    ),
    "label-noise": ("overfitting", "underfitting", "loss-spike"),
    "class-imbalance": ("activation-collapse", "bad-initial-loss", "underfitting"),
    "identical-workers": ("duplicate-samples", "overfitting"),
    "duplicate-samples": ("leakage", "overfitting"),
    "data-drift": ("overfitting",),
    # Splits.
    "bad-split": ("preprocessing-mismatch", "data-drift", "overfitting"),
    "split-groups": ("leakage", "overfitting"),
    "split-times": ("leakage", "data-drift"),
    "preprocessing-mismatch": ("data-drift", "overfitting"),
    # Layers.
    "missing-nonlinearity": ("underfitting",),
    "misplaced-activation": (
        "wrong-mode",
        "dead-units",
        "saturated-units",
        "vanishing-gradient",
        "activation-collapse",
        "bad-initial-loss",
        "underfitting",
    ),
    "redundant-layer": ("vanishing-gradient",),
    # The first weights.
    "symmetric-units": ("vanishing-gradient", "activation-collapse", "underfitting"),
    "bad-initial-scale": (
        "learning-rate-too-high",
        "learning-rate-too-low",
        "exploding-gradient",
        "dead-units",
        "saturated-units",
        "vanishing-gradient",
        "activation-collapse",
        "bad-initial-loss",
    ),
    # Learning rate and optimiser.
    "gradient-ascent": (  # the last three were learned from repairs
        "exploding-gradient",
        "loss-not-decreasing",
        "learning-rate-too-high",
        "players-unbalanced",
        "mode-collapse",
    ),
    "wrong-optimizer-setting": (
        "learning-rate-too-high",
        "learning-rate-too-low",
        "over-regularised",
        "loss-oscillating",
    ),
    "schedule-collapse": ("learning-rate-too-low",),
    "batch-size-unsuitable": (
        "learning-rate-too-high",
        "stale-statistics",
        "undertrained",
        "loss-oscillating",
        "out-of-memory",
    ),
    "learning-rate-too-high": (
        "exploding-gradient",
        "dead-units",
        "saturated-units",
        "underfitting",
        "loss-oscillating",
        "loss-spike",
    ),
    "learning-rate-too-low": ("undertrained",),
    # Activations and gradients.
    "exploding-gradient": (
        "dead-units",
        "saturated-units",
        "loss-spike",
        "loss-oscillating",
        "loss-not-finite",
    ),
    "saturated-units": ("vanishing-gradient",),
    "dead-units": ("vanishing-gradient", "activation-collapse"),
    "vanishing-gradient": ("underfitting",),
    "activation-collapse": ("loss-not-decreasing",),
    # Several networks, and collapse.
    "players-unbalanced": ("mode-collapse", "vanishing-gradient", "loss-oscillating"),
    "mode-collapse": ("loss-oscillating",),
    "posterior-collapse": ("activation-collapse",),
    "representation-collapse": ("activation-collapse",),
    "entropy-collapse": ("underfitting",),
    # Fit.
    "over-regularised": (
        "learning-rate-too-low",
        "dead-units",
        "vanishing-gradient",
        "activation-collapse",
        "underfitting",
    ),
    "undertrained": ("underfitting",),
    "underfitting": ("loss-not-decreasing",),
    # The machine.
    "memory-growth": ("out-of-memory",),
}


def consequences(leads_to: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """All that each problem leads to, directly or through others.

    Args:
        leads_to: What each leads to directly.

    Raises:
        ValueError: If a problem leads back to itself.

    Example:
        >>> sorted(consequences({"a": ["b"], "b": ["c"]})["a"])
        ['b', 'c']
    """
    reached: dict[str, frozenset[str]] = {}
    try:
        # Told that effects come "before" their causes, the sorter gives effects first.
        order = list(TopologicalSorter(leads_to).static_order())
    except CycleError as error:
        raise ValueError(f"what leads to what goes round in a circle: {error.args[1]}") from None
    for name in order:
        direct = leads_to.get(name, ())
        reached[name] = frozenset(direct).union(*(reached[effect] for effect in direct))
    return reached


_CONSEQUENCES = consequences(LEADS_TO)
_POSITIONS = {name: position for position, name in enumerate(PROBLEMS)}
_OF_COLUMNS = {name for name, problem in PROBLEMS.items() if problem.theme in {"data", "splits"}}


def rank(findings: Sequence[Finding], layers: Sequence[str] = ()) -> list[Finding]:
    """Findings in the order in which to look at them, causes before what they lead to.

    A symptom whose cause was found is told in the ``symptoms`` of its causes, and no more by
    itself. A cause that follows from another comes after it. Among those that follow from
    nothing, the severest come first, then those that explain more of what was found, then the
    order of ``PROBLEMS``. Findings of one problem that say to do the same at several layers
    become one, of the first layer; its evidence says at how many ``layers``.

    A cause is as severe as the worst that it leads to. But a note, which costs nothing that was
    measured, explains nothing except notes; and what is wrong with one column explains
    nothing about another.

    Args:
        findings: In any order; it has no influence.
        layers: Names of the layers in the order of their calls; layers that are not among them
            come later, by their names.

    Example:
        >>> dead = Finding("dead-units", "warning", "0", {"share": 0.9}, "It.", "Do.")
        >>> flat = Finding("loss-not-decreasing", "error", None, {}, "It.", "Do.")
        >>> [(f.problem, f.severity, f.symptoms) for f in rank([flat, dead])]
        [('dead-units', 'error', ('loss-not-decreasing',))]
    """

    def place(finding: Finding) -> tuple[object, ...]:
        where = finding.where or ""
        first = layers.index(where) if where in layers else len(layers)
        return first, _in_counting_order(where), repr(finding)

    different = [one for at, one in enumerate(findings) if one not in findings[:at]]
    waiting = _merged(_as_severe_as_effects(sorted(different, key=place)))
    return _causes_first(
        [
            replace(one, symptoms=_symptoms(one, waiting))
            for one in waiting
            if not (_is_symptom(one) and _is_explained(one, waiting))
        ]
    )


def _is_symptom(finding: Finding) -> bool:
    return PROBLEMS[finding.problem].kind == "symptom"


def _explains(one: Finding, other: Finding) -> bool:
    """Whether one may be why there is the other."""
    if other.problem not in _CONSEQUENCES.get(one.problem, ()):
        return False
    if one.severity == "note" and other.severity != "note":
        return False
    columns = one.problem in _OF_COLUMNS and other.problem in _OF_COLUMNS
    return not columns or None in {one.where, other.where} or one.where == other.where


def _is_explained(one: Finding, others: Sequence[Finding]) -> bool:
    return any(_explains(other, one) for other in others)


def _symptoms(one: Finding, others: Sequence[Finding]) -> tuple[str, ...]:
    found = {other.problem for other in others if _is_symptom(other) and _explains(one, other)}
    return tuple(sorted(found | {*one.symptoms}, key=_POSITIONS.__getitem__))


def _as_severe_as_effects(findings: list[Finding]) -> list[Finding]:
    """Each as severe as the worst that it explains."""
    severities: dict[int, Severity] = {}
    effects_first = sorted(
        range(len(findings)), key=lambda at: len(_CONSEQUENCES.get(findings[at].problem, ()))
    )
    for at in effects_first:
        worst = [severities[to] for to in severities if _explains(findings[at], findings[to])]
        severities[at] = min([findings[at].severity, *worst], key=SEVERITIES.index)
    return [replace(one, severity=severities[at]) for at, one in enumerate(findings)]


def _merged(findings: list[Finding]) -> list[Finding]:
    """Findings that tell the same of several layers as one, which stands where the first did."""
    alike: dict[object, list[Finding]] = {}
    for at, one in enumerate(findings):
        of_layer = one.where is not None and one.problem not in _OF_COLUMNS
        alike.setdefault((one.problem, one.severity, one.do) if of_layer else at, []).append(one)
    merged = []
    for first, *others in alike.values():
        together = [first, *others]
        steps = [one.since_step for one in together if one.since_step is not None]
        count = {"layers": len({one.where for one in together})} if others else {}
        merged.append(
            replace(
                first,
                evidence=first.evidence | count,
                since_step=min(steps, default=None),
                symptoms=tuple(dict.fromkeys(name for one in together for name in one.symptoms)),
            )
        )
    return merged


def _causes_first(findings: list[Finding]) -> list[Finding]:
    def importance(one: Finding) -> tuple[int, bool, int, int]:
        follow = {other.problem for other in findings if _explains(one, other)}
        return (
            SEVERITIES.index(one.severity),
            _is_explained(one, findings),
            -len(follow.union(one.symptoms)),
            _POSITIONS[one.problem],
        )

    left, ordered = sorted(findings, key=importance), []
    while left:
        ordered.append(next(one for one in left if not _is_explained(one, left)))
        left.remove(ordered[-1])
    return ordered


def _in_counting_order(name: str) -> list[tuple[int, str]]:
    """A key by which "layer.2" comes before "layer.10"."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
