"""The fake catalogue as a fixture."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_catalog import FakeCatalog


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()
