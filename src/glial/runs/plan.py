"""The plan: the whole experiment as typed settings, read from and written to YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from glial.core.errors import InputError
from glial.core.settings import Settings, read_yaml, write_yaml
from glial.data.settings import DataSettings
from glial.doctor.settings import DoctorSettings
from glial.models import MODELS
from glial.tasks.settings import TaskSettings
from glial.training.settings import TrainSettings

DEFAULT_MODEL = "tabular"


class Plan(Settings):
    """An experiment: data, task, model, training, and how it is watched.

    What is left out is decided when training starts, and written into the run's ``plan.yaml``.

    Attributes:
        data: Where rows come from, how they are split and encoded.
        task: What is learnt.
        model: ``name``, and the settings of that model.
        train: How it is trained.
        doctor: How it is watched.

    Example:
        >>> plan = Plan.from_values({"data": {"source": "a.csv", "target": "y"}})
        >>> plan.model["name"], plan.train.seed
        ('auto', 0)
    """

    data: DataSettings = Field(default_factory=DataSettings)
    task: TaskSettings = Field(default_factory=TaskSettings)
    model: dict[str, Any] = Field(default_factory=lambda: {"name": "auto"})
    train: TrainSettings = Field(default_factory=TrainSettings)
    doctor: DoctorSettings = Field(default_factory=DoctorSettings)

    @property
    def split_seed(self) -> int:
        """What rows are divided by.

        Example:
            >>> Plan.from_values({"train": {"seed": 3}}).split_seed
            3
        """
        own = self.data.split.seed
        return self.train.seed if own is None else own

    @field_validator("model", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and "name" not in value:
            return {"name": "auto", **value}
        return value

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Plan:
        """A plan from nested plain values.

        Raises:
            InputError: If a key or a model is unknown, or a value is wrong.
        """
        plan = cls.read(values)
        name = plan.model.get("name")
        if not isinstance(name, str):
            raise InputError(
                "the plan's value of 'model.name' is wrong",
                expected="the name of a model: glial models lists them",
                got=repr(name),
                do="set model.name",
            )
        # Which model suits the data, and so which keys it has, is known when they have been read.
        if name not in ("auto", "custom"):
            MODELS.resolve(name).read(plan.model, where="model")
        return plan

    @classmethod
    def from_file(cls, path: Path) -> Plan:
        """A plan from a YAML file.

        Raises:
            InputError: If the file cannot be read, or is not a plan.
        """
        return cls.from_values(read_yaml(path))

    def to_values(self, *, given_only: bool = False) -> dict[str, Any]:
        """Nested plain values.

        Args:
            given_only: Whether keys that nobody set are left out.

        Returns:
            Values that :meth:`from_values` reads back to an equal plan.
        """
        return self.model_dump(mode="json", exclude_unset=given_only)

    def to_yaml(self) -> str:
        """YAML text with every key."""
        return write_yaml(self.to_values())
