"""The SDK, whose rules the runtime keeps: imported once, its warnings kept apart from ours.

Only tests import it, through this module. dlt is untyped to us, so what a test takes from here is `Any`.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # dlt's and its dependencies' own
    from dlt._workspace.deployment import _job_ref as job_ref
    from dlt._workspace.deployment import _trigger_helpers as trigger_helpers
    from dlt._workspace.deployment import exceptions, interval, manifest

__all__ = ["exceptions", "interval", "job_ref", "manifest", "trigger_helpers"]
