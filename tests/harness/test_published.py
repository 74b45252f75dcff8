"""Published networks through the two doors for one's own: a plugin file, and ``tiltyard.evaluate``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tiltyard
from tiltyard.problems import UserError
from tiltyard.results import load

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "benchmarks" / "published"
