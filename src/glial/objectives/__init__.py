"""Ways to learn that are not one loss and one optimiser; the loop drives them all alike."""

from glial.core.tables import Table
from glial.objectives.adversarial import AdversarialDescent
from glial.objectives.competitive import CompetitiveLearning
from glial.objectives.contrastive_divergence import ContrastiveDivergence
from glial.objectives.fitting import Fitting
from glial.objectives.greedy import GreedyDescent
from glial.objectives.perceptron import PerceptronRule
from glial.objectives.remembering import Remembering
from glial.objectives.row_descent import RowDescent
from glial.objectives.two_players import TwoPlayers

OBJECTIVES = Table(
    "objective",
    "objectives",
    {
        "adversarial": "glial.objectives.adversarial:AdversarialDescent",
        "competitive": "glial.objectives.competitive:CompetitiveLearning",
        "contrastive_divergence": ("glial.objectives.contrastive_divergence:ContrastiveDivergence"),
        "descent": "glial.training.objective:Descent",
        "fitting": "glial.objectives.fitting:Fitting",
        "greedy_descent": "glial.objectives.greedy:GreedyDescent",
        "remembering": "glial.objectives.remembering:Remembering",
        "row_descent": "glial.objectives.row_descent:RowDescent",
        "perceptron_rule": "glial.objectives.perceptron:PerceptronRule",
        "two_players": "glial.objectives.two_players:TwoPlayers",
    },
)

__all__ = [
    "OBJECTIVES",
    "AdversarialDescent",
    "CompetitiveLearning",
    "ContrastiveDivergence",
    "Fitting",
    "GreedyDescent",
    "PerceptronRule",
    "Remembering",
    "RowDescent",
    "TwoPlayers",
]
