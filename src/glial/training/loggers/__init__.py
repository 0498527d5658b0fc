"""Training told to where people already look: TensorBoard, Weights & Biases, MLflow."""

from glial.training.loggers.background import Background
from glial.training.loggers.metric_logger import STATUSES, MetricLogger, Status
from glial.training.loggers.mlflow import MLflowLogger
from glial.training.loggers.reporting import Reporter, check_loggers, metric_names, open_loggers
from glial.training.loggers.table import LOGGERS
from glial.training.loggers.tensorboard import TensorBoardLogger
from glial.training.loggers.wandb import WandbLogger

__all__ = [
    "LOGGERS",
    "STATUSES",
    "Background",
    "MLflowLogger",
    "MetricLogger",
    "Reporter",
    "Status",
    "TensorBoardLogger",
    "WandbLogger",
    "check_loggers",
    "metric_names",
    "open_loggers",
]
