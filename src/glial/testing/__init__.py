"""Conformance suites: the laws that every part of a kind keeps, for third parties' parts too."""

from glial.testing.models import LawBroken, check_model

__all__ = ["LawBroken", "check_model"]
