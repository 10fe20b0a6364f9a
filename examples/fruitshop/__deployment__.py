"""A fruit shop: loads made-up data and checks it after every load."""

from fruitshop_pipeline import load_shop
from fruitshop_quality import check_quality

__all__ = ["load_shop", "check_quality"]
