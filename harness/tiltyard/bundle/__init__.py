"""A results folder in one file that anyone can check without attacking again."""

from .pack import pack
from .report import Finding, Report
from .verify import verify

__all__ = ["Finding", "Report", "pack", "verify"]
