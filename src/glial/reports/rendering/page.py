"""A report as one page: no script, nothing from elsewhere, everything escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

from glial.reports import blocks as b
from glial.reports.numbers import told, visible

STYLES = ("tokens.css", "charts.css", "report.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"
# Marks that turn the direction of what follows, as drawings may have them from the data.
TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F])
LONGEST = 400  # characters of a cell


def page(title: str, subtitle: str, sections: Sequence[b.Section]) -> str:
    """The whole page.

    Args:
        title: What stands above.
        subtitle: What stands below that.
        sections: Of the report.

    Example:
        >>> "<script" in page("<script>", "", [])
        False
    """
    links = "".join(
        f'<li><a href="#{escape(one.key)}">{safe(one.title)}</a></li>' for one in sections
    )
    body = "".join(section(one) for one in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="generator" content="Glial">'
        f"<title>{safe(title)}</title><style>{style()}</style></head>\n<body>"
        '<a class="skip" href="#main">Skip to the report</a>'
        f'<header class="top"><h1>{safe(title)}</h1><p class="muted">{safe(subtitle)}</p></header>'
        f'<div class="sheet"><nav class="contents" aria-label="Sections"><ol>{links}</ol></nav>'
        f'<main id="main">\n{body}</main></div></body></html>\n'
    )


def style() -> str:
    """The look of the page.

    Example:
        >>> "--ground" in style()
        True
    """
    folder = resources.files("glial.reports") / "pages"
    files = [folder / name for name in STYLES]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())


def safe(text: Any, most: int = LONGEST) -> str:
    """Any text as what a page shows: escaped, without hidden marks, and not too long.

    Args:
        text: The text.
        most: Characters that are shown.

    Example:
        >>> safe("<b>a\u202eb")
        '&lt;b&gt;ab'
    """
    kept = visible(str(text)[: 4 * most])
    return escape(kept if len(kept) <= most else f"{kept[: most - 1]}…")


def section(one: b.Section) -> str:
    """A section of the page.

    Example:
        >>> section(b.Section("a", "A", ["One."]))[:23]
        '<section id="a" aria-la'
    """
    says = "".join(f"<p>{safe(text, 2000)}</p>" for text in one.says)
    lead = f'<div class="lead">{says}</div>' if says else ""
    body = "".join(block(part) for part in one.blocks)
    key = escape(one.key)
    return (
        f'<section id="{key}" aria-labelledby="{key}-title">'
        f'<h2 id="{key}-title">{safe(one.title)}</h2>{lead}{body}</section>\n'
    )


def block(one: b.Block) -> str:
    """A block of the page.

    Example:
        >>> block(b.Text("a < b"))
        '<p class="plain">a &lt; b</p>'
    """
    written: str = _WRITERS[type(one)](one)
    return written


def _text(one: b.Text) -> str:
    return f'<p class="{one.tone}">{safe(one.text, 4000)}</p>'


def _heading(one: b.Heading) -> str:
    return f"<h3>{safe(one.text)}</h3>"


def _bullets(one: b.Bullets) -> str:
    return f"<ul>{''.join(f'<li>{safe(item, 2000)}</li>' for item in one.items)}</ul>"


def _facts(one: b.Facts) -> str:
    pairs = "".join(
        f"<div><dt>{safe(name)}</dt><dd>{safe(told(value), 2000)}</dd></div>"
        for name, value in one.pairs
    )
    return f'<dl class="facts">{pairs}</dl>'


def _table(one: b.Table) -> str:
    numeric = [
        any(_is_number(row[i]) for row in one.rows)
        and all(_is_number(row[i]) or row[i] is None for row in one.rows)
        for i in range(len(one.columns))
    ]
    heads = "".join(
        f'<th scope="col"{_side(is_number)}>{safe(name)}</th>'
        for name, is_number in zip(one.columns, numeric, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{_side(is_number)}>{safe(told(cell))}</td>"
            for cell, is_number in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in one.rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{safe(one.caption)}">'
        f"<table><caption>{safe(one.caption)}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _side(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _chart(one: b.Chart) -> str:
    says = f"<figcaption>{safe(one.says, 1000)}</figcaption>" if one.says else ""
    return f'<figure class="drawing">{one.svg.translate(TURNING)}{says}</figure>'


def _picture(one: b.Picture) -> str:
    data = base64.b64encode(one.data).decode("ascii")
    return (
        f'<figure class="picture"><img alt="{safe(one.says)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{safe(one.caption)}</figcaption></figure>"
    )


def _marked(one: b.Marked) -> str:
    pieces = "".join(
        f'<span class="{"for" if value > 0 else "against"}" style="--share:{abs(value):.2f}"'
        f' title="{value:+.2f}">{safe(piece)}</span>'
        if abs(value) >= 0.005
        else safe(piece)
        for piece, value in one.pieces
    )
    return f'<p class="marked">{pieces}</p>'


def _code(one: b.Code) -> str:
    return f'<pre tabindex="0"><code>{safe(one.text, 8000)}</code></pre>'


def _grid(one: b.Grid) -> str:
    return f'<div class="grid">{"".join(map(block, one.blocks))}</div>'


def _fold(one: b.Fold) -> str:
    inner = "".join(map(block, one.blocks))
    is_open = " open" if one.is_open else ""
    return f"<details{is_open}><summary>{safe(one.summary)}</summary>{inner}</details>"


def _card(one: b.Card) -> str:
    label = f'<span class="label {one.tone}">{safe(one.label)}</span> ' if one.label else ""
    inner = "".join(map(block, one.blocks))
    return f'<article class="card {one.tone}"><h3>{label}{safe(one.title)}</h3>{inner}</article>'


_WRITERS: dict[type[Any], Any] = {
    b.Text: _text,
    b.Heading: _heading,
    b.Bullets: _bullets,
    b.Facts: _facts,
    b.Table: _table,
    b.Chart: _chart,
    b.Picture: _picture,
    b.Marked: _marked,
    b.Code: _code,
    b.Grid: _grid,
    b.Fold: _fold,
    b.Card: _card,
}
