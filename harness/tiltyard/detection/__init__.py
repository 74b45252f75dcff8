"""How well detectors tell adversarial images from clean ones: areas, rates at fitted thresholds, and what gets by."""

from .area import area_interval, areas
from .operating import RATES, keep_thresholds, threshold
from .table import detection

__all__ = ["RATES", "area_interval", "areas", "detection", "keep_thresholds", "threshold"]
