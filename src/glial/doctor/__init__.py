"""What is wrong with a training: evidence, the rules that read it, and their findings."""

from glial.doctor.causes import LEADS_TO, consequences, rank
from glial.doctor.problems import PROBLEMS, THEMES, Problem

__all__ = ["LEADS_TO", "PROBLEMS", "THEMES", "Problem", "consequences", "rank"]
