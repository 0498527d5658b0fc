"""Pages over runs: what was trained, how good it is, what is wrong, and what to do."""

from glial.reports.reporting import Report, report

__all__ = ["Report", "report"]
