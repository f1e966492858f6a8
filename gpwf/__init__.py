"""gpwf runs declarative gamma-ray astronomy analyses.

The names that users need live in `gpwf.api`; they are loaded on first use so that
``import gpwf`` stays cheap.
"""

from importlib import metadata as _metadata
from typing import TYPE_CHECKING

__all__ = ["__version__", "diff", "open_run", "read", "reproduce"]

if TYPE_CHECKING:
    from gpwf.api import diff, open_run, read, reproduce

    __version__: str
else:

    def __getattr__(name):
        if name == "__version__":
            return _metadata.version("gpwf")
        if name in ("diff", "open_run", "read", "reproduce"):
            from gpwf import api

            return getattr(api, name)
        raise AttributeError(f"module 'gpwf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # a notebook offers what is not loaded yet
