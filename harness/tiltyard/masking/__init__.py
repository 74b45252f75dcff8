"""The masking report: whether a victim hides its gradient or the attacks were too weak, and what answers that."""

from .audit import Audited, audit
from .escalation import LABEL, escalated
from .indicators import INDICATORS, Evidence, Finding, Indicator
from .probe import Probe, probe
from .probing import probe_plan
from .report import Report

__all__ = [
    "INDICATORS",
    "LABEL",
    "Audited",
    "Evidence",
    "Finding",
    "Indicator",
    "Probe",
    "Report",
    "audit",
    "escalated",
    "probe",
    "probe_plan",
]
