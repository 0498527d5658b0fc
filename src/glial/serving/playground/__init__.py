"""A small network on toy data that one watches while it learns: what every knob does."""
