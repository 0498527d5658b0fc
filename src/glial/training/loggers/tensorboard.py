"""TensorBoard's event files."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from glial.core.optional import require
from glial.training.loggers.metric_logger import Status, flat_params

FLUSH_SECONDS = 1.0
_COUNTER = itertools.count()
_STATUS = {"finished": 1, "failed": 2, "interrupted": 0}  # of TensorBoard's plugin "hparams"


class TensorBoardLogger:
    """Writes event files, which ``tensorboard --logdir`` shows.

    Numbers are kept in 32 bits, as TensorBoard keeps them. Every training writes a file of its own;
    those of one folder are read as one.

    Args:
        folder: The run's folder; files go to its ``tensorboard``.
        name: Of no use here: TensorBoard names a run by its folder.
        group: Likewise.

    Raises:
        InputError: If the package is missing; the message names the extra.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> logger = TensorBoardLogger(folder)
        >>> logger.log({"train/loss": 0.5}, step=3)
        >>> logger.finish()
        >>> TensorBoardLogger(folder).last_step("train/loss")
        3
    """

    def __init__(
        self, folder: str | Path, *, name: str | None = None, group: str | None = None
    ) -> None:
        self.check()
        self.folder = Path(folder) / "tensorboard"
        self._known = _last_steps(self.folder)
        self._file: BinaryIO | None = None
        self._next_step = 1 + max(self._known.values(), default=-1)
        self._next_flush = 0.0

    @classmethod
    def check(cls) -> None:
        """Refuse to begin without the package.

        Raises:
            InputError: If it is not installed.
        """
        require("tensorboard", extra="tensorboard", purpose="logging to TensorBoard")

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write numbers of a step."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        step = self._next_step if step is None else step
        parts = [Summary.Value(tag=key, simple_value=float(v)) for key, v in values.items()]
        self._write(Summary(value=parts), step)
        self._next_step = max(self._next_step, step + 1)

    def log_params(self, params: Any) -> None:
        """Write what the training was set to, for the page of hyper-parameters."""
        from tensorboard.plugins.hparams import plugin_data_pb2

        start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
        for key, value in flat_params(params).items():
            if isinstance(value, bool):
                start.hparams[key].bool_value = value
            elif isinstance(value, (int, float)):
                start.hparams[key].number_value = value
            else:
                start.hparams[key].string_value = "" if value is None else str(value)
        self._tell_hparams("session_start_info", start)

    def log_text(self, name: str, text: str) -> None:
        """Write a text, for the page of texts."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        plugin = SummaryMetadata.PluginData(plugin_name="text", content=b"")
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
        tensor.tensor_shape.dim.add(size=1)
        metadata = SummaryMetadata(plugin_data=plugin)
        self._write(Summary(value=[Summary.Value(tag=name, metadata=metadata, tensor=tensor)]))

    def summarize(self, metrics: Mapping[str, float]) -> None:
        """Write the numbers that the training came to, at its last step."""
        if metrics:
            self.log(metrics, max(0, self._next_step - 1))

    def last_step(self, name: str) -> int:
        """The last step of a number that was in the folder before; -1 of none."""
        return self._known.get(name, -1)

    def finish(self, status: Status = "finished") -> None:
        """Close the file."""
        from tensorboard.plugins.hparams import plugin_data_pb2

        end = plugin_data_pb2.SessionEndInfo(status=_STATUS[status], end_time_secs=time.time())
        self._tell_hparams("session_end_info", end)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _tell_hparams(self, kind: str, content: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import metadata, plugin_data_pb2

        about = metadata.create_summary_metadata(
            plugin_data_pb2.HParamsPluginData(**{kind: content})
        )
        tag, nothing = f"_hparams_/{kind}", metadata.NULL_TENSOR
        self._write(Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=nothing)]))

    def _write(self, summary: Any, step: int = 0) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        now = time.time()
        if self._file is None:
            self._file = self._new_file(now)
            first = Event(wall_time=now, file_version="brain.Event:2")
            RecordWriter(self._file).write(first.SerializeToString())
        event = Event(wall_time=now, step=step, summary=summary)
        RecordWriter(self._file).write(event.SerializeToString())
        if time.monotonic() >= self._next_flush:
            self._file.flush()
            self._next_flush = time.monotonic() + FLUSH_SECONDS

    def _new_file(self, now: float) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        end = f"{socket.gethostname()}.{os.getpid()}.{next(_COUNTER)}"
        # TensorBoard reads a folder's files in the order of their names.
        return (self.folder / f"events.out.tfevents.{now:017.6f}.{end}").open("xb")


def _last_steps(folder: Path) -> dict[str, int]:
    """The last step of each number in a folder's event files, which may be cut short."""
    if not folder.is_dir():
        return {}
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    last: dict[str, int] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    last[value.tag] = max(event.step, last.get(value.tag, -1))
    return last
