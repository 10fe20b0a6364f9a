"""An orchard: one job of each kind that a client treats in its own way."""

from orchard import greet, harvest, press, rest
from stand import stand

__all__ = ["greet", "harvest", "press", "rest", "stand"]
