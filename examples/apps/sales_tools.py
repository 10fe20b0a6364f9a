"""Sales by fruit, as tools for an assistant"""

from fastmcp import FastMCP
from sales_pipeline import FRUITS, sold

__require__ = {"dependency_groups": ["mcp"]}

mcp = FastMCP("sales")


@mcp.tool
def known_fruits() -> list[str]:
    """The fruits that are sold."""
    return list(FRUITS)


@mcp.tool
def days_sold(fruit: str, at_least: int = 0) -> int:
    """On how many days at least so many pieces of a fruit were sold."""
    return len(sold(fruit, at_least))
