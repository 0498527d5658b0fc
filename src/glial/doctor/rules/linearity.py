"""Linear layers with nothing between them, which are one linear layer."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LayerSeen, ModelSeen
from glial.doctor.measures import BATCH_NORMS, CONVOLUTIONS, LINEAR, path_in, trained_models

# What changes a layer's scale, and lets it be linear once training is over.
STRAIGHT = (*BATCH_NORMS, "Identity", "Dropout", "Dropout1d", "Dropout2d", "dropout", "batch_norm")


def missing_nonlinearity(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Linear layers that follow each other directly are one linear layer."""
    found = linear_pairs(evidence)
    for model, before, after in sorted(found, key=lambda each: is_factored(*each[1:]))[:1]:
        factored = is_factored(before, after)
        within = [parameter for parameter in model.parameters if parameter.layer == before.name]
        width = min(before.output_shape[-1], after.output_shape[-1])
        yield Finding(
            "missing-nonlinearity",
            "note" if factored else "warning",
            path_in(evidence, model, before.name),
            {"layers": 2, "width": width, "factored": int(factored)},
            f"nothing stands between {before.name or model.name} and "
            f"{after.name or 'the network that follows'}: together they are one linear layer",
            "put an activation such as ReLU between them",
            at=within[0].at if within else None,
            since_step=1,
            source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 6.1",
        )


def linear_pairs(
    evidence: Evidence, takers: int = 1
) -> list[tuple[ModelSeen, LayerSeen, LayerSeen]]:
    """Linear layers that follow each other directly, and the network of the first.

    Args:
        evidence: What was seen.
        takers: How many layers may take what the first one gives.

    Example:
        >>> linear_pairs(Evidence())
        []
    """
    models = {model.name: model for model in trained_models(evidence)}
    viewed = {seen.model for seen in evidence.embeddings}  # they are used by themselves, too
    followed = [m for m in models.values() if m.follows and m.follows[0] not in viewed]
    chains = [(models.get(model.follows[0]), model) for model in followed]
    within = [(m, *pair) for m in models.values() for pair in _linear_pairs(m, takers)]
    return [
        *(each for each in within if each[0].name not in viewed or not _predicts(*each[1:])),
        *((model, *pair) for model, after in chains if model for pair in _joint(model, after)),
    ]


def _predicts(before: LayerSeen, after: LayerSeen) -> bool:
    """Whether layers lie in two parts of a network of views: what is compared, what predicts it.

    The projector of such a network ends with a linear layer, its predictor begins with another,
    and what lies between is compared with the other view.

    Source:
        Chen, He (2021), "Exploring simple Siamese representation learning", CVPR.
    """
    return before.name.partition(".")[0] != after.name.partition(".")[0]


def _joint(model: ModelSeen, after: ModelSeen) -> list[tuple[LayerSeen, LayerSeen]]:
    """The last layer of a network and the first of the one that follows it, if both are linear.

    A code that is narrower than both of its sides is meant so.
    """
    layers, linear = {layer.name: layer for layer in model.layers}, (*LINEAR, *CONVOLUTIONS)
    last = layers.get(after.follows[1])
    while last is not None and last.kind in STRAIGHT:
        last = layers.get(last.after or "")
    if last is None or not after.layers:
        return []
    pair = last, after.layers[0]
    meant = any(layer.kind not in linear for layer in pair) or is_factored(*pair)
    return [] if meant else [pair]


def _linear_pairs(model: ModelSeen, most: int) -> list[tuple[LayerSeen, LayerSeen]]:
    """Linear layers of which only the second, or few, take what the first gives, or scaled."""
    layers = {layer.name: layer for layer in model.layers}
    takers: dict[str, list[LayerSeen]] = {}
    passed: dict[str, set[str]] = {}  # on by layers that change nothing, as around a block
    for layer in model.layers:
        for name, kind in layer.history:
            if kind in (*LINEAR, *CONVOLUTIONS) and name in layers:
                if layer.kind in STRAIGHT:
                    passed.setdefault(name, set()).add(layer.name)
                else:
                    takers.setdefault(name, []).append(layer)
            if kind not in STRAIGHT:
                break
    few = {
        name: several
        for name, several in takers.items()
        if len(several) <= most
        and passed.get(name, set()) <= {before for one in several for before, _ in one.history}
    }
    both = [(layers[name], after) for name, several in few.items() for after in several]
    # Bottlenecks and separable convolutions are what whole families of networks are made of.
    plain = [p for p in both if p[1].kind not in CONVOLUTIONS or not is_factored(*p)]
    return [p for p in plain if p[1].kind in (*LINEAR, *CONVOLUTIONS)]


def is_factored(before: LayerSeen, after: LayerSeen) -> bool:
    """Whether two linear layers are one map of low rank, or separable, as they may be meant.

    Example:
        >>> ends = LayerSeen("0", "Linear", input_shape=[8, 64]), LayerSeen("1", "Linear")
        >>> ends[0].output_shape, ends[1].output_shape = [8, 4], [8, 64]
        >>> is_factored(*ends)
        True
    """
    if before.kind in CONVOLUTIONS or after.kind in CONVOLUTIONS:
        ends = before.input_shape[1], before.output_shape[1], after.output_shape[1]
        grouped = any(layer.settings.get("groups", 1) > 1 for layer in (before, after))
        wide = 1 if all(layer.settings.get("places") == 1 for layer in (before, after)) else 0.5
        return grouped or ends[1] <= min(wide * ends[0], 0.5 * ends[2])
    return before.output_shape[-1] < 0.5 * min(before.input_shape[-1], after.output_shape[-1])
