"""Networks, one file per family, and the table of their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from glial.core.errors import InputError
from glial.core.tables import Table
from glial.models.settings import ModelSettings

MODELS = Table(
    "model",
    "models",
    {
        "diffusion": "glial.models.diffusion:DiffusionSettings",
        "flow": "glial.models.flow:FlowSettings",
        "tabular": "glial.models.tabular:TabularSettings",
        "residual_cnn": "glial.models.residual_cnn:ResidualCNNSettings",
        "lenet5": "glial.models.lenet:LeNetSettings",
        "alexnet": "glial.models.alexnet:AlexNetSettings",
        "alexnet_lrn": "glial.models.alexnet:AlexNetLRNSettings",
        "vgg11": "glial.models.vgg:VGGSettings",
        "vgg11_bn": "glial.models.vgg:VGGSettings",
        "vgg13": "glial.models.vgg:VGGSettings",
        "vgg13_bn": "glial.models.vgg:VGGSettings",
        "vgg16": "glial.models.vgg:VGGSettings",
        "vgg16_bn": "glial.models.vgg:VGGSettings",
        "vgg19": "glial.models.vgg:VGGSettings",
        "vgg19_bn": "glial.models.vgg:VGGSettings",
        "googlenet": "glial.models.googlenet:GoogLeNetSettings",
        "inception_v3": "glial.models.inception_v3:InceptionV3Settings",
        "inception_v4": "glial.models.inception_v4:InceptionV4Settings",
        "resnet18": "glial.models.resnet:ResNetSettings",
        "resnet34": "glial.models.resnet:ResNetSettings",
        "resnet50": "glial.models.resnet:ResNetSettings",
        "resnet101": "glial.models.resnet:ResNetSettings",
        "resnet152": "glial.models.resnet:ResNetSettings",
        "resnet20_cifar": "glial.models.resnet_cifar:CifarResNetSettings",
        "resnet32_cifar": "glial.models.resnet_cifar:CifarResNetSettings",
        "resnet44_cifar": "glial.models.resnet_cifar:CifarResNetSettings",
        "resnet56_cifar": "glial.models.resnet_cifar:CifarResNetSettings",
        "resnet110_cifar": "glial.models.resnet_cifar:CifarResNetSettings",
        "densenet121": "glial.models.densenet:DenseNetSettings",
        "densenet169": "glial.models.densenet:DenseNetSettings",
        "densenet201": "glial.models.densenet:DenseNetSettings",
        "mobilenet_v1": "glial.models.mobilenet_v1:MobileNetV1Settings",
        "mobilenet_v2": "glial.models.mobilenet_v2:MobileNetV2Settings",
        "mobilenet_v3_small": "glial.models.mobilenet_v3:MobileNetV3Settings",
        "mobilenet_v3_large": "glial.models.mobilenet_v3:MobileNetV3Settings",
        "efficientnet_lite0": "glial.models.efficientnet_lite:EfficientNetLiteSettings",
        "convnext_tiny": "glial.models.convnext:ConvNeXtSettings",
        "vit_b_16": "glial.models.vit:ViTSettings",
        "mlp": "glial.models.mlp:MLPSettings",
        "kmeans": "glial.models.kmeans:KMeansSettings",
        "hierarchical": "glial.models.hierarchical:HierarchicalSettings",
        "deep_clustering": "glial.models.deep_clustering:DeepClusteringSettings",
        "dbscan": "glial.models.dbscan:DBSCANSettings",
        "pca": "glial.models.pca:PCASettings",
        "tsne": "glial.models.tsne:TSNESettings",
        "matrix_factorization": "glial.models.matrix_factorization:MatrixFactorizationSettings",
        "gan": "glial.models.gan:GANSettings",
        "dcgan": "glial.models.dcgan:DCGANSettings",
        "pix2pix": "glial.models.pix2pix:Pix2PixSettings",
        "cyclegan": "glial.models.cyclegan:CycleGANSettings",
        "bag_of_words": "glial.models.bag_of_words:BagOfWordsSettings",
        "text_cnn": "glial.models.text_cnn:TextCNNSettings",
        "text_gru": "glial.models.text_gru:TextGRUSettings",
        "bert": "glial.models.bert:BertSettings",
        "seq2seq": "glial.models.seq2seq:Seq2SeqSettings",
        "transformer": "glial.models.transformer:TransformerSettings",
        "sequence_rnn": "glial.models.sequence_rnn:SequenceRNNSettings",
        "sequence_transformer": "glial.models.sequence_transformer:SequenceTransformerSettings",
        "sequence_cnn": "glial.models.sequence_cnn:SequenceCNNSettings",
        "gpt2": "glial.models.gpt2:GPT2Settings",
        "lstm_lm": "glial.models.recurrent_lm:RecurrentLMSettings",
        "tagger": "glial.models.tagger:TaggerSettings",
        "word2vec": "glial.models.word2vec:Word2VecSettings",
        "glove": "glial.models.glove:GloVeSettings",
        "fasttext": "glial.models.fasttext:FastTextSettings",
        "mixed": "glial.models.mixed:MixedSettings",
        "forecast_mlp": "glial.models.forecast_mlp:ForecastMLPSettings",
        "forecast_rnn": "glial.models.forecast_rnn:ForecastRNNSettings",
        "forecast_tcn": "glial.models.forecast_tcn:ForecastTCNSettings",
        "vae": "glial.models.vae:VAESettings",
        "vq_vae": "glial.models.vq_vae:VQVAESettings",
        "dbn": "glial.models.dbn:DBNSettings",
        "rbm": "glial.models.rbm:RBMSettings",
        "hopfield": "glial.models.hopfield:HopfieldSettings",
        "boltzmann_machine": "glial.models.boltzmann_machine:BoltzmannMachineSettings",
        "dbm": "glial.models.dbm:DBMSettings",
        "linear": "glial.models.linear:LinearSettings",
        "neuron": "glial.models.neuron:NeuronSettings",
        "perceptron": "glial.models.perceptron:PerceptronSettings",
        "adaline": "glial.models.adaline:AdalineSettings",
        "autoencoder": "glial.models.autoencoder:DenseAutoencoderSettings",
        "rbm_autoencoder": "glial.models.rbm_autoencoder:RBMAutoencoderSettings",
        "conv_autoencoder": "glial.models.conv_autoencoder:ConvAutoencoderSettings",
        "sequence_autoencoder": "glial.models.sequence_autoencoder:SequenceAutoencoderSettings",
        "som": "glial.models.som:SOMSettings",
        "patch_memory": "glial.models.patch_memory:PatchMemorySettings",
        "deep_svdd": "glial.models.deep_svdd:DeepSVDDSettings",
        "one_class": "glial.models.one_class:OneClassSettings",
        "dncnn": "glial.models.dncnn:DnCNNSettings",
    },
)


def build(
    name: str,
    *,
    num_inputs: int = 0,
    num_outputs: int | None = None,
    num_classes: int | None = None,
    cardinalities: Sequence[int] = (),
    images: Sequence[Sequence[int]] = (),
    sequences: Sequence[Sequence[int]] = (),
    vocabularies: Sequence[int] = (),
    words: Sequence[Sequence[int]] = (),
    windows: Mapping[str, int] | None = None,
    **settings: Any,
) -> nn.Module:
    """A network by name: a plain module.

    A network that was published with its sizes needs none: ``build("resnet18")`` is the one of
    1000 classes of ImageNet, with its auxiliary heads where it has them.

    Args:
        name: A name in `MODELS`.
        num_inputs: Numbers in a row.
        num_outputs: Numbers that the head gives for a row.
        num_classes: The same, by another name.
        cardinalities: Number of codes of each category, the unknown bucket included.
        images: [channel, height, width] of each image.
        sequences: [number], how many a step of the sequence has.
        vocabularies: Number of tokens of each text, padding and unknown ones included.
        words: Of each column of words, how many numbers each feature may be.
        windows: ``context``, ``horizon``, ``season`` and ``targets`` of windows of series; then
            ``num_inputs`` counts what is known of each step, and ``num_outputs`` all numbers that
            are forecast.
        settings: The model's own settings, such as ``hidden_sizes=[64]``.

    Returns:
        The network, called with numbers, codes of categories, images, a sequence's steps and
        their number in each row, and texts: those it has.

    Raises:
        InputError: If the name, a setting or a size is wrong.

    Example:
        >>> import torch
        >>> build("mlp", num_inputs=4, num_outputs=3, hidden_sizes=[8])(torch.zeros(1, 4)).shape
        torch.Size([1, 3])
        >>> build("resnet18", num_classes=10).eval()(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """
    kind: type[ModelSettings] = MODELS.resolve(name)
    outputs = num_classes if num_outputs is None else num_outputs
    if outputs is None and getattr(kind, "num_classes", None) is None:
        raise InputError(
            f"the model {name!r} has no number of outputs of its own",
            expected="num_outputs, or num_classes",
            got="neither",
            do=f"build({name!r}, num_outputs=...)",
        )
    others: dict[str, Any] = {
        "images": images,
        "sequences": sequences,
        "vocabularies": vocabularies,
        "words": words,
        "windows": windows,
    }
    sizes = {key: value for key, value in others.items() if value}
    values = {**settings, "name": name} if "name" in kind.model_fields else settings
    read = kind.read(values, where="model")
    return read.build(num_inputs, outputs, cardinalities, **sizes)  # type: ignore[arg-type]


__all__ = ["MODELS", "ModelSettings", "build"]
