"""Pure tensor maths that torch lacks."""

from glial.functional.activations import smooth_clip, step
from glial.functional.dropout import dropout, stochastic_depth
from glial.functional.losses import (
    binary_cross_entropy,
    cross_entropy,
    focal,
    half_squared_error,
    huber,
    mean_absolute_error,
    mean_squared_error,
    reduce,
)
from glial.functional.masked import (
    masked_max,
    masked_mean,
    masked_places,
    mean_of_places,
    reversed_within,
)
from glial.functional.measures import activation_shift, largest_curvature
from glial.functional.metric_losses import (
    contrastive,
    cosine_similarities,
    pairwise_distances,
    proxy_anchor,
    proxy_nca,
    triplet,
)
from glial.functional.neighbours import near_copies, nearest, recall_at, retrieval_scores
from glial.functional.pooling import (
    blur_kernel,
    blur_pool2d,
    generalized_mean_pool2d,
    l2_norm_pool2d,
    places_within,
    spatial_pyramid_pool,
    subsample2d,
    sum_pool2d,
)

__all__ = [
    "activation_shift",
    "binary_cross_entropy",
    "blur_kernel",
    "blur_pool2d",
    "contrastive",
    "cosine_similarities",
    "cross_entropy",
    "dropout",
    "focal",
    "generalized_mean_pool2d",
    "half_squared_error",
    "huber",
    "l2_norm_pool2d",
    "largest_curvature",
    "masked_max",
    "masked_mean",
    "masked_places",
    "mean_absolute_error",
    "mean_of_places",
    "mean_squared_error",
    "near_copies",
    "nearest",
    "pairwise_distances",
    "places_within",
    "proxy_anchor",
    "proxy_nca",
    "recall_at",
    "reduce",
    "retrieval_scores",
    "reversed_within",
    "smooth_clip",
    "spatial_pyramid_pool",
    "step",
    "stochastic_depth",
    "subsample2d",
    "sum_pool2d",
    "triplet",
]
