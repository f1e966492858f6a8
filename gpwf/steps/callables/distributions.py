"""Which installed distribution a module comes from, and what that needs."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ["distribution_of", "is_edited", "requirements"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_edited(distribution: str) -> bool:
    """Tell whether a distribution is installed for development: its files change by themselves."""
    return _is_editable(metadata.distribution(distribution))


def requirements(distribution: str) -> tuple[str, ...]:
    """Return the installed distributions that one needs, its optional ones left out."""
    found = []
    for line in metadata.requires(distribution) or ():
        name = _NAME.match(line)
        if name is None or "extra" in line.partition(";")[2]:
            continue
        try:
            found.append(str(metadata.distribution(name[0]).metadata["Name"]))
        except metadata.PackageNotFoundError:  # not for this machine
            continue
    return tuple(found)


def distribution_of(top: str, file: Path | None) -> str:
    """Return the name of the distribution that a top-level module comes from; empty for none.

    A folder on the Python path may hide an installed package of the same name: the file decides.

    Parameters
    ----------
    top : str
        Module or package without dots.
    file : Path or None
        Its file, if it has one.
    """
    try:
        named = [metadata.distribution(top)]
    except (metadata.PackageNotFoundError, ValueError):
        named = []
    for found in named:
        if _holds(found, file):
            return str(found.metadata["Name"])
    for name in _by_module().get(top, ()):
        if _holds(metadata.distribution(name), file):
            return name
    return ""


def _holds(found: metadata.Distribution, file: Path | None) -> bool:
    """Tell whether a file lies where a distribution has put its files, or is edited in place."""
    if file is None:
        return True
    return file.is_relative_to(Path(str(found.locate_file("")))) or _is_editable(found)


def _is_editable(found: metadata.Distribution) -> bool:
    try:
        return bool(json.loads(found.read_text("direct_url.json") or "{}")["dir_info"]["editable"])
    except (ValueError, KeyError, TypeError):
        return False


@cache
def _by_module() -> dict[str, list[str]]:
    """Return the distributions by top-level module; it takes a tenth of a second."""
    return {name: sorted(set(found)) for name, found in metadata.packages_distributions().items()}
