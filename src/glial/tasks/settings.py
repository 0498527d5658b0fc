"""The plan's ``task`` part: what is to be learnt and what counts as an error."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from glial.core.settings import Settings

TaskName = Literal[
    "auto",
    "classification",
    "multilabel",
    "regression",
    "embedding",
    "tagging",
    "translation",
    "language-modelling",
    "forecasting",
    "generate",
    "reduce",
    "cluster",
    "pretrain",
    "anomaly",
]
LossName = Literal[
    "auto",
    "cross_entropy",
    "focal",
    "mean_squared_error",
    "half_squared_error",
    "mean_absolute_error",
    "huber",
    "contrastive",
    "triplet",
    "proxy",
    "quantile",
    "custom",
]


ThresholdName = Literal[
    "accuracy", "balanced_accuracy", "f1", "f1_macro", "precision", "recall", "matthews_corrcoef"
]
PretextName = Literal["auto", "rotation", "jigsaw", "inpainting", "masked", "simclr", "vicreg"]
CalibrationName = Literal["temperature", "platt", "isotonic", "vector"]


class TaskSettings(Settings):
    """What is learnt.

    Attributes:
        name: The task; ``auto`` reads it off the target.
        loss: What training makes small.
        class_weights: Weight of each class in the loss; ``balanced`` makes all count alike.
        label_smoothing: Share of each target that is spread over all classes.
        focal_gamma: How strongly focal loss turns from rows that are right already.
        huber_delta: Error, in units of the scaled target, above which Huber's loss is linear.
        output_range: Ends that a regression's predictions never leave.
        threshold: The least probability at which the positive class (each label, of several)
            is predicted, or the metric for which it is tuned on the validation rows; of more
            than two classes each has one, which its probability is divided by. None takes the
            likeliest.
        calibration: What makes probabilities say how often they are right, fitted on the
            validation rows before thresholds are.
        coverage: How often sets of classes, or intervals of numbers, are to hold the truth; None
            makes none.
        conformal: Which sets: ``lac`` has the smallest, ``aps`` and ``raps`` larger ones where
            rows are hard.
        refuse: Share of the rows that are refused, the least sure ones; with a risk, the largest.
        risk: The error rate that answered rows may have; as few as possible are refused for it.
        costs: What predicting one class costs where another is true, ``{true: {predicted:
            cost}}``; left out are 0 for the right class and 1 for another.
        cost_use: Whether costs decide what is predicted, or weigh the rows in training.
        embedding_size: Numbers of an embedding.
        margin: By how much rows of other classes are to be farther away, where the loss has a
            margin; None is 0.5 for ``contrastive``, 0.2 for ``triplet`` and 0 for ``proxy``, in
            units of vectors of length 1.
        mining: Which triplets of a batch are learnt from: the hardest of each row, or for each
            pair of a class one that is wrong by little.
        temperature: What the similarities of a ``proxy`` loss are divided by.
        rows_per_class: Rows of one class that stand in a batch together; None is 4 for losses of
            pairs and triplets, and no matter for ``proxy``.
        beam: Prefixes that are kept while a text is written; 1 takes the likeliest token each time.
        length_penalty: 0 orders written texts by likelihood; above, longer ones count for more.
        best: Texts that are written for each row, at most ``beam``.
        horizon: Steps that are forecast at once; ``auto`` is the fewest whole seasons of at least
            six steps, 48 steps at most.
        context: Steps that a forecast looks back on; ``auto`` is a few seasons.
        season: Steps of a season, 1 for none; ``auto`` asks the calendar, or the values.
        quantiles: Shares of what may come, each with a forecast that so much lies below.
        strategy: Whether all steps of the horizon are forecast at once, or one, which is then taken
            for known to forecast the next. Quantiles of the latter are those of one step each.
        known: Columns that are known in advance; ``auto`` takes all but those that lack values
            where the target does.
        transform: Whether the logarithms of values are learnt; ``auto`` does so where positive
            values swing the more the higher they are.
        window_scale: Whether a window's values are in units of how much all of its series' past
            changes from season to season, or its context alone.
        pretext: What images or rows of a table are asked about themselves; ``auto`` is ``simclr``
            for images and ``masked`` for tables.
        pretext_options: Numbers of the pretext: ``temperature``, ``size`` of projected vectors,
            ``strength`` of views of images, ``share`` of what is hidden.
        stride: Steps from one moment that is forecast from to the next where forecasts are judged;
            ``auto`` is 1, and more where that would be over 200 moments a series.
        anomaly_threshold: The score above which a row is an anomaly: a number, or how it is told
            from rows that were not learnt from: ``quantile`` and ``extreme`` flag a share of normal
            ones, ``labels`` has the largest F1 on marked ones.
        anomaly_share: That share.
        anomaly_labels: The target's values that mark anomalies; ``auto`` is the rarer of two.
        anomaly_adapts: Whether what errors of series are held against goes on being learnt from
            the steps that are scored.

    Example:
        >>> TaskSettings().loss
        'auto'
    """

    name: TaskName = "auto"
    loss: LossName = "auto"
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[float, Field(ge=0)]] = "none"
    label_smoothing: float | None = Field(default=None, ge=0, lt=1)
    focal_gamma: float = Field(default=2.0, ge=0)
    huber_delta: float = Field(default=1.0, gt=0)
    output_range: list[float] | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] | ThresholdName | None = None
    calibration: Literal["none"] | CalibrationName = "none"
    coverage: Annotated[float, Field(gt=0, lt=1)] | None = None
    conformal: Literal["lac", "aps", "raps"] = "lac"
    refuse: Annotated[float, Field(gt=0, lt=1)] | None = None
    risk: Annotated[float, Field(gt=0, lt=1)] | None = None
    costs: dict[str, dict[str, Annotated[float, Field(ge=0)]]] | None = None
    cost_use: Literal["decision", "training"] = "decision"
    embedding_size: int = Field(default=64, ge=2)
    margin: Annotated[float, Field(gt=0, le=2)] | None = None
    mining: Literal["hard", "semi_hard"] = "semi_hard"
    temperature: float = Field(default=0.1, gt=0)
    rows_per_class: Annotated[int, Field(ge=1)] | None = None
    pretext: PretextName = "auto"
    pretext_options: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    beam: int = Field(default=4, ge=1)
    length_penalty: float = Field(default=0.6, ge=0)
    best: int = Field(default=1, ge=1)
    horizon: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    context: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    season: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default=[0.1, 0.5, 0.9], min_length=1
    )
    strategy: Literal["direct", "recursive"] = "direct"
    known: list[str] | Literal["auto"] = "auto"
    transform: Literal["auto", "none", "log"] = "auto"
    window_scale: Literal["series", "window"] = "series"
    stride: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    anomaly_threshold: float | Literal["quantile", "extreme", "labels"] = "quantile"
    anomaly_share: float = Field(default=0.01, gt=0, lt=1)
    anomaly_labels: list[str] | Literal["auto"] = "auto"
    anomaly_adapts: bool = True

    @property
    def chooses(self) -> list[str]:
        """The settings that choose by validation rows what is said."""
        asked = {
            f"task.calibration={self.calibration}": self.calibration != "none",
            f"task.threshold={self.threshold}": isinstance(self.threshold, str),
        }
        return [key for key, is_asked in asked.items() if is_asked]

    @property
    def promises(self) -> list[str]:
        """The settings that promise by validation rows how often what is said is right."""
        asked = {"coverage": self.coverage, "risk": self.risk}
        return [f"task.{key}={value}" for key, value in asked.items() if value is not None]

    @property
    def fitted_later(self) -> list[str]:
        """The settings that ask for something which is fitted on validation rows."""
        refused = [] if self.refuse is None else [f"task.refuse={self.refuse}"]
        return [*self.chooses, *self.promises, *refused]

    @field_validator("quantiles")
    @classmethod
    def _distinct(cls, value: list[float]) -> list[float]:
        if len(set(value)) != len(value):
            raise ValueError("each quantile once")
        return value

    @field_validator("output_range")
    @classmethod
    def _two_ends(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and (len(value) != 2 or value[0] >= value[1]):
            raise ValueError("two numbers, the lower end first, such as [0, 100]")
        return value
