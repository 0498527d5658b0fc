"""A report written out: as a page, as Markdown, as plain values."""
