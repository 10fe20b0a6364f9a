"""Which version of this program is running."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("dlt-runtime-appliance")
except PackageNotFoundError:  # run from a source tree that nobody installed
    VERSION = "0+source"
