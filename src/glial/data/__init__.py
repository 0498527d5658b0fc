"""From a source to batches: read, understood, split, encoded."""

from glial.data.annotators import Consensus, agree_on_labels
from glial.data.batches import Batch, Batches, TensorBatches, take
from glial.data.columns import check_target, infer_columns, infer_kind, infer_task
from glial.data.datasets import DATASETS, known_dataset, list_datasets, load_dataset
from glial.data.encoding import Encoding, Inputs
from glial.data.files import read_file
from glial.data.fingerprints import fingerprint
from glial.data.frames import from_memory, to_kind_of
from glial.data.images import ImageSettings
from glial.data.opening import open_files, open_images
from glial.data.quality import QualityReport, inspect_quality, notice_leaks
from glial.data.sampling import resample
from glial.data.settings import DataSettings, Kind, SplitSettings
from glial.data.sounds import SoundSettings
from glial.data.sources import Source, is_image_source, read, read_source
from glial.data.splits import Splits, folds, split_rows
from glial.data.word_vectors import WordVectors
from glial.data.writing import check_table_ending, write_table

__all__ = [
    "DATASETS",
    "Batch",
    "Batches",
    "Consensus",
    "DataSettings",
    "Encoding",
    "ImageSettings",
    "Inputs",
    "Kind",
    "QualityReport",
    "SoundSettings",
    "Source",
    "SplitSettings",
    "Splits",
    "TensorBatches",
    "WordVectors",
    "agree_on_labels",
    "check_table_ending",
    "check_target",
    "fingerprint",
    "folds",
    "from_memory",
    "infer_columns",
    "infer_kind",
    "infer_task",
    "inspect_quality",
    "is_image_source",
    "known_dataset",
    "list_datasets",
    "load_dataset",
    "notice_leaks",
    "open_files",
    "open_images",
    "read",
    "read_file",
    "read_source",
    "resample",
    "split_rows",
    "take",
    "to_kind_of",
    "write_table",
]
