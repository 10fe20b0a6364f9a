"""Tides: what the two manifest engines say in different words."""

from tides import chart, gauge, load_tides

__all__ = ["chart", "gauge", "load_tides"]
