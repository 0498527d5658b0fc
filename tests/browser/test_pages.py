"""What the look of all pages is made of."""

from __future__ import annotations

from importlib import resources

import pytest

TOKENS = (resources.files("glial.reports") / "pages" / "tokens.css").read_text(encoding="utf-8")
TEXTS = ("ink", "muted", "accent", "good", "warn", "bad", *(f"c{n}" for n in range(1, 9)))
PAGE = (
    f"<!doctype html><html lang=en><title>colours</title><style>{TOKENS}</style><main><h1>Colours"
    "</h1>{}</main></html>"
)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("ground", ["ground", "raised"])
def test_colours_can_be_read_as_text(open_page, tmp_path, ground, dark):
    path = tmp_path / "colours.html"
    texts = "".join(
        f'<p style="color:var(--{name});background:var(--{ground})">{name}</p>' for name in TEXTS
    )
    path.write_text(PAGE.replace("{}", texts), encoding="utf-8")
    opened = open_page(path.as_uri(), dark=dark)
    opened.check_accessible()
    assert opened.errors == []
    assert opened.requests == []


def test_what_cannot_be_read_is_found(open_page, tmp_path):
    path = tmp_path / "faint.html"
    path.write_text(PAGE.replace("{}", '<p style="color:#ccc">faint</p>'), encoding="utf-8")
    with pytest.raises(AssertionError, match="color-contrast"):
        open_page(path.as_uri()).check_accessible()
