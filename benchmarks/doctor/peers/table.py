"""What each tool's rules mean in this project's problems, generously, and how each tool is used.

A rule stands for the problem that its name says and for every cause that its own text names; it
counts as right where any of them is accepted. So a rule "loss does not fall" is right for a rate
that is too low, for frozen weights and for wrong labels alike.
"""

from __future__ import annotations

from typing import NamedTuple

STUCK = (
    *("loss-not-decreasing", "learning-rate-too-low", "untrained-parameters", "missing-step"),
    *("wrong-order", "misaligned-labels", "label-noise", "dead-units", "bad-initial-scale"),
    *("vanishing-gradient", "schedule-collapse", "symmetric-units", "underfitting"),
)
WILD = (
    *("learning-rate-too-high", "exploding-gradient", "loss-spike", "loss-oscillating"),
    *("batch-size-unsuitable", "wrong-optimizer-setting", "unscaled-input", "unshuffled-data"),
)
BROKEN = (
    *("loss-not-finite", "unsafe-numerics", "missing-values", "exploding-gradient"),
    *("learning-rate-too-high", "low-precision", "bad-initial-scale"),
)
CUT = (
    "untrained-parameters",
    "missing-step",
    "dead-units",
    "symmetric-units",
    "learning-rate-too-low",
)
OVERFIT = ("overfitting", "undertrained", "leakage", "bad-split", "wrong-mode")


class Peer(NamedTuple):
    """A tool.

    Attributes:
        version: Of the release that was measured.
        used: How.
        rules: Its rules, and the problems that each stands for; a rule that is missing stands
            for none that the bench plants.
    """

    version: str
    used: str
    rules: dict[str, tuple[str, ...]]


PEERS = {
    "warnings": Peer(
        "torch 2.13.0, Lightning 2.6.6",
        "warnings that torch and the script's trainer give without any tool",
        {
            "Using a target size": ("shape-broadcast", "wrong-output-width"),
            "Detected call of `lr_scheduler.step()`": ("wrong-order", "schedule-collapse"),
            "Initializing zero-element": ("wrong-output-width",),
            "Found * module(s) in eval mode": ("wrong-mode",),
            "Your `val_dataloader`'s sampler has shuffling": ("unshuffled-data",),
            "The 'train_dataloader' does not have many workers": ("data-stall",),
            "`training_step` returned `None`": ("missing-step", "untrained-parameters"),
            "reduction: 'mean' divides": ("wrong-reduction",),
            "Implicit dimension choice": ("wrong-axis",),
            "invalid value encountered": BROKEN,
            "overflow encountered": BROKEN,
            "divide by zero": BROKEN,
        },
    ),
    "mldoct": Peer(
        "1.0.0",
        "`mldoctor check`",
        {
            "missing_zero_grad": ("missing-zero-grad",),
            "missing_eval": ("wrong-mode",),
            "double_softmax": ("softmax-twice",),
            "oom_leak": ("memory-growth", "out-of-memory"),
            "cpu_bottleneck": ("data-stall",),
            "missing_clip": ("exploding-gradient",),
        },
    ),
    "torchfix": Peer("0.7.0", "`torchfix`", {"TOR002": ("untrained-parameters",)}),
    "torchtest": Peer(
        "0.5",
        "`test_suite` on the first batch: variables change, no NaN, no infinity",
        {"vars_change": CUT, "nan": BROKEN, "inf": BROKEN},
    ),
    "torchtest2": Peer(
        "0.1.0",
        "`check_model` on the first batch",
        {
            "forward": ("wrong-layout", "wrong-output-width"),
            "output_finite": BROKEN,
            "output_varies": ("activation-collapse", "dead-units", "constant-input"),
            "eval_determinism": ("wrong-mode", "not-reproducible"),
            "loss": (*BROKEN, "wrong-reduction", "wrong-loss", "wrong-output-width"),
            "initial_loss": (
                *("bad-initial-loss", "bad-initial-scale", "unscaled-input", "leakage"),
                *("wrong-loss", "target-in-input"),
            ),
            "optimizer_coverage": ("untrained-parameters",),
            "gradient_flow": CUT,
            "gradient_magnitude": (*BROKEN, "unscaled-input", "unscaled-target"),
            "params_change": CUT,
            "frozen_params": ("untrained-parameters",),
            "input_dependency": ("untrained-parameters", "constant-input", "missing-position"),
            "batch_independence": ("cross-sample-leak", "wrong-axis", "wrong-layout"),
            "overfit_batch": (
                *(*STUCK, *WILD, "wrong-loss", "wrong-output-activation", "gradient-ascent"),
                *("over-regularised", "softmax-twice", "unscaled-target", "loss-not-finite"),
            ),
        },
    ),
    "torchdiag": Peer(
        "0.1.0",
        "`verify_step` on the first batch; `check_gradients` and `check_dead_neurons` at steps 1, "
        "10, 100, 500, 1000, 2000 and 5000, the latter also at the end",
        {
            "exploding": ("exploding-gradient", "unscaled-input", "unscaled-target"),
            "vanishing": ("vanishing-gradient", "dead-units", "saturated-units"),
            "disconnected": ("untrained-parameters",),
            "dead": ("dead-units", "learning-rate-too-high", "bad-initial-scale", "unscaled-input"),
            "verify_step: Loss": BROKEN,
            "verify_step: None": ("untrained-parameters",),
            "verify_step: No": CUT,
        },
    ),
    "torcheck": Peer(
        "1.0.1",
        "all parameters must change, none may be NaN or infinite; checked after each step until "
        "it raises",
        {
            "should change": (*CUT, "vanishing-gradient", "schedule-collapse"),
            "NaN": BROKEN,
            "inf": BROKEN,
            "no optimizer": ("untrained-parameters",),
        },
    ),
    "torchmortem": Peer(
        "0.1.1",
        "an `Autopsy` with the preset `fast`",
        {
            "Update ratio too low": ("learning-rate-too-low", "schedule-collapse", *CUT),
            "Update ratio too high": ("learning-rate-too-high",),
            "Activation saturation": ("saturated-units", "bad-initial-scale", "unscaled-input"),
            "Dead units": ("dead-units", "learning-rate-too-high", "bad-initial-scale"),
            "High gradient noise (low SNR)": ("batch-size-unsuitable",),
            "Vanishing gradients detected": ("vanishing-gradient", "bad-initial-scale"),
            "Exploding gradients detected": (
                *("exploding-gradient", "learning-rate-too-high", "bad-initial-scale"),
                "unscaled-input",
            ),
            "Gradient stalling": CUT,
            "Weight norm explosion": ("learning-rate-too-high", "over-regularised"),
            "Stagnant weight norms": ("learning-rate-too-low", *CUT),
            "Inter-layer weight norm imbalance": ("bad-initial-scale",),
            "Training divergence detected": (*WILD, *BROKEN, "gradient-ascent"),
            "Loss plateau detected": STUCK,
            "Edge of stability regime detected": ("learning-rate-too-high",),
            "Rank collapse": ("activation-collapse", "symmetric-units", "missing-nonlinearity"),
        },
    ),
    "torch-audit": Peer(
        "0.3.0",
        "`autopatch`, static and initial checks and every twentieth step",
        {
            "TA100": BROKEN,
            "TA102": ("exploding-gradient", "learning-rate-too-high", "unscaled-target"),
            "TA103": ("dead-units",),
            "TA104": ("untrained-parameters", "missing-step"),
            "TA105": ("activation-collapse", "dead-units", "bad-initial-scale", "symmetric-units"),
            "TA301": ("unscaled-input",),
            "TA302": ("constant-input",),
            "TA303": ("wrong-layout",),
            "TA304": ("batch-size-unsuitable",),
            "TA305": ("missing-values", "wrong-layout"),
            "TA400": ("redundant-layer",),
            "TA401": ("wrong-optimizer-setting",),
            "TA402": ("wrong-optimizer-setting", "over-regularised"),
            "TA403": ("wrong-optimizer-setting", "over-regularised"),
            "TA405": ("dead-units", "bad-initial-scale"),
            "TA500": ("untrained-parameters",),
            "TA501": ("untrained-parameters",),
        },
    ),
    "stabilityguard": Peer(
        "0.3.0",
        "`GuardedOptimizer`'s detector on each step, with its defaults, nothing skipped",
        {
            "spike": (*WILD, "label-noise", "unscaled-target"),
            "not finite": BROKEN,
        },
    ),
    "gradsnitch": Peer(
        "0.1.0",
        "`watch(model, optimizer)`, told of each step's loss and of evaluation losses",
        {
            "GS001": BROKEN,
            "GS002": BROKEN,
            "GS003": WILD,
            "GS004": OVERFIT,
            "GS005": STUCK,
            "GS006": (*WILD, "schedule-collapse", "gradient-ascent"),
            "GS007": ("vanishing-gradient", "dead-units", "saturated-units", "bad-initial-scale"),
            "LR too high": ("learning-rate-too-high",),
            "LR too low": ("learning-rate-too-low", *CUT),
            "GS009": WILD,
            "GS010": ("schedule-collapse",),
        },
    ),
    "runmedic": Peer(
        "0.1.1",
        "`runmedic diagnose` on a CSV of step, losses, rate and gradient norm",
        {
            "non_finite": (*BROKEN, "schedule-collapse"),
            "divergence": (*WILD, "gradient-ascent"),
            "loss_spikes": (*WILD, "label-noise", "missing-values"),
            "no_learning": STUCK,
            "overfitting": OVERFIT,
            "val_below_train": ("leakage", "over-regularised", "preprocessing-mismatch"),
            "grad_spikes": WILD,
            "constant_lr_plateau": ("learning-rate-too-high",),
        },
    ),
    "trainspotter": Peer(
        "0.2.6",
        "trainspotter on the same CSV",
        {
            "Diverged": (*WILD, *BROKEN, "gradient-ascent"),
            "Loss spike": (*WILD, "label-noise", "missing-values"),
            "Overfitting onset": OVERFIT,
            "Gradient-norm explosion": WILD,
            "LR discontinuity": ("schedule-collapse",),
            "LR increased after its peak": ("schedule-collapse",),
            "No LR warmup detected": ("learning-rate-too-high",),
            "Plateau": STUCK,
            "Suspiciously low loss early": ("leakage", "target-in-input"),
            "Eval metric too noisy to rank checkpoints": ("bad-split",),
        },
    ),
    "losslint": Peer(
        "0.4.1",
        "`losslint check` on the same CSV",
        {
            "nan_inf": BROKEN,
            "loss_spike": (*WILD, "label-noise"),
            "divergence": (*WILD, "gradient-ascent"),
            "overfit_onset": OVERFIT,
            "stagnation": STUCK,
        },
    ),
    "training-doctor": Peer(
        "0.1.0",
        "`Doctor().log` at each step",
        {
            "Learning rate likely too high": ("learning-rate-too-high",),
            "Learning rate may be too low": ("learning-rate-too-low",),
            "Training plateau detected": STUCK,
            "Early training plateau": STUCK,
            "Overfitting detected": OVERFIT,
            "Unusual train/eval pattern": ("leakage", "preprocessing-mismatch", "wrong-mode"),
            "Gradient instability detected": WILD,
            "Possible mixed precision instability": ("low-precision", "unsafe-numerics"),
        },
    ),
    "arc": Peer(
        "5.2.0.post1",
        "`arc.Controller` before each update, allowed to roll back and to lower the rate",
        {
            "nan_loss": BROKEN,
            "nan_gradients": BROKEN,
            "nan_weights": BROKEN,
            "loss_explosion": (*WILD, "gradient-ascent"),
            "gradient_explosion": (*WILD, "unscaled-target"),
            "lyapunov_divergence": (*WILD, "gradient-ascent"),
            "drift_detected": (*WILD, "gradient-ascent"),
            "weight_sparsity": ("dead-units", "over-regularised"),
            "weight_collapse": ("over-regularised", "symmetric-units"),
        },
    ),
}
# Rules that advise on speed alone are no alarms.
SPEED = {"TA200", "TA201", "TA202", "TA203", "cpu_bottleneck"}


def meant(peer: str, rule: str) -> tuple[str, ...]:
    """The problems that a rule stands for; a warning is known by how it begins."""
    rules = PEERS[peer].rules
    if rule in rules:
        return rules[rule]
    if peer == "warnings":
        return next((ids for start, ids in rules.items() if rule.startswith(start)), ())
    return ()
