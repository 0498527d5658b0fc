"""Learning what images and tables look like, by questions that they ask about themselves."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from glial.tasks.settings import TaskSettings
from glial.tasks.unlabelled import Generation

KEY = "pretext"


class PretextAnswering(Generation):
    """Train an encoder for other tasks, on rows alone.

    What is asked is the plan's ``task.pretext``; its network says itself what answers are worth
    (`glial.models.pretexts.Pretext.figures`), and is gone when training ends.

    Args:
        settings: The plan's ``task`` part.
        figures: The names of the figures.

    Example:
        >>> task = PretextAnswering(TaskSettings(pretext="rotation"))
        >>> task.name, task.state()
        ('pretrain', {'task': 'pretext', 'figures': []})
    """

    name = "pretrain"

    def __init__(self, settings: TaskSettings, figures: list[str] | None = None) -> None:
        super().__init__(None, [], settings, figures=figures or [])

    def state(self) -> dict[str, Any]:
        """What was asked, by its figures."""
        return {"task": KEY, "figures": self.figures}

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> PretextAnswering:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        return cls(settings, _State.model_validate(state).figures)


class _State(BaseModel):
    """What ``decoding.json`` holds of the task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    task: str
    figures: list[str]
