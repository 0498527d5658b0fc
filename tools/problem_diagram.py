"""Draws what leads to what: ``python tools/problem_diagram.py`` writes docs/problems/causes.svg."""

from __future__ import annotations

from collections import Counter
from html import escape
from pathlib import Path

from glial.doctor import LEADS_TO, PROBLEMS, THEMES, consequences

FILE = Path(__file__).parents[1] / "docs" / "problems" / "causes.svg"
FEWEST_CAUSES = 5  # what fewer problems lead to has no column of its own
LEFT, TOP, WIDTH, HEIGHT = 190, 140, 24, 14


def columns() -> list[str]:
    """The problems that many lead to, in the order of the table."""
    counts = Counter(effect for effects in LEADS_TO.values() for effect in effects)
    return [name for name in PROBLEMS if counts[name] >= FEWEST_CAUSES]


def draw() -> str:
    """A row for each cause: filled dots for what it leads to, rings for what follows from that."""
    reached, effects = consequences(LEADS_TO), columns()
    parts, dots, rings, y = [], "", "", TOP
    for at, effect in enumerate(effects):
        x = LEFT + WIDTH * (at + 0.5)
        parts.append(
            f'<text transform="translate({x + 4:.0f} {TOP - 6}) rotate(-50)">{effect}</text>'
        )
    for theme, title in THEMES.items():
        names = [
            name
            for name, problem in PROBLEMS.items()
            if problem.theme == theme and reached.get(name, frozenset()) & {*effects}
        ]
        if not names:
            continue
        y += HEIGHT + 4
        parts.append(f'<text x="4" y="{y}" font-weight="bold">{escape(title)}</text>')
        for name in names:
            y += HEIGHT
            parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end">{name}</text>')
            parts.append(f'<path d="M{LEFT} {y - 4}h{WIDTH * len(effects)}" stroke="#e5e7eb"/>')
            for at, effect in enumerate(effects):
                place = f"M{LEFT + WIDTH * (at + 0.5):.0f} {y - 4}h0"
                if effect in LEADS_TO[name]:
                    dots += place
                elif effect in reached[name]:
                    rings += place
    for places, colour, size in ((dots + rings, "#c2410c", 9), (rings, "#fff", 7)):
        style = f'stroke="{colour}" stroke-width="{size}" stroke-linecap="round"'
        parts.append(f'<path d="{places}" {style}/>')
    width = LEFT + WIDTH * len(effects) + 90
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 10}" '
        'font-family="sans-serif" font-size="10">'
    )
    return "\n".join(
        [head, f'<rect width="{width}" height="{y + 10}" fill="#fff"/>', *parts, "</svg>\n"]
    )


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
