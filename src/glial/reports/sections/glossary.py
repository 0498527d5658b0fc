"""The words that a page uses, for whoever has not met them."""

from __future__ import annotations

import json

from glial.reports.blocks import Facts, Section
from glial.reports.rendering.markdown import markdown
from glial.reports.subject import Subject
from glial.reports.words import GLOSSARY


def glossary(subject: Subject, made: dict[str, Section]) -> Section:
    """What the terms mean that occur in the other sections.

    Args:
        subject: What the report is about.
        made: The other sections, by name.

    Example:
        >>> section = Section("a", "A", ["Each epoch took a second."])
        >>> [name for name, _ in glossary(None, {"a": section}).blocks[0].pairs]
        ['epoch']
    """
    text = markdown("", "", list(made.values())).lower()
    text += json.dumps([one.says for one in made.values()]).lower()
    used = {term: means for term, means in GLOSSARY.items() if term.lower() in text}
    return Section("glossary", "", [], [Facts(list(used.items()))], {"terms": used})
