"""The masking report: whether a victim hides its gradient or the attacks were too weak, and what answers that."""

from .auditing import Audit, audits
from .battery import Probe, probe
from .binarised import Audited, audit
from .escalation import LABEL, escalated
from .indicators import INDICATORS, Evidence, Finding, Indicator
from .probing import probe_plan
from .report import Report

__all__ = [
    "INDICATORS",
    "LABEL",
    "Audit",
    "Audited",
    "Evidence",
    "Finding",
    "Indicator",
    "Probe",
    "Report",
    "audit",
    "audits",
    "escalated",
    "probe",
    "probe_plan",
]
