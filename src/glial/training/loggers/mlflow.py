"""MLflow: a server, or a store beside the runs."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glial.core.errors import InputError
from glial.core.files import read_json, to_json, write_atomic
from glial.core.optional import require
from glial.training.loggers.metric_logger import Status, flat_params

EXPERIMENT = "glial"
KEPT = "mlflow.json"  # in the run's folder: which of MLflow's runs it is
LONGEST_PARAM, LONGEST_TAG, MOST_PARAMS = 6000, 5000, 100
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MLflowLogger:
    """Writes a run of MLflow.

    It goes where ``MLFLOW_TRACKING_URI`` says, and without that into a store in the folder where
    the runs lie: a database ``mlflow.db`` where all of MLflow is installed, a folder ``mlruns``
    otherwise. The experiment is ``MLFLOW_EXPERIMENT_NAME``, or ``glial``. MLflow's own reports to
    its makers are turned off unless ``MLFLOW_DISABLE_TELEMETRY`` says otherwise.

    Args:
        folder: The run's folder; its ``mlflow.json`` says which of MLflow's runs it is, and that
            one is gone on with.
        name: What the run is called; by default as the folder.
        group: Runs that belong together: the tag ``glial.group``.

    Raises:
        InputError: If the package is missing; the message names the extra.
    """

    def __init__(
        self, folder: str | Path, *, name: str | None = None, group: str | None = None
    ) -> None:
        self.check()
        place = Path(folder).resolve()
        place.mkdir(parents=True, exist_ok=True)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or local_store(_runs_folder(place))
        if "://" not in uri or uri.startswith("file:"):  # MLflow asks to be asked for it twice
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        self._id, self._resumed = self._run_of(place, uri, name or place.name, group)
        self._next_step = 0

    def _run_of(self, place: Path, uri: str, name: str, group: str | None) -> tuple[str, bool]:
        from mlflow.exceptions import MlflowException

        try:
            kept = read_json(place / KEPT)
        except InputError:
            kept = None
        if isinstance(kept, dict) and kept.get("tracking_uri") == uri:
            try:
                known = str(kept.get("run_id"))
                self._client.update_run(known, status="RUNNING")
            except MlflowException:  # it was deleted: a new one is filled with what is known
                kept = None
            else:
                return known, True
        asked = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(asked)
        experiment = found.experiment_id if found else self._client.create_experiment(asked)
        tags = {"mlflow.source.name": "glial", "glial.folder": str(place)}
        tags |= {"glial.group": group} if group else {}
        made = self._client.create_run(experiment, run_name=name, tags=tags)
        told = {"format": 1, "tracking_uri": uri, "run_id": made.info.run_id}
        write_atomic(place / KEPT, to_json(told))
        return str(made.info.run_id), False

    @classmethod
    def check(cls) -> None:
        """Refuse to begin without the package.

        Raises:
            InputError: If it is not installed.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
        require("mlflow", extra="mlflow", purpose="logging to MLflow")

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write numbers of a step."""
        from mlflow.entities import Metric

        step = self._next_step if step is None else step
        now = int(time.time() * 1000)
        metrics = [Metric(key, float(value), now, step) for key, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics, synchronous=True)
        self._next_step = max(self._next_step, step + 1)

    def log_params(self, params: Any) -> None:
        """Write what the training was set to; MLflow lets none be changed, so only new ones."""
        from mlflow.entities import Param

        known = self._client.get_run(self._id).data.params if self._resumed else {}
        values = {k: str(v)[:LONGEST_PARAM] for k, v in flat_params(params).items()}
        new = [Param(key, value) for key, value in values.items() if key not in known]
        for begin in range(0, len(new), MOST_PARAMS):
            self._client.log_batch(self._id, params=new[begin : begin + MOST_PARAMS])

    def log_text(self, name: str, text: str) -> None:
        """Write a text as a tag, cut where MLflow takes no more."""
        self._client.set_tag(self._id, name, text[:LONGEST_TAG])

    def summarize(self, metrics: Mapping[str, float]) -> None:
        """Write the numbers that the training came to, at its last step."""
        if metrics:
            self.log(metrics, max(0, self._next_step - 1))

    def last_step(self, name: str) -> int:
        """The last step of a number that was there before; -1 of none."""
        if not self._resumed:
            return -1
        known = self._client.get_metric_history(self._id, name)
        return max((metric.step for metric in known), default=-1)

    def finish(self, status: Status = "finished") -> None:
        """Say how the training ended."""
        self._client.set_terminated(self._id, _STATUS[status])


def local_store(folder: Path) -> str:
    """The address of MLflow's store in the folder where runs lie.

    MLflow's small package writes folders of text files; its whole one has a database, and takes
    folders only where it is made to.

    Args:
        folder: Where runs lie.

    Example:
        >>> local_store(Path("/runs")) in ("/runs/mlruns", "sqlite:////runs/mlflow.db")
        True
    """
    has_database = all(map(importlib.util.find_spec, ("sqlalchemy", "alembic")))
    if has_database and not (folder / "mlruns").is_dir():
        return f"sqlite:///{folder / 'mlflow.db'}"
    return str(folder / "mlruns")


def _runs_folder(place: Path) -> Path:
    """Where runs lie: above the run's folder, or above that of the several that it is one of."""
    return place.parents[2] if place.parent.name == "members" else place.parent
