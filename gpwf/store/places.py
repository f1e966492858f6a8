"""Where the store of a workflow is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["STORE_FOLDER", "default_store", "named_store"]

#: Folder of the store beside a workflow.
STORE_FOLDER = ".gpwf"


def named_store() -> Path | None:
    """Return the store that the environment variable ``GPWF_STORE`` names; empty is none."""
    named = os.environ.get("GPWF_STORE")
    return Path(named) if named else None


def default_store(workflow: Path) -> Path:
    """Return the store that a workflow uses unless told otherwise: ``.gpwf`` beside it.

    The environment variable ``GPWF_STORE`` goes first.
    """
    return named_store() or workflow.absolute().parent / STORE_FOLDER
