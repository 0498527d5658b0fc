"""The table of loggers."""

from glial.core.tables import Table

LOGGERS = Table(
    "logger",
    "loggers",
    {
        "mlflow": "glial.training.loggers.mlflow:MLflowLogger",
        "tensorboard": "glial.training.loggers.tensorboard:TensorBoardLogger",
        "wandb": "glial.training.loggers.wandb:WandbLogger",
    },
)
