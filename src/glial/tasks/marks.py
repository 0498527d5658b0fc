"""Which values of a column mark anomalies."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.tasks.labels import Labels, LabelType

logger = logging.getLogger(__name__)


class Marks:
    """Which values of a column mark anomalies; those that training never saw do too.

    Args:
        normal: The values of normal rows.
        anomalous: Those of anomalies.
        kind: What they were in the training table.

    Example:
        >>> marks = Marks.of(pl.Series(["ok", "ok", "ok", "broken"]), "auto")
        >>> marks.of_rows(pl.Series(["broken", "ok", "lost"])).tolist()
        [True, False, True]
    """

    def __init__(self, normal: list[str], anomalous: list[str], kind: LabelType) -> None:
        self.normal, self.anomalous, self.kind = list(normal), list(anomalous), kind
        self.labels = Labels([*self.normal, *self.anomalous], kind)

    @classmethod
    def of(cls, column: pl.Series, named: list[str] | Literal["auto"]) -> Marks:
        """What the values of a column say.

        Args:
            column: Of the training rows.
            named: The values that mark anomalies, or ``auto``.

        Raises:
            InputError: If that does not tell normal rows from others.
        """
        labels = Labels.of(column)
        if named != "auto":
            for name in named:
                if name not in labels.names:
                    raise unknown_name("value in task.anomaly_labels", name, labels.names)
            normal = [name for name in labels.names if name not in named]
            if not normal:
                raise InputError(
                    f"every value of {column.name!r} is named as one of anomalies",
                    expected="at least one value of normal rows",
                    got=", ".join(named),
                    do="take it out of task.anomaly_labels",
                )
            return cls(normal, list(named), labels.kind)
        if len(labels.names) > 2:
            raise InputError(
                f"the column {column.name!r} does not say which rows are anomalies",
                expected="two values, of which the rarer marks anomalies",
                got=f"{len(labels.names)} values: {', '.join(labels.names[:10])}",
                do="name those of anomalies, such as --set task.anomaly_labels=[broken]",
            )
        counts = np.bincount(labels.codes(column), minlength=len(labels.names)).tolist()
        if len(counts) == 2 and counts[0] == counts[1]:
            raise InputError(
                f"the two values of {column.name!r} are equally common",
                expected="anomalies to be rarer than normal rows",
                got=f"{counts[0]} rows of each",
                do=f"name one, such as --set task.anomaly_labels=[{labels.names[1]}]",
            )
        rare = int(np.argmin(counts)) if len(counts) == 2 else len(counts)
        anomalous = labels.names[rare : rare + 1]
        normal = [name for name in labels.names if name not in anomalous]
        if anomalous:
            logger.info(
                "%s = %s marks anomalies, the rarer value: %d of %d training rows",
                column.name,
                anomalous[0],
                counts[rare],
                sum(counts),
            )
        return cls(normal, anomalous, labels.kind)

    def of_rows(self, column: pl.Series) -> NDArray[np.bool_]:
        """Which cells mark an anomaly."""
        codes = self.labels.codes(column)
        return np.asarray((codes < 0) | (codes >= len(self.normal)))
