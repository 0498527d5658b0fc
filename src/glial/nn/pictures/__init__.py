"""Pictures of what is inside a network: filters, maps, fields, attention, cells."""

from glial.nn.pictures.alignments import Alignment, alignment_png, alignment_svg, alignments
from glial.nn.pictures.cells import cell_grid, draw_cells
from glial.nn.pictures.fields import MeasuredField, draw_receptive_fields, measure_fields
from glial.nn.pictures.filters import draw_filters
from glial.nn.pictures.maps import FeatureMaps, draw_maps, feature_maps
from glial.nn.pictures.scatter import scatter_png
from glial.nn.pictures.sheet import Sheet, Strip, Tile

__all__ = [
    "Alignment",
    "FeatureMaps",
    "MeasuredField",
    "Sheet",
    "Strip",
    "Tile",
    "alignment_png",
    "alignment_svg",
    "alignments",
    "cell_grid",
    "draw_cells",
    "draw_filters",
    "draw_maps",
    "draw_receptive_fields",
    "feature_maps",
    "measure_fields",
    "scatter_png",
]
