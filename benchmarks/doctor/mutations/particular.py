"""Faults that only some programs can have: a pattern of their text gives way to another."""

from __future__ import annotations

import re

from doctor.catalogue import Program
from doctor.mutations.operator import Operator, Plant
from doctor.script import Edit, Fault, Script


def reworded(before: str, after: str = "", only: str = "") -> Plant:
    """Every match of a regular expression gives way to a text, in programs of some name."""

    def plant(script: Script, program: Program) -> Fault | None:
        if not re.search(only, program.name):
            return None
        found = list(re.finditer(before, script.text))
        edits = [Edit(*match.span(), match.expand(after)) for match in found]
        return Fault(edits) if edits else None

    return plant


UNBALANCED = ("players-unbalanced", "mode-collapse")
OPERATORS = (
    # sequences
    Operator(
        "batch-first-missing",
        ("wrong-axis", "wrong-layout", "cross-sample-leak"),
        reworded(r"(nn\.(?:GRU|LSTM)\(.*), batch_first=True", r"\1", "gru|char_lstm|bilstm"),
    ),
    Operator(
        "no-causal-mask",
        ("target-in-input",),
        reworded(r"(\n *)att = att\.masked_fill\([^\n]*|, tgt_mask=mask|, attn_mask=mask"),
    ),
    Operator(
        "no-positions",
        ("missing-position",),
        reworded(
            r" \+ self\.(?:position|places|pos)\((?:[^()]|\([^()]*\))*\)"
            r"| \+ self\.(?:position|pos|table)\b(?!\()"
        ),
    ),
    Operator(
        "decoder-not-shifted",
        ("target-in-input",),
        reworded(r"decoder_input = .*", "decoder_input = target"),
    ),
    Operator(
        "target-is-input",
        ("target-in-input", "wrong-target"),
        reworded(r"source\[i \+ 1 : i \+ block_size \+ 1\]", "source[i : i + block_size]"),
    ),
    Operator(
        "target-too-far",
        ("wrong-target",),
        reworded(r"source\[i \+ 1 : i \+ block_size \+ 1\]", "source[i + 2 : i + block_size + 2]"),
    ),
    Operator(
        "attention-over-queries",
        ("wrong-axis", "target-in-input"),
        reworded(r"att\.softmax\(dim=-1\)", "att.softmax(dim=-2)"),
    ),
    Operator(
        "attention-unscaled",
        ("saturated-units", "bad-initial-scale"),
        reworded(r"/ math\.sqrt\(q\.shape\[-1\]\)", "* 100"),
    ),
    Operator(
        "padding-attended",
        ("unmasked-padding",),
        reworded(r", src_key_padding_mask=padding"),
    ),
    Operator(
        "padding-averaged",
        ("unmasked-padding",),
        reworded(r"x = x\.masked_fill\(padding.*", "x = x.mean(1)"),
    ),
    Operator(
        "padding-read",
        ("unmasked-padding",),
        reworded(r"packed = pack_padded_sequence\((.*), lengths.*", r"packed = \1"),
    ),
    # adversarial
    Operator(
        "generator-slow",
        (*UNBALANCED, "learning-rate-too-low"),
        reworded(r"(g_opt|optG)( = .*lr=)1e-3", r"\1\g<2>1e-6"),
    ),
    Operator(
        "discriminator-slow",
        (*UNBALANCED, "learning-rate-too-low"),
        reworded(r"(d_opt|optC|optD)( = .*lr=)2e-3", r"\1\g<2>2e-6"),
    ),
    Operator(
        "discriminator-fast",
        (*UNBALANCED, "learning-rate-too-high"),
        reworded(r"(d_opt|optC|optD)( = .*lr=)2e-3", r"\1\g<2>2e-1"),
    ),
    Operator(
        "no-penalty",
        UNBALANCED,
        reworded(r" \+ 0\.1 \* slope\.pow\(2\)\.sum\(1\)\.mean\(\)| \+ penalty"),
    ),
    Operator(
        "generator-detached",
        ("untrained-parameters",),
        reworded(
            r"((?:discriminator|C)\((?:generator|G)\(torch\.randn\([^()]*\)\)"
            r"|\bmade = G\(torch\.randn\([^()]*\), c\))",
            r"\1.detach()",
        ),
    ),
    Operator(
        "generator-reversed",
        ("gradient-ascent", "wrong-loss"),
        reworded(r"(g_loss = F\.softplus\(|loss_g = )-", r"\1"),
    ),
    Operator(
        "generator-wants-zeros",
        ("gradient-ascent", "wrong-loss", "wrong-target"),
        reworded(r"criterion\(D\(made, c\), torch\.ones", "criterion(D(made, c), torch.zeros"),
    ),
    # densities, energies, views
    Operator(
        "noise-not-target",
        ("wrong-target", "wrong-loss"),
        reworded(r"\(model\(noisy, t\) - noise\)", "(model(noisy, t) - batch)"),
    ),
    Operator(
        "velocity-reversed",
        ("wrong-target", "wrong-loss", "gradient-ascent"),
        reworded(r"- \(x1 - x0\)", "- (x0 - x1)"),
    ),
    Operator(
        "volume-forgotten",
        ("wrong-loss",),
        reworded(r"total = total \+ log_det", "total = total + 0 * log_det"),
    ),
    Operator(
        "pixel-sees-itself",
        ("target-in-input",),
        reworded(r"order\[:, None\] > degree\[None\]", "order[:, None] >= degree[None]"),
    ),
    Operator(
        "energies-swapped",
        ("gradient-ascent", "wrong-loss"),
        reworded(
            r"(e_positive|rbm\.free_energy\(v\))\.mean\(\) - "
            r"(e_negative|rbm\.free_energy\(v_model\))\.mean\(\)",
            r"\2.mean() - \1.mean()",
        ),
    ),
    Operator(
        "book-untrained",
        ("untrained-parameters",),
        reworded(r"F\.mse_loss\(rebuilt, batch\) \+ codebook_loss", "F.mse_loss(rebuilt, batch)"),
    ),
    Operator(
        "views-pull-each-other",
        ("representation-collapse",),
        reworded(r"z1\.detach\(\), z2\.detach\(\)", "z1, z2"),
    ),
    Operator(
        "features-may-repeat",
        ("representation-collapse",),
        reworded(r" \+ 0\.02 \* off_diagonal"),
    ),
    Operator(
        "centre-of-batch",
        ("representation-collapse", "activation-collapse"),
        reworded(r"net\(batch\) - centre\b", "net(batch) - net(batch).mean(0)"),
    ),
    # rewards
    Operator("bootstraps-past-the-end", ("wrong-target",), reworded(r" \* \(1 - bd\.float\(\)\)")),
    Operator(
        "policy-reversed",
        ("gradient-ascent",),
        reworded(r"policy_loss = -\(", "policy_loss = ("),
    ),
    Operator(
        "entropy-bonus-huge",
        ("over-regularised", "entropy-collapse"),
        reworded(r"- 0\.01 \* distribution", "- 10.0 * distribution"),
    ),
    # distances and likelihoods
    Operator(
        "normalised-over-rows",
        ("wrong-axis", "cross-sample-leak"),
        reworded(r"(F\.normalize\(.*, dim=)1", r"\g<1>0"),
    ),
    Operator(
        "distance-by-hand",
        ("unsafe-numerics", "loss-not-finite"),
        reworded(
            r"torch\.nn\.functional\.pairwise_distance\(net\(a\), net\(b\)\)",
            "(net(a) - net(b)).pow(2).sum(1).sqrt()",
        ),
    ),
    Operator(
        "divergence-huge",
        ("over-regularised", "posterior-collapse"),
        reworded(r"(\(bce|rec) \+ (kld|beta \* kl\b)", r"\1 + 100 * \2"),
    ),
    Operator(
        "variance-unbounded",
        ("unsafe-numerics", "wrong-output-activation"),
        reworded(r"self\.log_var\(h\)\.exp\(\)", "self.log_var(h)"),
    ),
    Operator(
        "rate-unbounded",
        ("unsafe-numerics", "wrong-output-activation", "loss-not-finite"),
        reworded(r"log_input=True", "log_input=False"),
    ),
    Operator(
        "rebuilds-other-scale",
        ("unscaled-target", "wrong-output-activation"),
        reworded(r"mse_loss\(rebuilt, batch\)", "mse_loss(rebuilt, batch * 16)"),
    ),
    # data
    Operator(
        "channels-scrambled",
        ("wrong-layout",),
        reworded(r"\.permute\(0, 3, 1, 2\)", ".reshape(-1, 3, 16, 16)"),
    ),
    Operator(
        "workers-identical",
        ("identical-workers",),
        reworded(r"\n *worker_init_fn=reseed,"),
        visible=False,
    ),
    Operator(
        "labels-random",
        ("misaligned-labels", "label-noise"),
        reworded(r"torch\.tensor\(label\)", "torch.tensor(int(rng.integers(2)))"),
    ),
    Operator(
        "weights-left-out",
        ("class-imbalance",),
        reworded(r"weight=counts\.sum\(\) / \(2 \* counts\)"),
    ),
    # loops
    Operator(
        "stops-at-once",
        ("undertrained",),
        reworded(r"None, 0, 8\n", "None, 0, 0\n"),
    ),
    Operator(
        "own-rate-high",
        ("learning-rate-too-high", "exploding-gradient"),
        reworded(r"\nlr = 0\.3", "\nlr = 30.0"),
    ),
    Operator("own-rate-low", ("learning-rate-too-low",), reworded(r"\nlr = 0\.3", "\nlr = 3e-5")),
    Operator("own-sign", ("gradient-ascent",), reworded(r"p -= lr \* dp", "p += lr * dp")),
    Operator(
        "own-weights-large",
        ("bad-initial-scale", "exploding-gradient", "saturated-units"),
        reworded(r"\* \(2 / 64\) \*\* 0\.5", "* 20"),
    ),
    # other people's loops
    Operator(
        "warm-up-too-long",
        ("schedule-collapse", "learning-rate-too-low"),
        reworded(r"warmup_steps=10\b", "warmup_steps=100_000"),
    ),
    Operator(
        "labels-shifted-twice",
        ("wrong-target",),
        reworded(r"r\.clone\(\)", "r.roll(-1)"),
    ),
    Operator(
        "probabilities-expected",
        ("wrong-output-activation", "wrong-loss", "unsafe-numerics", "loss-not-finite"),
        reworded(r"\n    criterion=nn\.CrossEntropyLoss,"),
    ),
)
