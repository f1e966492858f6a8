"""Notebooks for tests, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["code", "text", "write_notebook"]


def code(source: str, *tags: str, **more: Any) -> dict[str, Any]:
    """Return a cell of code."""
    metadata = {"tags": list(tags)} if tags else {}
    cell = {"cell_type": "code", "execution_count": None, "metadata": metadata}
    return {**cell, "outputs": [], "source": source, **more}


def text(source: str, **more: Any) -> dict[str, Any]:
    """Return a cell of Markdown."""
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def write_notebook(
    path: Path, cells: Sequence[dict[str, Any]], *, language: str = "python", minor: int = 4
) -> Path:
    """Write a notebook whose kernel is not on this machine."""
    kernel = {"display_name": "Night shift", "language": language, "name": "night-shift"}
    content = {
        "cells": list(cells),
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": minor,
    }
    path.write_text(json.dumps(content, indent=1))
    return path
