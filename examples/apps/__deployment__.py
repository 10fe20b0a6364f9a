"""A greengrocer's sales: one load, and one application of each kind that shows it."""

import sales_dashboard
import sales_notebook
import sales_tools
from sales_pipeline import load_sales
from sales_services import echo, plain_server, returned_tools, sales_api, sales_site

__all__ = [
    "load_sales",
    "sales_notebook",
    "sales_dashboard",
    "sales_tools",
    "returned_tools",
    "sales_api",
    "sales_site",
    "plain_server",
    "echo",
]
