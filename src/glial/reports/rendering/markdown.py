"""A report as Markdown: what drawings show is told in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from glial.reports import blocks as b
from glial.reports.numbers import told, visible

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
LONGEST = 400


def markdown(title: str, subtitle: str, sections: Sequence[b.Section]) -> str:
    """The whole report.

    Args:
        title: What stands above.
        subtitle: What stands below that.
        sections: Of the report.

    Example:
        >>> markdown("a", "b", []).splitlines()[0]
        '# a'
    """
    parts = [f"# {plain(title)}", plain(subtitle)]
    for section in sections:
        parts += [f"## {plain(section.title)}", *(plain(text, 2000) for text in section.says)]
        parts += [text for one in section.blocks for text in block(one)]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: Any, most: int = LONGEST) -> str:
    r"""A text in which nothing is Markdown or HTML.

    Args:
        text: The text.
        most: Characters that are shown.

    Example:
        >>> plain("a*b <i>")
        'a\\*b \\<i\\>'
    """
    words = " ".join(visible(str(text)[: 4 * most]).split())
    short = words if len(words) <= most else f"{words[: most - 1]}…"
    return SPECIAL.sub(r"\\\1", short)


def block(one: b.Block) -> Iterator[str]:
    r"""The paragraphs of a block.

    Example:
        >>> list(block(b.Bullets(["a", "b"])))
        ['- a\n- b']
    """
    match one:
        case b.Text():
            yield plain(one.text, 4000)
        case b.Heading():
            yield f"### {plain(one.text)}"
        case b.Bullets():
            yield "\n".join(f"- {plain(item, 2000)}" for item in one.items)
        case b.Facts():
            yield "\n".join(f"- **{plain(k)}**: {plain(told(v), 2000)}" for k, v in one.pairs)
        case b.Table():
            yield f"*{plain(one.caption)}*"
            yield _table(one)
        case b.Chart() | b.Picture():
            yield f"*Picture: {plain(one.says, 1000)}*" if one.says else ""
        case b.Marked():
            yield plain("".join(piece for piece, _ in one.pieces), 2000)
        case b.Code():
            fence = "`" * (1 + max([2, *map(len, re.findall("`+", one.text))]))
            yield f"{fence}text\n{one.text}\n{fence}"
        case b.Grid():
            for part in one.blocks:
                yield from block(part)
        case b.Fold():
            yield f"**{plain(one.summary)}**"
            for part in one.blocks:
                yield from block(part)
        case b.Card():
            label = f"{one.label}: " if one.label else ""
            yield f"### {plain(label + one.title)}"
            for part in one.blocks:
                yield from block(part)


def _table(one: b.Table) -> str:
    lines = [one.columns, ["---"] * len(one.columns)]
    head = ["| " + " | ".join(map(plain, lines[0])) + " |", "|" + "|".join(lines[1]) + "|"]
    rows = ["| " + " | ".join(plain(told(cell)) for cell in row) + " |" for row in one.rows]
    return "\n".join([*head, *rows])
