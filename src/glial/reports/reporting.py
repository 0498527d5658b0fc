"""The report of a run: one page for people, Markdown, and plain values for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from glial.core.errors import InputError
from glial.core.files import finite_or_none
from glial.core.version import __version__
from glial.reports.blocks import Section
from glial.reports.making import make_sections
from glial.reports.rendering.markdown import markdown
from glial.reports.rendering.page import page
from glial.reports.subject import MOST_ROWS, Subject
from glial.runs import Run


@dataclass(frozen=True)
class Report:
    """What there is to say of a run.

    Attributes:
        title: What stands above.
        subtitle: When and with what it was made.
        run: The run's folder; None of a run in memory.
        sections: Its parts, in order.

    Example:
        >>> Report("iris", "", None, []).to_dict()["sections"]
        {}
    """

    title: str
    subtitle: str
    run: str | None
    sections: list[Section]

    def to_html(self) -> str:
        """One page that needs nothing else: no script, no network."""
        return page(self.title, self.subtitle, self.sections)

    def to_markdown(self) -> str:
        """The same as text; drawings are told in words."""
        return markdown(self.title, self.subtitle, self.sections)

    def to_dict(self) -> dict[str, Any]:
        """The same for programs: by section its sentences and its numbers."""
        sections = {
            one.key: {"title": one.title, "says": one.says, **finite_or_none(one.data)}
            for one in self.sections
        }
        return {"title": self.title, "run": self.run, "sections": sections}


def report(
    run: Run | str | Path,
    source: Any = None,
    *,
    rows: int = MOST_ROWS,
    use_data: bool = True,
    seconds: float = 120.0,
    seed: int = 0,
) -> Report:
    """Everything that somebody should know of a run, in plain words first.

    What was asked, what the data is like, what was trained, how training went, what the doctor
    found, how good the run is, where it fails, why it decides as it does, what it costs, how it
    is used, and a model card. The run is judged by its own test rows where they can still be
    read. A part that fails or takes too long says so, and the others stand.

    Args:
        run: The run, or its folder; one that is not finished has a shorter report.
        source: Rows with their targets; the source that the run learnt from, wherever it lies
            now, or new rows. None reads the run's own.
        rows: How many rows judge the run at most.
        use_data: Whether rows are read at all; without them no example is shown.
        seconds: What one part may take.
        seed: Of everything that is drawn.

    Returns:
        The report: see `Report.to_html`, `Report.to_markdown` and `Report.to_dict`.

    Raises:
        InputError: If there is no run, or ``rows`` or ``seconds`` is not positive.

    Source:
        Mitchell et al. (2019), "Model Cards for Model Reporting", arXiv 1810.03993 (the questions
        of the model card).

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> made = report(run, use_data=False)
        >>> made.to_html()[:15], made.to_markdown()[:2]
        ('<!doctype html>', '# ')
    """
    for name, value in (("rows", rows), ("seconds", seconds)):
        if value <= 0:
            raise InputError(f"{name} is wrong", expected="a positive number", got=str(value))
    about = Subject.of(run, source=source, use_data=use_data, most_rows=rows, seed=seed)
    sections = make_sections(about, seconds=seconds)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    where = None if about.folder is None else str(about.folder)
    subtitle = f"Report on a trained network, made by Glial {__version__} on {made}"
    return Report(f"{about.name}", subtitle, where, sections)
