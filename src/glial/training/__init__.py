"""The loop, what drives it, and what watches it; it knows no model and no data format."""

from glial.training.averaging import WeightAverage
from glial.training.callbacks import Callback, StepWatch, TrainingView
from glial.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from glial.training.faults import Fault
from glial.training.inference import outputs_of
from glial.training.interrupts import StopRequest, graceful_signals
from glial.training.loop import Loop
from glial.training.objective import Descent, Objective, Watchable
from glial.training.optimizers import make_optimizer, parameter_groups
from glial.training.range_test import RangeTest, lr_range_test, suggest_lr
from glial.training.recovery import Recovery
from glial.training.schedules import Moment, PlateauFactor, make_schedule
from glial.training.settings import TrainSettings

__all__ = [
    "Callback",
    "Descent",
    "Fault",
    "Loop",
    "Moment",
    "Objective",
    "PlateauFactor",
    "Progress",
    "RangeTest",
    "Recovery",
    "StepWatch",
    "StopRequest",
    "TrainSettings",
    "TrainingView",
    "Watchable",
    "WeightAverage",
    "graceful_signals",
    "load_checkpoint",
    "lr_range_test",
    "make_optimizer",
    "make_schedule",
    "outputs_of",
    "parameter_groups",
    "save_checkpoint",
    "suggest_lr",
]
