"""Runs against each other: on the same rows, and on the same folds."""
