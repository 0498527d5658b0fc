"""The plan's ``data`` part: where rows come from, how they are split and encoded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from glial.core.settings import Settings

Kind = Literal[
    "number", "category", "boolean", "datetime", "text", "identifier", "constant", "empty"
]
Fraction = Annotated[float, Field(ge=0, le=1)]


class SplitSettings(Settings):
    """How rows are divided.

    Attributes:
        method: ``auto`` is by time or group where a column is named, else stratified for
            classes and random for numbers.
        train: Share of rows to fit on.
        val: Share of rows that choose the best epoch; may be 0.
        test: Share of rows that judge the result; may be 0.
        group: Column whose equal values stay in one split.
        time: Column by whose order rows are split, the earliest to train on.

    Example:
        >>> SplitSettings(train=0.8, val=0.1, test=0.1).method
        'auto'
    """

    method: Literal["auto", "random", "stratified", "group", "time"] = "auto"
    train: Annotated[float, Field(gt=0, le=1)] = 0.7
    val: Fraction = 0.15
    test: Fraction = 0.15
    group: str | None = None
    time: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> SplitSettings:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"shares of train, val and test that sum to 1, not {total:g}")
        if self.method in ("group", "time") and getattr(self, self.method) is None:
            raise ValueError(f"a column named in data.split.{self.method}")
        return self


class DataSettings(Settings):
    """Where rows come from, and how columns become numbers.

    Attributes:
        source: A path, glob pattern, data set name, or several paths; None for a table in
            memory.
        target: The column or columns to predict.
        val: File of the validation rows; None keeps rows back.
        test: File of the test rows; None keeps rows back.
        weight: Column of row weights.
        types: Kind of each column; what is left out is inferred.
        scaling: How numbers are scaled; ``auto`` is what suits the model.
        missing: What stands in for a missing number.
        missing_flags: Whether columns with missing cells in training get a flag beside them.
        categories: Whether categories become one-hot numbers or learnt embeddings; ``auto``
            embeds those with more than ``max_one_hot`` values.
        max_categories: The most values of a category that are told apart; the rarest others
            share a bucket.
        min_category_count: Values with fewer training rows share that bucket.
        scale_target: Whether a regression's targets are standardised while they are learnt.
        split: How rows are divided.

    Example:
        >>> DataSettings(source="a.csv", target="y").missing
        'median'
    """

    source: str | list[str] | None = None
    target: str | list[str] | None = None
    val: str | None = None
    test: str | None = None
    weight: str | None = None
    types: dict[str, Kind] = Field(default_factory=dict)
    scaling: Literal["auto", "standard", "robust", "none"] = "auto"
    missing: Literal["mean", "median", "mode"] = "median"
    missing_flags: bool = True
    categories: Literal["auto", "one-hot", "embedding"] = "auto"
    max_one_hot: int = Field(default=8, ge=0)
    max_categories: int = Field(default=1000, ge=2)
    min_category_count: int = Field(default=1, ge=1)
    scale_target: bool = True
    split: SplitSettings = Field(default_factory=SplitSettings)
