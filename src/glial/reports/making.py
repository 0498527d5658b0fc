"""Sections made one after the other: one that fails or takes too long does not lose the report."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from glial.core.errors import GlialError
from glial.core.tables import Table
from glial.reports.blocks import Section, Text
from glial.reports.subject import Subject

logger = logging.getLogger(__name__)

Maker = Callable[[Subject], Section]

# In the order in which they stand; the summary, made last, comes first.
SECTIONS = Table(
    "section",
    "sections",
    {
        "summary": "glial.reports.sections.summary:summary",
        "asked": "glial.reports.sections.asked:asked",
        "data": "glial.reports.sections.data:data",
        "network": "glial.reports.sections.network:network",
        "training": "glial.reports.sections.training:training",
        "findings": "glial.reports.sections.findings:findings",
        "quality": "glial.reports.sections.quality:quality",
        "failures": "glial.reports.sections.failures:failures",
        "reasons": "glial.reports.sections.reasons:reasons",
        "cost": "glial.reports.sections.cost:cost",
        "using": "glial.reports.sections.using:using",
        "card": "glial.reports.sections.card:card",
        "glossary": "glial.reports.sections.glossary:glossary",
    },
)
TITLES = {
    "summary": "In short",
    "asked": "What was asked for",
    "data": "The data",
    "network": "The network",
    "training": "How training went",
    "findings": "What the doctor found",
    "quality": "How good it is",
    "failures": "Where it fails",
    "reasons": "Why it decides as it does",
    "cost": "What it costs",
    "using": "How to use it",
    "card": "Model card",
    "glossary": "Words used on this page",
}
LAST = ("card", "summary", "glossary")  # they tell what the others found
PATIENCE = 2.0


class TookTooLong(Exception):
    """A section did not come to an end in its time."""


def make_sections(subject: Subject, *, seconds: float = 120.0) -> list[Section]:
    """Every section of a report, in order.

    Args:
        subject: What it is about.
        seconds: What one section may take.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> sections = make_sections(Subject.of(run, use_data=False))
        >>> sections[0].key, len(sections)
        ('summary', 13)
    """
    order = [*(key for key in SECTIONS if key not in LAST), *LAST]
    begun = time.monotonic()
    made: dict[str, Section] = {}
    for number, key in enumerate(order):
        if time.monotonic() - begun > PATIENCE:
            logger.info("report: %s (%d of %d)", TITLES[key].lower(), number + 1, len(order))
        made[key] = _made(key, subject, made, seconds)
    return [made[key] for key in SECTIONS]


def _made(key: str, subject: Subject, made: dict[str, Section], seconds: float) -> Section:
    begun = time.monotonic()
    try:
        with at_most(seconds):
            maker: Any = SECTIONS.resolve(key)
            section: Section = maker(subject, made) if key in LAST else maker(subject)
    except TookTooLong:
        text = f"This part was left out: it took longer than {seconds:.0f} seconds."
        section = Section(key, TITLES[key], [text], data={"error": text})
    except GlialError as error:
        text = f"This part could not be made: {error}"
        section = Section(key, TITLES[key], [text], data={"error": str(error)})
    except Exception as error:
        logger.warning("the section %r of the report failed", key, exc_info=error)
        text = "This part could not be made, because of an error of Glial's own."
        told = f"{type(error).__name__}: {error}"
        section = Section(key, TITLES[key], [text], [Text(told, "muted")], {"error": told})
    section.title = section.title or TITLES[key]
    section.seconds = time.monotonic() - begun
    return section


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """End a block that takes too long, in the main thread of systems that can.

    Args:
        seconds: What it may take.

    Raises:
        TookTooLong: From within the block.

    Example:
        >>> with at_most(5.0):
        ...     print("soon done")
        soon done
    """
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able:
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
