"""SVG as text: elements, words of a known width, and the frame that every chart has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import resources
from xml.sax.saxutils import escape, quoteattr, unescape

WIDTH = 440  # of most charts, in their own units
LETTER = 0.6  # the width of a letter of average width, as a share of the font's size
SIZE = 12  # of the font
GAP = 24.0  # between charts of a sheet
# Of control characters, those that XML does not allow.
FORBIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0x7F, 0xFFFE, 0xFFFF], "\ufffd")
SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
NOT_XML = FORBIDDEN | SURROGATES


def element(tag: str, *inside: str, **attributes: object) -> str:
    """An element's text.

    Args:
        tag: Its name.
        inside: What it holds, which is SVG already.
        attributes: What it says of itself; a lower line in a name becomes a hyphen, ``class_``
            becomes ``class``, None is left out, and numbers have at most two decimals.

    Example:
        >>> element("line", x1=0, x2=1.254, class_="grid")
        '<line x1="0" x2="1.25" class="grid"/>'
    """
    told = "".join(
        f" {name.rstrip('_').replace('_', '-')}={quoteattr(_written(value))}"
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{told}>{''.join(inside)}</{tag}>" if inside else f"<{tag}{told}/>"


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
    return clean(str(value))


def clean(text: str) -> str:
    """A text without the characters that XML does not allow, each replaced by a mark.

    Example:
        >>> clean(f"a{chr(0)}b") == f"a{chr(0xFFFD)}b"
        True
    """
    return text.translate(NOT_XML)


def words(text: str) -> str:
    """A text as it stands in SVG.

    Example:
        >>> words("a<b")
        'a&lt;b'
    """
    return escape(clean(text))


def text_at(x: float, y: float, text: str, kind: str = "", anchor: str | None = None) -> str:
    """Words at a place.

    Args:
        x: The place across.
        y: The place of the line that they stand on.
        text: The words.
        kind: The class that gives them their look.
        anchor: ``middle`` or ``end`` where the place is not their start.

    Example:
        >>> text_at(1.0, 2.0, "a & b")
        '<text x="1" y="2">a &amp; b</text>'
    """
    return element("text", words(text), x=x, y=y, class_=kind or None, text_anchor=anchor)


def width_of(text: str, size: float = SIZE) -> float:
    """About how wide words are.

    Example:
        >>> width_of("four", 10) == 4 * 10 * LETTER
        True
    """
    return LETTER * size * sum(1.8 if ord(letter) >= 0x1100 else 1.0 for letter in text)


def shortened(text: str, room: float, size: float = SIZE) -> str:
    """A text that fits a width, its end replaced by an ellipsis where it does not.

    Example:
        >>> shortened("a very long name", 60)
        'a very…'
    """
    text = " ".join(clean(text).split())
    if width_of(text, size) <= room:
        return text
    while text and width_of(f"{text}…", size) > room:
        text = text[:-1]
    return f"{text}…"


def wrapped(text: str, room: float, size: float = SIZE, most: int = 3) -> list[str]:
    """A text in lines that fit a width.

    Example:
        >>> wrapped("one two three", 60)
        ['one two', 'three']
    """
    lines: list[str] = []
    for word in clean(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [shortened(line, room, size) for line in lines]


def drawing(
    parts: Iterable[str],
    *,
    title: str,
    describe: str,
    width: float = WIDTH,
    height: float,
    kind: str = "chart",
) -> str:
    """The frame of a chart: its size, and what it is to somebody who does not see it.

    Args:
        parts: What is drawn.
        title: What the chart is called.
        describe: In words, what one sees.
        width: Its width in its own units.
        height: Its height.
        kind: Its class.

    Returns:
        The text of an SVG without script; its colours are the page's, see `stylesheet`.

    Example:
        >>> drawing([], title="Empty", describe="Nothing.", height=10)[:42]
        '<svg xmlns="http://www.w3.org/2000/svg" cl'
    """
    told = element("title", words(title or "chart")), element("desc", words(describe or "A chart."))
    return element(
        "svg",
        *told,
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_=kind,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
    )


def heading(title: str, under: str, width: float = WIDTH) -> tuple[list[str], float]:
    """A chart's title and the words under it, and where they end.

    Example:
        >>> heading("Loss", "")[1]
        24.0
    """
    parts, y = [], 4.0
    for line in wrapped(title, width - 8, 14):
        y += 15
        parts.append(text_at(4, y, line, "chart-title"))
    for line in wrapped(under, width - 8):
        y += 15
        parts.append(text_at(4, y, line, "chart-under"))
    return parts, y + 5


def legend(
    entries: Sequence[tuple[str, str]], top: float, width: float = WIDTH
) -> tuple[list[str], float]:
    """The names of what is drawn beside the marks that they are drawn with, in rows.

    Args:
        entries: Each a mark, drawn about (0, 0) and 20 wide, and a name.
        top: Where the rows start.
        width: Where they end.

    Returns:
        What is drawn, and where it ends.

    Example:
        >>> legend([], 10.0)
        ([], 10.0)
    """
    parts, x, y = [], 6.0, top + 10
    if not entries:
        return [], top
    for mark, name in entries:
        name = shortened(name, width - 40)
        wide = 34 + width_of(name)
        if x > 6 and x + wide > width:
            x, y = 6.0, y + 17
        parts.append(element("g", mark, transform=f"translate({x + 10:.1f} {y:.1f})"))
        parts.append(text_at(x + 25, y + 4, name))
        x += wide + 8
    return parts, y + 12


def stylesheet() -> str:
    """The CSS that charts are drawn with, for the head of a page beside the pages' colours.

    Example:
        >>> ".chart" in stylesheet()
        True
    """
    return _page("charts.css")


def standalone(chart: str) -> str:
    """A chart as a file of its own, which brings its colours, light and dark.

    Args:
        chart: As one of the drawing functions gives it.

    Example:
        >>> one = drawing([], title="Empty", describe="Nothing.", height=10)
        >>> "prefers-color-scheme" in standalone(one)
        True
    """
    colours = _page("tokens.css").split("* { box-sizing", maxsplit=1)[0]
    look = ".chart{background:var(--ground);max-width:none;margin:auto}"
    style = element("style", words(f"{colours}{stylesheet()}{look}"))
    start = chart.index(">") + 1
    return f"{chart[:start]}{style}{chart[start:]}\n"


def sheet(charts: Sequence[str], *, title: str, columns: int = 3) -> str:
    """Charts beside and below one another, as one.

    Args:
        charts: As the drawing functions give them.
        title: What they are together.
        columns: How many stand in a row.

    Example:
        >>> one = drawing([], title="Empty", describe="Nothing.", height=10)
        >>> sheet([one, one], title="Two").count("<svg")
        3
    """
    rows = [charts[n : n + columns] for n in range(0, len(charts), columns)]
    parts, top, widest, told = [], 0.0, 0.0, []
    for row in rows:
        left, high = 0.0, 0.0
        for chart in row:
            size = re.search(r' width="([\d.]+)" height="([\d.]+)"', chart)
            name = re.search("<title>(.*?)</title>", chart)
            wide, tall = (float(length) for length in size.groups()) if size else (WIDTH, WIDTH)
            told.append(unescape(name.group(1)) if name else "")
            place = f'class="part" x="{left:g}" y="{top:g}"'
            parts.append(re.sub('class="[^"]*"', place, chart, count=1))
            left, high = left + wide + GAP, max(high, tall)
        widest, top = max(widest, left - GAP), top + high + GAP
    describe = f"{len(charts)} charts: {', '.join(told)}." if told else "There is nothing to draw."
    width, height = widest or WIDTH, max(GAP, top - GAP)
    return drawing(parts, title=title, describe=describe, width=width, height=height)


def _page(name: str) -> str:
    found = resources.files("glial") / "reports" / "pages" / name
    return found.read_text(encoding="utf-8")
