"""The plan's ``data`` part: where rows come from, how they are split and encoded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from glial.core.settings import Settings
from glial.data.augmentation.settings import AugmentSettings
from glial.data.images.settings import ImageSettings
from glial.data.names import NamePattern
from glial.data.sensitive import FairnessSettings
from glial.data.sounds.settings import SoundSettings

Kind = Literal[
    "number",
    "category",
    "boolean",
    "datetime",
    "text",
    "image",
    "sound",
    "sequence",
    "words",
    "identifier",
    "constant",
    "empty",
]
# What a tensor that a column has for itself holds.
HeldAs = Literal["image", "sequence", "text", "words"]
ScalingName = Literal["standard", "minmax", "robust", "quantile", "power", "none"]
MissingName = Literal[
    "mean", "median", "mode", "constant", "knn", "iterative", "factorization", "vae", "gan", "mask"
]
CategoriesName = Literal["one-hot", "embedding", "ordinal", "hashing", "target"]
SamplingName = Literal[
    "none",
    "weighted",
    "over",
    "under",
    "near_miss",
    "smote",
    "borderline_smote",
    "svm_smote",
    "adasyn",
    "smote_tomek",
    "smote_enn",
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
        gap: Rows nearer than this to the end of the split before are left out of a split by
            time: in days for dates, else in the column's own unit.
        folds: Number of folds of a cross-validation over all but the test rows; every fold
            trains a network, and their average predicts.
        fold: Which of the folds this run is, from 1; None trains them all.
        seed: What rows are drawn by; None is ``train.seed``. With a seed of its own, trainings with
            other seeds have the same splits.

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
    gap: float = Field(default=0.0, ge=0)
    folds: int | None = Field(default=None, ge=2)
    fold: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _whole(self) -> SplitSettings:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"shares of train, val and test that sum to 1, not {total:g}")
        if self.method in ("group", "time") and getattr(self, self.method) is None:
            raise ValueError(f"a column named in data.split.{self.method}")
        if self.fold is not None and self.fold > (self.folds or 0):
            raise ValueError(f"a fold among data.split.folds, not {self.fold} of {self.folds}")
        if self.gap and self.time is None:
            raise ValueError("a column named in data.split.time, for data.split.gap")
        return self


class ColumnSettings(Settings):
    """What one column does otherwise than the rest; None follows the rest.

    Attributes:
        scaling: How its numbers are scaled.
        missing: What stands in for its missing numbers.
        missing_value: The number that ``missing: constant`` puts there.
        categories: How its categories become numbers.
        order: Its categories from least to most, for ``ordinal``.

    Example:
        >>> ColumnSettings(categories="ordinal", order=["low", "high"]).scaling is None
        True
    """

    scaling: ScalingName | None = None
    missing: MissingName | None = None
    missing_value: float | None = None
    categories: CategoriesName | None = None
    order: list[str] | None = None


class FeatureSettings(Settings):
    """Which inputs are kept, and which are made from others; nothing by default.

    Attributes:
        select: How columns are judged: by mutual information with the target, by the weights
            of an L1-penalised linear model, or by what shuffling one costs a fitted model.
        keep: How many columns are kept, a share of them, or all that beat noise (None).
        polynomial: Degree up to which products of numbers are added; 1 adds none.
        crosses: Sets of columns whose combined values become a category.
        pca: Principal components that replace the numbers: how many, or which share of the
            variance they hold; None leaves the numbers.

    Example:
        >>> FeatureSettings(pca=0.95).polynomial
        1
    """

    select: Literal["none", "mutual_information", "l1", "permutation"] = "none"
    keep: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    polynomial: int = Field(default=1, ge=1, le=5)
    crosses: list[Annotated[list[str], Field(min_length=2)]] = Field(default_factory=list)
    pca: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] | None = None


class DataSettings(Settings):
    """Where rows come from, and how columns become numbers.

    Attributes:
        source: A path, glob pattern, data set name, or several paths; None for a table in
            memory.
        target: The column or columns to predict.
        val: File of the validation rows; None keeps rows back.
        test: File of the test rows; None keeps rows back.
        weight: Column of row weights.
        duplicates: Whether rows that are equal in every column are kept, or one of them.
        types: Kind of each column; what is left out is inferred.
        scaling: How numbers are scaled; ``auto`` is what suits the model.
        missing: What stands in for a missing number.
        missing_value: The number that ``missing: constant`` puts there.
        missing_flags: Whether columns with missing cells in training get a flag beside them.
        missing_categories: Whether a missing category is a value of its own or the commonest.
        imputations: Number of imputed tables, each drawn anew for a network of its own; their
            predictions are averaged.
        imputation: Which of the imputed tables this run is, from 1; None trains them all.
        categories: How categories become inputs; ``auto`` is one-hot, and learnt embeddings
            for those with more than ``max_one_hot`` values.
        max_one_hot: The most values of a category that ``auto`` makes one-hot.
        max_categories: The most values of a category that are told apart; the rarest others
            share a bucket.
        min_category_count: Values with fewer training rows share that bucket.
        hash_size: Numbers that ``categories: hashing`` makes of a column.
        text: Whether text columns become tokens in their order, logarithms of counts of words,
            counts weighed by how rare a word is (tf-idf), or are left aside; ``auto`` is tokens
            for models that read them, else counts.
        max_words: The most words that are counted in a text column.
        images: What images are brought to.
        sounds: What sounds are brought to, and what a network sees of them.
        names: What is in the names of images and sounds: text with names of columns in braces,
            such as ``{digit}_{speaker}_{index}``, with ``/`` between folders. What is neither
            a target nor a group, nor in ``types``, is left aside.
        tokens: What a token is: a word, a character, or a part of a word by byte pairs (``bpe``)
            or by WordPiece; ``auto`` is a word, and a character where most words are rare.
        vocabulary: Whose subwords are taken, rather than those found in the training rows: a run's,
            or those of a published ``vocab.txt``.
        shared_vocabulary: Whether all columns of texts have one vocabulary, so that they can be
            compared.
        max_tokens: The most tokens that are told apart in a text column.
        min_token_count: Tokens that stand fewer times in the training rows are unknown ones.
        max_length: The most tokens of a text that are kept; ``auto`` looks at the texts.
        columns: What single columns do otherwise.
        features: Which inputs are kept, and which are made from others.
        sampling: How training rows, and they alone, are drawn where classes are of unequal size:
            ``weighted`` draws as many with replacement every epoch, each class equally likely;
            ``over`` repeats rows of small classes; ``under`` and ``near_miss`` drop rows of large
            ones; the others make rows up between neighbours of a small class.
        stratified_batches: Whether every batch has the classes in their shares, to within one
            row.
        fairness: Which groups of rows are to be treated alike, and how.
        augment: How training rows, and they alone, are changed at random whenever they are learnt
            from; ``auto`` is what measurably helps on images, and nothing for other rows.
        scale_target: How a regression's targets are scaled while they are learnt; true
            standardises.
        stream: Whether rows are read from their files again and again while training goes on, so
            that they need not fit in memory; ``auto`` does so where they may not.
        buffer_rows: Most rows that are held to be shuffled together while streaming; ``auto``
            is what 128 MB hold of encoded rows, 524,288 at most.
        workers: Threads that read, decode and encode while streaming; ``auto`` is one for each
            processor, four at most. Results do not depend on it.
        split: How rows are divided.

    Example:
        >>> DataSettings(source="a.csv", target="y").missing
        'auto'
    """

    source: str | list[str] | None = None
    target: str | list[str] | None = None
    val: str | None = None
    test: str | None = None
    weight: str | None = None
    duplicates: Literal["keep", "drop"] = "keep"
    types: dict[str, Kind] = Field(default_factory=dict)
    scaling: ScalingName | Literal["auto"] = "auto"
    missing: MissingName | Literal["auto"] = "auto"
    missing_value: float = 0.0
    missing_flags: bool = True
    missing_categories: Literal["category", "mode"] = "category"
    imputations: int = Field(default=1, ge=1)
    imputation: int | None = Field(default=None, ge=1)
    categories: CategoriesName | Literal["auto"] = "auto"
    max_one_hot: int = Field(default=8, ge=0)
    max_categories: int = Field(default=1000, ge=2)
    min_category_count: int = Field(default=1, ge=1)
    hash_size: int = Field(default=32, ge=2)
    text: Literal["auto", "tokens", "counts", "tf-idf", "ignore"] = "auto"
    max_words: int = Field(default=200, ge=1)
    images: ImageSettings = Field(default_factory=ImageSettings)
    sounds: SoundSettings = Field(default_factory=SoundSettings)
    names: str | None = None
    tokens: Literal["auto", "word", "character", "bpe", "wordpiece"] = "auto"
    vocabulary: str | None = None
    shared_vocabulary: bool = False
    max_tokens: int = Field(default=20_000, ge=1)
    min_token_count: int = Field(default=2, ge=1)
    max_length: Annotated[int, Field(ge=2)] | Literal["auto"] = "auto"
    columns: dict[str, ColumnSettings] = Field(default_factory=dict)
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    sampling: SamplingName = "none"
    stratified_batches: bool = False
    fairness: FairnessSettings = Field(default_factory=FairnessSettings)
    augment: AugmentSettings | Literal["auto", "none"] = "auto"
    scale_target: bool | ScalingName = True
    stream: Literal["auto", "always", "never"] = "auto"
    buffer_rows: Annotated[int, Field(ge=2)] | Literal["auto"] = "auto"
    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"
    split: SplitSettings = Field(default_factory=SplitSettings)

    @field_validator("names")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is not None:
            NamePattern.read(value)
        return value

    @model_validator(mode="after")
    def _drawn(self) -> DataSettings:
        if self.imputation is not None and self.imputation > self.imputations:
            raise ValueError(f"an imputation among {self.imputations}, not {self.imputation}")
        return self

    def of(self, column: str) -> ColumnSettings:
        """What holds for one column: its own settings, else those of all columns.

        Args:
            column: Name of the column.

        Returns:
            Settings in which only what is still ``auto`` is None.

        Example:
            >>> DataSettings(missing="mean", columns={"a": {"missing": "mode"}}).of("a").missing
            'mode'
        """
        own = self.columns.get(column, ColumnSettings())
        shared = {
            "scaling": None if self.scaling == "auto" else self.scaling,
            "missing": None if self.missing == "auto" else self.missing,
            "missing_value": self.missing_value,
            "categories": None if self.categories == "auto" else self.categories,
        }
        return own.model_copy(
            update={key: value for key, value in shared.items() if getattr(own, key) is None}
        )
