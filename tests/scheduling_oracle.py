"""The SDK's rules of freshness, refresh and interval stores, beside those in `tests.oracle`.

dlt is untyped to us, so what a test takes from here is `Any`.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # dlt's and its dependencies' own
    from dlt._workspace.deployment import _interval_store_freshness as interval_store
    from dlt._workspace.deployment import exceptions, freshness, interval

__all__ = ["exceptions", "freshness", "interval", "interval_store"]
