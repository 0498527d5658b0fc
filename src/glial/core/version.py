"""The version of Glial."""

__version__ = "0.1.0"
