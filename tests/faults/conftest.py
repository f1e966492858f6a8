"""Fault tests: the fake catalogue must be importable here and in the workers; nothing survives."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _no_process_survives(request: pytest.FixtureRequest) -> Iterator[None]:
    """Mark every process that a test starts, and look for those that it left."""
    from harness import wait_for
    from invariant import MARK, survivors

    os.environ[MARK] = str(uuid.uuid4())
    try:
        yield
        if sys.platform == "linux":
            wait_for(lambda: not survivors(), "the end of every process of the test", 10.0)
    finally:
        del os.environ[MARK]
