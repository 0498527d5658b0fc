"""How good a run is, how sure, how fair, and where it fails."""

from glial.evaluation.bootstrap import bootstrap_weights, interval, intervals, replicate

__all__ = ["bootstrap_weights", "interval", "intervals", "replicate"]
