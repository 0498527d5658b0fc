"""What a section of a report is made of: paragraphs, tables, pictures, code; written out later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Tone = Literal["plain", "muted", "good", "warn", "bad"]


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Example:
        >>> Text("All is well.", "good").tone
        'good'
    """

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Heading:
    """The heading of a part of a section.

    Example:
        >>> Heading("Columns").text
        'Columns'
    """

    text: str


@dataclass(frozen=True)
class Bullets:
    """Short lines that stand for themselves.

    Example:
        >>> Bullets(["a", "b"]).items[0]
        'a'
    """

    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names, and what there is to say of each.

    Example:
        >>> dict(Facts([("Rows", 150)]).pairs)
        {'Rows': 150}
    """

    pairs: Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Table:
    """Rows of cells; numbers stand to the right.

    Attributes:
        columns: The heads.
        rows: The cells.
        caption: What the table shows, in words.

    Example:
        >>> Table(["metric", "value"], [["accuracy", 0.9]], "How good").rows[0]
        ['accuracy', 0.9]
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str


@dataclass(frozen=True)
class Chart:
    """A drawing, and what one sees in it.

    Attributes:
        svg: The drawing, as SVG text that was escaped where it was made.
        says: What one sees, in words.

    Example:
        >>> Chart("<svg></svg>", "nothing").says
        'nothing'
    """

    svg: str
    says: str


@dataclass(frozen=True)
class Picture:
    """Pixels from the data.

    Attributes:
        data: A PNG file.
        says: What it is.
        caption: What stands below it.

    Example:
        >>> Picture(b"", "row 3").caption
        ''
    """

    data: bytes
    says: str
    caption: str = ""


@dataclass(frozen=True)
class Marked:
    """A text whose pieces speak for an answer, or against it.

    Attributes:
        pieces: Each piece, and how much it says, from -1 (against) to 1 (for).

    Example:
        >>> Marked([("free", 0.9), ("now", -0.1)]).pieces[0]
        ('free', 0.9)
    """

    pieces: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Code:
    """Lines that somebody may type.

    Example:
        >>> Code("glial predict runs/a b.csv --out c.csv").text[:5]
        'glial'
    """

    text: str


@dataclass(frozen=True)
class Grid:
    """Blocks side by side where there is room.

    Example:
        >>> len(Grid([Text("a"), Text("b")]).blocks)
        2
    """

    blocks: Sequence[Block]


@dataclass(frozen=True)
class Fold:
    """Blocks that are shown on request.

    Example:
        >>> Fold("More", [Text("a")]).is_open
        False
    """

    summary: str
    blocks: Sequence[Block]
    is_open: bool = False


@dataclass(frozen=True)
class Card:
    """Blocks that belong together, such as one finding.

    Example:
        >>> Card("A copy leaks", [Text("a")], "warn", "warning").label
        'warning'
    """

    title: str
    blocks: Sequence[Block]
    tone: Tone = "plain"
    label: str = ""


Block = (
    Text | Heading | Bullets | Facts | Table | Chart | Picture | Marked | Code | Grid | Fold | Card
)


@dataclass
class Section:
    """One part of a report.

    Attributes:
        key: Its name in addresses and JSON.
        title: Its heading.
        says: What it comes to, in plain words: a sentence each.
        blocks: The evidence.
        data: The same for programs.
        seconds: What making it took.

    Example:
        >>> Section("cost", "What it costs", ["Little."]).blocks
        []
    """

    key: str
    title: str
    says: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
