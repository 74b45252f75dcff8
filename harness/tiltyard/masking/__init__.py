"""The masking report: whether a victim hides its gradient or the attacks were too weak, and what answers that."""

from .auditing import Audit, audits
from .battery import Probe, probe
from .binarised import Audited, audit
from .escalation import LABEL, Lend, escalated
from .indicators import INDICATORS, Evidence, Finding, Indicator
from .probing import due, keep_reason, probe_victim, probed
from .report import Report

__all__ = [
    "INDICATORS",
    "LABEL",
    "Audit",
    "Audited",
    "Evidence",
    "Finding",
    "Indicator",
    "Lend",
    "Probe",
    "Report",
    "audit",
    "audits",
    "due",
    "escalated",
    "keep_reason",
    "probe",
    "probe_victim",
    "probed",
]
