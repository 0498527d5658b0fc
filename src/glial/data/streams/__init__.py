"""Tables larger than memory: read in chunks, divided, sampled, and streamed in batches."""

from glial.data.streams.arrow import ArrowChunks
from glial.data.streams.batches import Piece, StreamedBatches, Supply
from glial.data.streams.chunks import Chunks, FrameChunks, JoinedChunks
from glial.data.streams.divisions import Division, divide
from glial.data.streams.loaders import LoaderBatches, is_loader
from glial.data.streams.opening import bytes_in_memory, can_stream, open_chunks
from glial.data.streams.parquet import ParquetChunks
from glial.data.streams.supplies import ChunkSupply, RowSupply
from glial.data.streams.surveys import SplitRows, Survey, survey
from glial.data.streams.text import DelimitedChunks, JsonLinesChunks

__all__ = [
    "ArrowChunks",
    "ChunkSupply",
    "Chunks",
    "DelimitedChunks",
    "Division",
    "FrameChunks",
    "JoinedChunks",
    "JsonLinesChunks",
    "LoaderBatches",
    "ParquetChunks",
    "Piece",
    "RowSupply",
    "SplitRows",
    "StreamedBatches",
    "Supply",
    "Survey",
    "bytes_in_memory",
    "can_stream",
    "divide",
    "is_loader",
    "open_chunks",
    "survey",
]
