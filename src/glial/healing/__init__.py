"""Remedies tried, verified against an unchanged control, and kept only where they help."""

from glial.healing.account import DEFAULT_BUDGET, Account
from glial.healing.ledger import Attempt, Healing
from glial.healing.metrics import PrintedMetric
from glial.healing.patient import Patient, Trial
from glial.healing.plans import PlanPatient
from glial.healing.scripts import ScriptPatient
from glial.healing.search import heal
from glial.healing.training import train
from glial.healing.treatment import Step, Treatment
from glial.healing.verdict import Judgement, Pair, judge, pooled_deviation

__all__ = [
    "DEFAULT_BUDGET",
    "Account",
    "Attempt",
    "Healing",
    "Judgement",
    "Pair",
    "Patient",
    "PlanPatient",
    "PrintedMetric",
    "ScriptPatient",
    "Step",
    "Treatment",
    "Trial",
    "heal",
    "judge",
    "pooled_deviation",
    "train",
]
