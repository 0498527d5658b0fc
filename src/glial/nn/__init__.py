"""Layers and blocks that torch lacks."""

from glial.nn.activation_guide import ActivationFacts, activation_guide, draw_activation
from glial.nn.activations import ACTIVATIONS, ParametricActivation, Softmax, Step, activation
from glial.nn.association import Association
from glial.nn.attention import Attention, KeysAndValues, MultiHeadAttention
from glial.nn.auxiliary import WithAuxiliary
from glial.nn.blocks import DenseConcatenation, InceptionBlock, ParallelBranches, Residual
from glial.nn.carrying import Carrying
from glial.nn.chains import ChainScores
from glial.nn.characters import CharacterVectors
from glial.nn.convolution import (
    DepthwiseSeparableConv2d,
    SameConv2d,
    conv_output_size,
    same_padding,
)
from glial.nn.dense import BatchNorm, BiasKind, Dense, DenseBlock, NormKind
from glial.nn.initialization import (
    BIAS_INITIALIZATIONS,
    INITIALIZATIONS,
    best_for,
    initialize,
    initialize_bias,
)
from glial.nn.landscape import (
    filter_normalized,
    loss_surface,
    on_plane,
    path_directions,
    random_directions,
)
from glial.nn.map_attention import SpatialAttention, SqueezeExcitation
from glial.nn.memory import remember
from glial.nn.normalization import LocalResponseNorm, PixelNorm
from glial.nn.pooling import (
    AntiAliasedMaxPool2d,
    BlurPool2d,
    GeneralizedMeanPool2d,
    GlobalPool2d,
    L2NormPool2d,
    SpatialPyramidPool,
    Subsample2d,
    SumPool2d,
)
from glial.nn.receptive import ReceptiveField, receptive_field, receptive_field_of
from glial.nn.recurrence import Recurrent, detached, reset
from glial.nn.recurrent import GRU, LSTM, RNN, BidirectionalGRU
from glial.nn.sequence_pooling import SequencePool
from glial.nn.through_time import draw_gradients, gradients_over_time
from glial.nn.tokens import TokenPresence, TokenVectors

__all__ = [
    "ACTIVATIONS",
    "BIAS_INITIALIZATIONS",
    "GRU",
    "INITIALIZATIONS",
    "LSTM",
    "RNN",
    "ActivationFacts",
    "AntiAliasedMaxPool2d",
    "Association",
    "Attention",
    "BatchNorm",
    "BiasKind",
    "BidirectionalGRU",
    "BlurPool2d",
    "Carrying",
    "ChainScores",
    "CharacterVectors",
    "Dense",
    "DenseBlock",
    "DenseConcatenation",
    "DepthwiseSeparableConv2d",
    "GeneralizedMeanPool2d",
    "GlobalPool2d",
    "InceptionBlock",
    "KeysAndValues",
    "L2NormPool2d",
    "LocalResponseNorm",
    "MultiHeadAttention",
    "NormKind",
    "ParallelBranches",
    "ParametricActivation",
    "PixelNorm",
    "ReceptiveField",
    "Recurrent",
    "Residual",
    "SameConv2d",
    "SequencePool",
    "Softmax",
    "SpatialAttention",
    "SpatialPyramidPool",
    "SqueezeExcitation",
    "Step",
    "Subsample2d",
    "SumPool2d",
    "TokenPresence",
    "TokenVectors",
    "WithAuxiliary",
    "activation",
    "activation_guide",
    "best_for",
    "conv_output_size",
    "detached",
    "draw_activation",
    "draw_gradients",
    "filter_normalized",
    "gradients_over_time",
    "initialize",
    "initialize_bias",
    "loss_surface",
    "on_plane",
    "path_directions",
    "random_directions",
    "receptive_field",
    "receptive_field_of",
    "remember",
    "reset",
    "same_padding",
]
