"""The lines of dlt that workspaces are written with, and what is to work with each."""

from dataclasses import dataclass

from tests.official_client import PACKAGES


@dataclass(frozen=True)
class Line:
    """A version of dlt, the engines whose documents it writes, and the packages that describe a workspace with it."""

    dlt: str
    manifest_engine: int
    requirements_engine: int
    packages: tuple[str, ...]


LINES = (
    Line("1.26.0", 1, 1, PACKAGES),
    Line("1.31.0", 2, 2, ("dlt[duckdb]==1.31.0", "croniter", "pathspec")),
)

FEATURES = {
    "deploy": "`dlt-runtime deploy` adds the jobs, and once more finds nothing to do",
    "engines": "manifest and requirements are of the engines above, and the API shows the manifest as it was sent",
    "environment": "a run has the dlt that the workspace asks for",
    "windows": "`incremental_mode` (engine 1: `allow_external_schedulers`): each window loads its own rows into DuckDB",
    "refresh": "`refresh_propagation` (engine 1: `refresh`): a success upstream is a refresh downstream",
    "launch": "a script is launched ad hoc",
}
