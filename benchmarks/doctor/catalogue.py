"""The healthy programs: what each one does, and what its arrays are called."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Program:
    """One healthy training script.

    Attributes:
        name: Its file's, without the ending.
        kinds: What it does (``classification``, ``binary``, ``regression``, ``multilabel``,
            ...) and on what: ``flat`` rows of float columns, ``image``, ``rgb``, ``sequence``;
            ``column`` where targets have two axes, ``linear`` where there are no activations.
        arrays: What training inputs, training targets, test inputs and test targets are called,
            once they are tensors on their final scale; "" where there are none.
        needs: Packages that it imports besides torch and scikit-learn.
    """

    name: str
    kinds: tuple[str, ...]
    arrays: tuple[str, str, str, str] = ("", "", "", "")
    needs: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Its script."""
        return FOLDER / f"{self.name}.py"

    @property
    def half(self) -> str:
        """``tune`` or ``report``: fixed by the name alone."""
        return "tune" if hashlib.sha256(self.name.encode()).digest()[0] % 2 else "report"

    @property
    def missing(self) -> list[str]:
        """The packages it needs that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def program(name: str, kinds: str, arrays: str = "", needs: str = "") -> Program:
    """A program, from words; ``-`` is a name that there is none for."""
    names = [("" if name == "-" else name) for name in (arrays or "- - - -").split()]
    one, two, three, four = names
    return Program(name, tuple(kinds.split()), (one, two, three, four), tuple(needs.split()))


PROGRAMS = (
    program("digits_mlp", "classification flat", "X_train y_train X_test y_test"),
    program("wine_functional", "classification flat", "x_tr y_tr x_te y_te"),
    program("cancer_binary", "binary flat column", "f_train t_train f_test t_test"),
    program("diabetes_regression", "regression flat column", "Xtr ytr Xte yte"),
    program("multilabel_tags", "multilabel flat", "x_train y_train x_val y_val"),
    program(
        "digits_cnn", "classification image", "train_images train_labels test_images test_labels"
    ),
    program("digits_cnn_bn", "classification image", "xtrain ytrain xtest ytest"),
    program("gru_signals", "classification sequence", "seq_train lab_train seq_test lab_test"),
    program("char_transformer", "language"),
    program("gan_ring", "adversarial"),
    program("digits_autoencoder", "autoencoder", "train - test -"),
    program("lightning_digits", "classification flat", "X_train y_train X_val y_val", "lightning"),
)
