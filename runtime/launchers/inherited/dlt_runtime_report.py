"""A plugin of dlt's, found by the processes that a job starts: their pipelines report as those of the job itself do."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("dlt_runtime_report_file", Path(__file__).parents[1] / "report.py")
if _SPEC is not None and _SPEC.loader is not None:
    _MODULE = importlib.util.module_from_spec(_SPEC)
    _SPEC.loader.exec_module(_MODULE)
    _MODULE.track()
