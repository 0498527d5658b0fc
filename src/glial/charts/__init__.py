"""Pictures of numbers as SVG: no script, coloured by the page, told in words for who cannot see."""

from glial.charts.bars import Bar, bar_chart, histogram
from glial.charts.confusions import confusion_chart
from glial.charts.contours import contours
from glial.charts.diagram import Box, flow_diagram
from glial.charts.gradients import gradient_flow, judge_flow
from glial.charts.grids import heat_map
from glial.charts.lines import Band, Line, Mark, line_chart, sparkline
from glial.charts.scatter import scatter_chart
from glial.charts.surfaces import boundary_chart, surface_chart
from glial.charts.svg import sheet, standalone, stylesheet
from glial.charts.thinning import thin
from glial.charts.ticks import log_ticks, ticks, time_ticks, write_number

__all__ = [
    "Band",
    "Bar",
    "Box",
    "Line",
    "Mark",
    "bar_chart",
    "boundary_chart",
    "confusion_chart",
    "contours",
    "flow_diagram",
    "gradient_flow",
    "heat_map",
    "histogram",
    "judge_flow",
    "line_chart",
    "log_ticks",
    "scatter_chart",
    "sheet",
    "sparkline",
    "standalone",
    "stylesheet",
    "surface_chart",
    "thin",
    "ticks",
    "time_ticks",
    "write_number",
]
