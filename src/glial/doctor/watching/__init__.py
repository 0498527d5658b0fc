"""Watching a training: from hooks to evidence."""

from glial.doctor.watching.watcher import Watcher

__all__ = ["Watcher"]
