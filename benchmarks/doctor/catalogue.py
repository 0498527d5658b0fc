"""The healthy programs: what each one does, and what its arrays are called."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "programs"
FAMILIES = {
    "energy-based": {"energy"},
    "generative": {"generative", "adversarial"},
    "autoencoder": {"autoencoder"},
    "reinforcement": {"reinforcement"},
    "unlabelled": {"self-supervised", "clustering", "map", "anomaly"},
}
LAYERS = {
    "transformer": r"Transformer|Attention|attention|BertConfig|GPT2",
    "recurrent": r"GRU|LSTM|RNN|sequence_rnn|text_gru",
    "convolutional": r"Conv|resnet",
}


@dataclass(frozen=True)
class Program:
    """One healthy training script.

    Attributes:
        name: Its file's, without the ending.
        kinds: What it does (``classification``, ``binary`` for one logit, ``regression``,
            ``multilabel``, ...) and on what: ``flat`` rows of float columns, ``image``,
            ``sequence``; ``two`` where there are two classes,
            ``column`` where targets have two axes, ``linear`` where there are no activations.
        arrays: What training inputs, training targets, test inputs and test targets are called,
            once they are arrays on their final scale; "" where there are none.
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
    def family(self) -> str:
        """What networks it trains: by what it does, else by the layers in its text."""
        for family, kinds in FAMILIES.items():
            if kinds & set(self.kinds):
                return family
        text = self.path.read_text()
        return next((name for name, layers in LAYERS.items() if re.search(layers, text)), "dense")

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
    # tables, by class
    program("digits_mlp", "classification flat", "X_train y_train X_test y_test"),
    program("wine_functional", "classification flat", "x_tr y_tr x_te y_te"),
    program("iris_lbfgs", "classification flat", "X_train Y_train X_test Y_test"),
    program("table_onecycle", "classification flat", "x_train y_train x_val y_val"),
    program("moons_tanh", "classification two flat", "train_x train_y test_x test_y"),
    program("digits_residual", "classification flat", "x_fit y_fit x_held y_held"),
    program("wine_dropout", "classification flat", "X_train y_train X_test y_test"),
    program("wine_norm_first", "classification flat", "d_train t_train d_test t_test"),
    program("imbalanced_weights", "classification two flat", "Xa ya Xb yb"),
    program("digits_by_hand", "classification flat", "xa ya xb yb"),
    program("digits_autocast", "classification flat", "X_tr y_tr X_te y_te"),
    program("accumulated_gradients", "classification flat", "X_train y_train X_test y_test"),
    program("transfer_frozen", "classification"),
    program("hinge_margin", "classification flat", "X_train y_train X_test y_test"),
    program("smoothed_cosine", "classification flat", "x_train y_train x_test y_test"),
    program("cross_validation", "classification two flat", "x_train y_train x_test y_test"),
    program("noisy_workers", "classification"),
    program("distillation", "classification flat", "X_train y_train X_test y_test"),
    # tables, one logit or several
    program("cancer_binary", "binary flat column", "f_train t_train f_test t_test"),
    program("logistic_regression", "binary flat column linear", "X_train y_train X_test y_test"),
    program("shop_embeddings", "binary"),
    program("early_stopping", "binary flat", "X_train y_train X_test y_test"),
    program("multilabel_tags", "multilabel flat", "x_train y_train x_val y_val"),
    # tables, numbers
    program("diabetes_regression", "regression flat column", "Xtr ytr Xte yte"),
    program("friedman_huber", "regression flat", "X_train y_train X_test y_test"),
    program("outliers_mae", "regression flat column", "x_train t_train x_test t_test"),
    program("claims_poisson", "regression flat column", "x_train y_train x_test y_test"),
    program("gaussian_nll", "regression flat column", "x_train y_train x_test y_test"),
    program("quantiles", "regression flat column", "f_train t_train f_test t_test"),
    program("sine_full_batch", "regression flat column", "x_train y_train x_test y_test"),
    program("linear_multi_output", "regression flat linear", "X_train Y_train X_test Y_test"),
    program("two_tasks", "multitask"),
    # images
    program(
        "digits_cnn", "classification image", "train_images train_labels test_images test_labels"
    ),
    program("digits_cnn_bn", "classification image", "xtrain ytrain xtest ytest"),
    program(
        "shapes_rgb", "classification image", "images_train labels_train images_test labels_test"
    ),
    program("small_resnet", "classification image"),
    program("segmentation_blobs", "segmentation image", "train_x train_y test_x test_y"),
    program("vit_digits", "classification image", "x_train y_train x_test y_test"),
    program("depthwise_digits", "classification image", "train_x train_y test_x test_y"),
    program("dense_shapes", "classification image"),
    program("unet_cells", "segmentation image", "train_x train_y test_x test_y"),
    program(
        "keypoint_conv", "regression image", "images_train places_train images_test places_test"
    ),
    # inputs as targets
    program("digits_autoencoder", "autoencoder", "train - test -"),
    program("denoising_conv", "autoencoder", "train_images - test_images -"),
    program("digits_vae", "autoencoder generative", "x_train - x_test -"),
    program("conv_vae_blobs", "autoencoder generative", "train - test -"),
    program("vq_digits", "autoencoder generative", "train_images - test_images -"),
    program("masked_patches", "autoencoder", "train - test -"),
    # densities and samples
    program("ddpm_moons", "generative"),
    program("flow_matching", "generative"),
    program("realnvp_rings", "generative", "train - test -"),
    program("made_digits", "generative", "train_data - test_data -"),
    # energies
    program("score_matching", "energy"),
    program("energy_langevin", "energy"),
    program("rbm_contrast", "energy", "train - test -"),
    program("deep_belief", "classification flat energy", "X_train y_train X_test y_test"),
    program("hopfield_bags", "binary energy", "bags_train labels_train bags_test labels_test"),
    # groups, maps and what is odd
    program("deep_clusters", "clustering"),
    program("som_colours", "map"),
    program("svdd_digits", "anomaly", "train - test -"),
    program("anomaly_autoencoder", "anomaly", "x_train - - -"),
    # sequences
    program("gru_signals", "classification sequence", "seq_train lab_train seq_test lab_test"),
    program("lstm_packed", "binary sequence"),
    program("gru_lengths", "classification sequence two"),
    program("padded_transformer", "classification sequence two", "- labels_train - labels_test"),
    program("forecast_conv", "regression column", "past_train future_train past_test future_test"),
    program("char_transformer", "language"),
    program("char_lstm", "language"),
    program("stateful_lm", "language"),
    program("masked_words", "language"),
    program("decoder_copy", "language"),
    program("adding_gru", "regression sequence column", "x_train y_train x_test y_test"),
    program(
        "lstm_forecast", "regression sequence", "past_train future_train past_test future_test"
    ),
    program("tcn_rhythms", "classification sequence", "x_train y_train x_test y_test"),
    program("rnn_names", "classification"),
    program("brackets_encoder", "classification two", "- labels_train - labels_test"),
    program("text_cnn_topics", "classification", "- train_labels - test_labels"),
    program("bilstm_tagger", "tagging"),
    program("ctc_strips", "tagging"),
    program("attention_sorter", "translation", "- target_train - target_test"),
    program("reverse_seq2seq", "translation"),
    # several networks, distances, rewards
    program("gan_ring", "adversarial"),
    program("wgan_penalty", "adversarial"),
    program("conditional_gan", "adversarial"),
    program("siamese_digits", "metric", "x_train y_train x_test y_test"),
    program("triplet_blobs", "metric", "- y_train - y_test"),
    program("infonce_views", "metric"),
    program("rotation_pretext", "self-supervised"),
    program("simsiam_digits", "self-supervised"),
    program("barlow_digits", "self-supervised"),
    program("ranking_pairs", "metric"),
    program("actor_critic", "reinforcement"),
    program("dqn_corridor", "reinforcement"),
    # networks and layers of Glial in plain loops
    program("glial_mlp_cancer", "classification two flat", "X_train y_train X_test y_test"),
    program("glial_resnet_digits", "classification image", "train_x train_y test_x test_y"),
    program("glial_sequence_gestures", "classification sequence", "x_train y_train x_test y_test"),
    program(
        "glial_layers_images",
        "classification image",
        "train_images train_labels test_images test_labels",
    ),
    program("glial_text_reviews", "classification", "- train_labels - test_labels"),
    # other people's loops
    program("lightning_digits", "classification flat", "X_train y_train X_val y_val", "lightning"),
    program(
        "lightning_regression",
        "regression flat column",
        "self.x_train self.y_train self.x_val self.y_val",
        "lightning",
    ),
    program("skorch_classifier", "classification flat", "X_train y_train X_test y_test", "skorch"),
    program(
        "skorch_regressor", "regression flat column", "X_train y_train X_test y_test", "skorch"
    ),
    program("trainer_bert", "classification sequence", needs="transformers accelerate"),
    program("trainer_gpt2", "language", needs="transformers accelerate"),
    program(
        "accelerate_loop", "classification flat", "x_train y_train x_test y_test", "accelerate"
    ),
)
