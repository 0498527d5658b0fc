"""Rows laid out in a plane, or in any few dimensions, so that one can look at them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

LayoutName = Literal["tsne", "pca"]
PERPLEXITY = 30.0


def laid_out(
    vectors: NDArray[Any],
    how: LayoutName = "tsne",
    *,
    dimensions: int = 2,
    perplexity: float = PERPLEXITY,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Vectors in few dimensions, by t-SNE or by principal components.

    t-SNE keeps near what is near, and says nothing by distances between groups or by their sizes;
    it lays out the vectors that it is given, and has no map for others. Principal components keep
    as much of the variance as a linear map can.

    Args:
        vectors: [row, number], of at least 3 rows.
        how: ``tsne`` or ``pca``.
        dimensions: How many; t-SNE of more than 3 takes long.
        perplexity: About how many neighbours t-SNE looks at, cut off at a third of the rows.
        seed: Seed of what is drawn.

    Returns:
        [row, dimension].

    Source:
        van der Maaten, Hinton (2008), "Visualizing data using t-SNE", JMLR 9; Pearson (1901),
        doi:10.1080/14786440109462720; both by scikit-learn.

    Example:
        >>> laid_out(np.eye(4), "pca").shape
        (4, 2)
    """
    if how == "pca":
        from sklearn.decomposition import PCA

        few = min(dimensions, *vectors.shape)
        plane = PCA(n_components=few, random_state=seed).fit_transform(vectors)
        return np.pad(plane, ((0, 0), (0, dimensions - few))).astype(np.float64)
    from sklearn.manifold import TSNE

    near = min(perplexity, max(1.0, (len(vectors) - 1) / 3))
    method = "barnes_hut" if dimensions < 4 else "exact"
    # A start from components needs as many numbers as there are to be dimensions.
    start = "pca" if min(vectors.shape) >= dimensions else "random"
    layout = TSNE(dimensions, perplexity=near, random_state=seed, init=start, method=method)
    return np.asarray(layout.fit_transform(vectors), np.float64)
