"""Training rows resampled where classes are of unequal size: repeated, dropped or made anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError
from glial.core.optional import require
from glial.core.seeds import derive_seed, torch_generator
from glial.data.batches import Batch, take
from glial.data.settings import SamplingName

logger = logging.getLogger(__name__)

NEIGHBOURS = 5
# What imbalanced-learn itself asks of the rows around a row that may lie on the border.
SURROUNDING = 10
_WITH_CODES = ("over", "under", "smote")


def resample(rows: Batch, method: SamplingName, *, seed: int) -> Batch:
    """Training rows with classes of like size.

    ``over`` repeats the rows of small classes, ``under`` and ``near_miss`` drop rows of large
    ones; the others make rows up between neighbours of a small class, and ``smote_tomek`` and
    ``smote_enn`` then drop rows that lie among another class. ``none`` and ``weighted``, which
    is drawn anew every epoch, leave the rows as they are.

    Args:
        rows: The encoded training rows; the target holds class indices. Inputs are numbers
            [row, number], and category codes [row, category] where there are any.
        method: How rows are resampled.
        seed: The experiment's seed.

    Raises:
        InputError: If a package is missing, or the method does not suit the rows.

    Source:
        SMOTE: Chawla et al. (2002), arXiv 1106.1813. Borderline: Han et al. (2005),
        doi:10.1007/11538059_91. ADASYN: He et al. (2008), doi:10.1109/IJCNN.2008.4633969. SVM:
        Nguyen et al. (2011), doi:10.1504/IJKESDP.2011.039875. Near miss: Mani and Zhang (2003).
        Tomek links and edited neighbours: Batista et al. (2004), doi:10.1145/1007730.1007735.

    Example:
        >>> rows = Batch((torch.arange(5.0)[:, None],), torch.tensor([0, 0, 0, 0, 1]))
        >>> resample(rows, "over", seed=0).target.bincount().tolist()
        [4, 4]
        >>> resample(rows, "under", seed=0).target.bincount().tolist()
        [1, 1]
    """
    if method in ("none", "weighted"):
        return rows
    if method in ("over", "under"):
        counts = rows.target.bincount()
        size = int(counts.max() if method == "over" else counts[counts > 0].min())
        return take(rows, _evenly(rows.target, size, torch_generator(seed, "sampling")))
    _check(rows, method)
    if method == "near_miss":
        return take(rows, _near_miss(rows))
    return _synthesised(rows, method, seed)


def _evenly(codes: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Row numbers of ``size`` rows of each class, each as often as the others, to within one."""
    index = []
    for code in codes.bincount().nonzero()[:, 0]:
        members = (codes == code).nonzero()[:, 0]
        times, rest = divmod(size, len(members))
        some = torch.randperm(len(members), generator=generator)[:rest]
        index += [members.repeat(times), members[some]]
    return torch.cat(index)


def _check(rows: Batch, method: str) -> None:
    """Refuse what neighbours cannot be found for."""
    first, *others = rows.inputs
    if not first.is_floating_point() or any(part.dtype != torch.int64 for part in others):
        raise InputError(
            f"data.sampling={method} looks for neighbours among numbers and categories",
            expected="rows without texts as tokens and without images",
            got="a column of one of them",
            do="set data.sampling=over, under or weighted",
        )
    if len(rows.inputs) > 1 and method not in _WITH_CODES:
        raise InputError(
            f"data.sampling={method} measures distances, which codes of categories do not have",
            expected=f"inputs that are all numbers, or one of {', '.join(_WITH_CODES)}",
            got="embedded categories",
            do="set data.categories=one-hot, or data.sampling=smote",
        )
    if rows.weight is not None and method != "near_miss":
        raise InputError(
            f"data.sampling={method} makes rows up, which have no weight",
            expected="rows without weights, or over, under, near_miss or weighted",
            got="a column of weights in data.weight",
            do="take data.weight out, or set data.sampling=over",
        )
    if not bool(rows.inputs[0].isfinite().all()):
        raise InputError(
            f"data.sampling={method} measures distances, which missing numbers do not have",
            expected="a number in every cell of the encoded rows",
            got="missing ones",
            do="set data.missing=mean, or data.sampling=over",
        )


def _near_miss(rows: Batch) -> Tensor:
    package = _imblearn("under_sampling")
    counts = rows.target.bincount()
    sampler = package.NearMiss(n_neighbors=_lowered(3, int(counts[counts > 0].min())))
    _fitted(sampler, *_matrix(rows), method="near_miss")
    return torch.from_numpy(np.sort(sampler.sample_indices_))


def _synthesised(rows: Batch, method: str, seed: int) -> Batch:
    counts = rows.target.bincount()
    least = int(counts[counts > 0].min())
    if least < 2:
        raise InputError(
            f"data.sampling={method} makes rows up between two of a class",
            expected="at least two training rows of every class",
            got="a class with one",
            do="set data.sampling=over, or give more rows of this class",
        )
    sampler = _sampler(method, rows, _lowered(NEIGHBOURS, least - 1), seed)
    matrix, codes = _fitted(sampler, *_matrix(rows), method=method)
    lost = set(rows.target.tolist()) - set(codes.tolist())
    if lost:
        raise InputError(
            f"data.sampling={method} dropped every row of a class",
            expected="classes that do not lie wholly among the others",
            got=f"{len(lost)} classes lost",
            do="set data.sampling=smote or over",
        )
    split = rows.inputs[0].shape[1]
    parts = [torch.from_numpy(matrix[:, :split]).float()]
    if len(rows.inputs) > 1:
        parts.append(torch.from_numpy(np.rint(matrix[:, split:]).astype(np.int64)))
    return Batch(tuple(parts), torch.from_numpy(codes))


def _sampler(method: str, rows: Batch, neighbours: int, seed: int) -> Any:
    """The sampler of imbalanced-learn that a method names."""
    over, combine = _imblearn("over_sampling"), _imblearn("combine")
    state = derive_seed(seed, "sampling") % 2**32
    options: dict[str, Any] = {"k_neighbors": neighbours, "random_state": state}
    around = min(SURROUNDING, len(rows.target) - 1)
    numbers = rows.inputs[0].shape[1]
    total = sum(part.shape[1] for part in rows.inputs)

    def smote() -> Any:
        if numbers == 0:
            return over.SMOTEN(**options)
        if total > numbers:
            return over.SMOTENC([*range(numbers, total)], **options)
        return over.SMOTE(**options)

    samplers: dict[str, Callable[[], Any]] = {
        "smote": smote,
        "borderline_smote": lambda: over.BorderlineSMOTE(m_neighbors=around, **options),
        "svm_smote": lambda: over.SVMSMOTE(m_neighbors=around, **options),
        "adasyn": lambda: over.ADASYN(n_neighbors=neighbours, random_state=state),
        "smote_tomek": lambda: combine.SMOTETomek(smote=smote(), random_state=state),
        "smote_enn": lambda: combine.SMOTEENN(smote=smote(), random_state=state),
    }
    return samplers[method]()


def _imblearn(part: str) -> Any:
    return require(f"imblearn.{part}", extra="imbalance", purpose="data.sampling by neighbours")


def _lowered(wanted: int, most: int) -> int:
    """Neighbours to look at: as many as are wanted, or as there are."""
    if most < wanted:
        logger.warning(
            "data.sampling looks at %d neighbours of a row, not %d: the smallest class has no more",
            most,
            wanted,
        )
    return min(wanted, most)


def _matrix(rows: Batch) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Numbers and codes as one matrix, [row, input], and the classes."""
    matrix = torch.cat([part.double() for part in rows.inputs], dim=1)
    return matrix.numpy(), rows.target.numpy()


def _fitted(
    sampler: Any, matrix: NDArray[np.float64], codes: NDArray[np.int64], *, method: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        found, classes = sampler.fit_resample(matrix, codes)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"data.sampling={method} found no rows to make or drop",
            expected="classes that touch, with rows enough around them",
            got=" ".join(str(error).split())[:200],
            do="set data.sampling=smote or over",
        ) from error
    return np.asarray(found, np.float64), np.asarray(classes, np.int64)
