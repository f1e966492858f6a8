"""What every test shares: a clean environment, reproducible examples, reasons for skipping."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")  # before anything imports matplotlib

# The same examples on every machine and no time limits: a test fails for what it tests.
settings.register_profile("gpwf", deadline=None, derandomize=True)
settings.load_profile("gpwf")


def _data_folder() -> Path | None:
    value = os.environ.get("GAMMAPY_DATA")
    return Path(value) if value and Path(value).is_dir() else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip science tests where there is no data."""
    if item.get_closest_marker("science") and _data_folder() is None:
        pytest.skip(
            "needs real data: set GAMMAPY_DATA to the folder of `gammapy download datasets`"
        )


def pytest_make_parametrize_id(val: Any) -> None:
    """Refuse what names a test differently in every process, so that workers would disagree."""
    short = isinstance(val, bytes) and len(val) <= 100  # longer ones are numbered
    if short and val[:2] == b"\x1f\x8b" and any(val[4:8]):
        raise pytest.UsageError("gzip data hold the time they were made: give 'ids'")


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a test away from the store and the settings of the person who runs it."""
    for name in [
        name for name in os.environ if name.startswith("GPWF_") and name != "GPWF_JOINT_CRAB"
    ]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the top folder of the clone."""
    return Path(__file__).parents[1]
