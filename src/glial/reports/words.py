"""What names mean, in plain words: tasks, metrics, quantities, and terms of the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """What a metric is called and means.

    Attributes:
        title: Its name in plain words.
        means: What it is, in one sentence.
        higher: Whether more is better; None where neither is.
        is_share: Whether it is told in percent.

    Example:
        >>> METRICS["accuracy"].title
        'Right answers'
    """

    title: str
    means: str
    higher: bool | None = True
    is_share: bool = False


METRICS = {
    "accuracy": Metric("Right answers", "Share of all answers that are right.", is_share=True),
    "balanced_accuracy": Metric(
        "Right answers, classes alike",
        "Share of right answers within each class, averaged: a rare class counts as much.",
        is_share=True,
    ),
    "f1_macro": Metric(
        "F1, classes alike",
        "Balance of precision and recall within each class, averaged over the classes; 1 is best.",
    ),
    "roc_auc": Metric(
        "Ranking (ROC AUC)",
        "How often a row of a class is scored above a row that is not of it; 0.5 is guessing.",
    ),
    "average_precision": Metric(
        "Average precision",
        "Area under the precision-recall curve; 1 is best, the class's share is guessing.",
    ),
    "log_loss": Metric(
        "Log loss",
        "Mean of minus the logarithm of the probability given to the truth; sure errors cost most.",
        higher=False,
    ),
    "brier_score": Metric(
        "Brier score",
        "Mean squared distance between probabilities and what happened; 0 is best.",
        higher=False,
    ),
    "rmse": Metric(
        "Root mean squared error",
        "Typical size of an error, in the target's unit; large errors count more.",
        higher=False,
    ),
    "mae": Metric(
        "Mean absolute error", "Average size of an error, in the target's unit.", higher=False
    ),
    "median_absolute_error": Metric(
        "Median absolute error", "Half of all errors are smaller than this.", higher=False
    ),
    "r2": Metric(
        "Explained share (R²)",
        "Share of the target's ups and downs that is explained; 0 is always saying the mean.",
    ),
    "mase": Metric(
        "Scaled error (MASE)",
        "Mean error, divided by that of repeating the last season among the rows of training.",
        higher=False,
    ),
    "smape": Metric("sMAPE", "Mean error in percent of the size of the values.", higher=False),
    "perplexity": Metric(
        "Perplexity",
        "Among how many equally likely next tokens the model is left to choose; 1 is best.",
        higher=False,
    ),
    "bleu": Metric("BLEU", "Overlap of words and word groups with the wanted text, 0 to 100."),
    "chrf": Metric("chrF", "Overlap of groups of letters with the wanted text, 0 to 100."),
    "exact_match": Metric("Exact match", "Share of texts written as wanted.", is_share=True),
    "token_accuracy": Metric(
        "Right tokens", "Share of tokens predicted right, given those before.", is_share=True
    ),
    "masked_accuracy": Metric(
        "Hidden tokens found", "Share of hidden tokens that are guessed right.", is_share=True
    ),
    "matthews_corrcoef": Metric(
        "Matthews correlation", "Correlation of answers and truth; 0 is guessing, 1 is best."
    ),
    "hamming_loss": Metric("Wrong labels", "Share of single labels that are wrong.", higher=False),
    "silhouette": Metric(
        "Silhouette", "How much nearer rows are to their own group than to the next; 1 is best."
    ),
    "adjusted_rand_score": Metric(
        "Adjusted Rand index", "Agreement of groups with the known classes; 0 is chance."
    ),
    "f1": Metric("F1", "Balance of precision and recall; 1 is best."),
    "precision": Metric(
        "Precision",
        "Of the rows that were said to be of the class, the share that is.",
        is_share=True,
    ),
    "recall": Metric(
        "Recall", "Of the rows that are of the class, the share that was found.", is_share=True
    ),
    "coverage": Metric(
        "Coverage", "Share of truths inside the interval or set that is given.", None, True
    ),
    "recall_at_1": Metric(
        "Nearest is alike", "Share of rows whose nearest row is of the same class.", is_share=True
    ),
    "reconstruction": Metric("Reconstruction", "How well rows are rebuilt.", None),
}

# The figure that is told first, by task; the first that a run has.
HEADLINES = {
    "classification": ("accuracy", "balanced_accuracy"),
    "multilabel": ("f1_macro", "accuracy", "hamming_loss"),
    "regression": ("mae", "rmse"),
    "forecasting": ("mae", "mase"),
    "tagging": ("f1", "f1_macro", "accuracy"),
    "language-modelling": ("perplexity",),
    "translation": ("bleu", "chrf"),
    "anomaly": ("roc_auc", "f1", "flagged_share"),
    "series-anomaly": ("roc_auc", "f1", "flagged_share"),
    "cluster": ("adjusted_rand_score", "silhouette"),
    "pretrain": ("masked_accuracy",),
    "embedding": ("recall_at_1", "accuracy"),
}

# What a run does, as the end of "was trained to ...".
TASKS = {
    "classification": "tell to which class a row belongs ({target})",
    "multilabel": "tell which labels a row has ({target})",
    "regression": "predict a number ({target})",
    "forecasting": "forecast how a series goes on ({target})",
    "tagging": "label each word or step ({target})",
    "language-modelling": "tell which token of a text comes next",
    "translation": "write one text from another ({target})",
    "embedding": "place rows so that what is alike lies near ({target})",
    "anomaly": "find rows that are unlike the others",
    "series-anomaly": "find moments of a series that are unlike the others",
    "generate": "make up new rows like those it was shown",
    "reduce": "describe each row by a few numbers",
    "cluster": "put rows into groups of like ones",
    "pretrain": "fill in what was hidden, so that others can learn from it",
    "pretext": "answer questions that data asks of itself",
    "word-embedding": "place words so that those of like use lie near",
}

TRIVIAL = {
    "classification": "always saying the class that is commonest among the training rows",
    "regression": "always saying the same number",
    "forecasting": "repeating the last season",
    "language-modelling": "always expecting the commonest tokens",
}

GLOSSARY = {
    "baseline": "What the simplest possible answer scores, such as always the commonest class. A "
    "network that is not better has learnt nothing of use.",
    "calibration": "Whether probabilities hold: of all rows said to be 80 % sure, 80 % are right.",
    "class": "One of the answers that are possible.",
    "confusion matrix": "A table of what was taken for what.",
    "epoch": "One pass over all training rows.",
    "finding": "Something that the doctor thinks somebody should look at: an error breaks "
    "training, a warning makes results worse or misleading, a note costs little.",
    "FLOPs": "Arithmetic operations; a multiplication and an addition count as two.",
    "gradient": "For each weight, how the error changes with it: what a network learns by. Where "
    "it vanishes a layer learns nothing, where it explodes training breaks.",
    "doctor": "The part of Glial that watches a training and says what is wrong with it.",
    "horizon": "How many steps ahead are forecast.",
    "quantiles": "Numbers below which a share of what comes should lie: 0.1 to 0.9 should hold "
    "80 %.",
    "season": "After how many steps a series does the same again, such as a day or a week.",
    "sMAPE": "The mean error in percent of the size of the values, from 0 to 200.",
    "interval": "Where the figure would lie with other rows of the same kind, 95 times in 100.",
    "layer": "One step of a network's arithmetic.",
    "leak": "A column or a copied row that gives the answer away, and will be missing in use.",
    "learning rate": "How large a step each update of the weights takes.",
    "loss": "The number that training makes smaller: how wrong the answers are.",
    "overfitting": "Learning the training rows by heart: their loss falls while that of other "
    "rows rises.",
    "parameter": "One number of a network that training sets; also called a weight.",
    "precision": "Of the rows that were said to be of a class, the share that is.",
    "recall": "Of the rows that are of a class, the share that was found.",
    "ROC curve": "How many true ones are found (up) for how many false alarms (across), over all "
    "thresholds. The diagonal is guessing.",
    "slice": "Rows with something in common.",
    "test rows": "Rows kept back from training altogether; only they tell how good a network is.",
    "validation rows": "Rows kept back to choose when training ends; they flatter a little.",
    "Shapley value": "A fair share of an answer for each cell: what it changes on average, over "
    "all orders in which cells could become known.",
    "attribution": "How much a piece of a row speaks for an answer, or against it.",
}


def metric_title(name: str) -> str:
    """What a metric is called.

    Example:
        >>> metric_title("mae"), metric_title("top_5_accuracy")
        ('Mean absolute error', 'top 5 accuracy')
    """
    return METRICS[name].title if name in METRICS else name.replace("_", " ")


def headline(task: str, metrics: dict[str, float]) -> str | None:
    """The metric that is told first; None where there is none.

    Args:
        task: The task.
        metrics: What was measured.

    Example:
        >>> headline("regression", {"rmse": 1.0, "mae": 0.5})
        'mae'
    """
    named = [name for name in HEADLINES.get(task, ()) if metrics.get(name) is not None]
    numbers = [name for name, value in metrics.items() if value is not None]
    return next(iter([*named, *numbers]), None)
