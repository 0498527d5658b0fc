"""From a plan to a run and back: train, save, load, predict, evaluate, compare."""

from glial.runs.augmentation import preview_augmentation
from glial.runs.calibrating import Refitted, calibrate
from glial.runs.comparison import compare
from glial.runs.diagnosing import diagnose
from glial.runs.drafting import draft
from glial.runs.embedding import embed
from glial.runs.generation import generate
from glial.runs.inspection import inspect
from glial.runs.loading import load
from glial.runs.plan import Plan
from glial.runs.prediction import Answered, answer, evaluate, hand_over, predict
from glial.runs.run import Run, TrainingInterrupted
from glial.runs.stylizing import Stylized, stylize
from glial.runs.training import train
from glial.runs.word_vectors import word_vectors

__all__ = [
    "Answered",
    "Plan",
    "Refitted",
    "Run",
    "Stylized",
    "TrainingInterrupted",
    "answer",
    "calibrate",
    "compare",
    "diagnose",
    "draft",
    "embed",
    "evaluate",
    "generate",
    "hand_over",
    "inspect",
    "load",
    "predict",
    "preview_augmentation",
    "stylize",
    "train",
    "word_vectors",
]
