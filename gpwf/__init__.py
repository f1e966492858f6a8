"""gpwf runs declarative gamma-ray astronomy analyses.

The names that users need live in `gpwf.api`; they are loaded on first use so that
``import gpwf`` stays cheap.
"""

from importlib import metadata as _metadata
from typing import Any

__all__ = ["__version__", "open_run", "read"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _metadata.version("gpwf")
    if name in ("read", "open_run"):
        from gpwf import api

        return getattr(api, name)
    raise AttributeError(f"module 'gpwf' has no attribute {name!r}")
