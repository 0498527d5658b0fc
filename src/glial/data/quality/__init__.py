"""What a table is like before anything is trained on it: copies, leaks, wrong labels, shifts."""

from glial.data.quality.columns import ColumnQuality
from glial.data.quality.duplicates import Duplicates
from glial.data.quality.groups import GroupHint, TimeHint
from glial.data.quality.labels import LabelCheck, LabelDoubt
from glial.data.quality.leaks import Giveaway
from glial.data.quality.notices import notice_leaks
from glial.data.quality.report import QualityReport, inspect_quality
from glial.data.quality.shift import Shift, Unseen

__all__ = [
    "ColumnQuality",
    "Duplicates",
    "Giveaway",
    "GroupHint",
    "LabelCheck",
    "LabelDoubt",
    "QualityReport",
    "Shift",
    "TimeHint",
    "Unseen",
    "inspect_quality",
    "notice_leaks",
]
