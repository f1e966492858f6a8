"""The lock file agrees with the bounds, is complete, and names no place to download from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements-lock.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ["3.11", "3.12", "3.13"]


def _locked(python: str) -> dict[str, Requirement]:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
    }
    found: dict[str, Requirement] = {}
    for line in re.findall(r"^[A-Za-z0-9].*$", LOCK, flags=re.MULTILINE):
        item = Requirement(line.removesuffix("\\").strip())
        if item.marker is None or Marker(str(item.marker)).evaluate(environment):
            assert item.name not in found, f"{item.name} is locked twice for {python}"
            found[item.name] = item
    return found


def _wanted() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    items = [Requirement(text) for group in (PROJECT["dependencies"], *extras) for text in group]
    return [item for item in items if item.name != PROJECT["name"]]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("wanted", _wanted(), ids=str)
def test_lock_lies_within_the_bounds(python: str, wanted: Requirement) -> None:
    """Every direct dependency is locked at a version that pyproject.toml allows."""
    locked = _locked(python).get(canonicalize_name(wanted.name))
    assert locked is not None, "run .ci/lock"
    (pin,) = locked.specifier
    assert pin.operator == "=="
    assert wanted.specifier.contains(pin.version), "run .ci/lock"


def test_every_package_is_hashed() -> None:
    """pip refuses a file that differs from the one that was locked."""
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert entries
    assert not [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_no_place_to_download_from() -> None:
    """The package index is the choice of the person who installs."""
    assert not re.findall(r"://|--(?:extra-)?index-url|--find-links|@ ", LOCK)


def test_bounds_have_reasons() -> None:
    """Every runtime dependency has an upper bound or is documented as going without."""
    unbounded = {
        item.name
        for item in map(Requirement, PROJECT["dependencies"])
        if not any(spec.operator in ("<", "<=", "==", "~=") for spec in item.specifier)
    }
    assert unbounded == {"structlog"}


def test_python_range_is_what_is_tested() -> None:
    """The classifiers name the Python versions that requires-python allows."""
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if ":: Python ::" in c]
    assert named == PYTHONS
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
