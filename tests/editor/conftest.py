"""A language server that has the repository open, as Visual Studio Code would."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from language_server import LanguageServer, yaml_settings  # noqa: E402

ROOT = HERE.parents[1]

# Set where the server has to be there: a path that leads nowhere fails instead of skipping.
GIVEN = os.environ.get("YAML_LANGUAGE_SERVER")


@pytest.fixture(scope="session")
def server_command() -> Path:
    """Return the program ``yaml-language-server``."""
    if GIVEN:
        assert Path(GIVEN).is_file(), f"YAML_LANGUAGE_SERVER: {GIVEN} does not exist"
        return Path(GIVEN)
    command = HERE / "node_modules" / ".bin" / "yaml-language-server"
    if not command.is_file():
        pytest.skip("needs yaml-language-server: run `npm ci --prefix tests/editor`")
    return command


@pytest.fixture(scope="session")
def editor(server_command: Path) -> Iterator[LanguageServer]:
    """Return a server with this repository open, and its settings."""
    server = LanguageServer(server_command, ROOT, yaml_settings(ROOT))
    yield server
    server.close()


@pytest.fixture(scope="session")
def plain_editor(server_command: Path, tmp_path_factory: Any) -> Iterator[LanguageServer]:
    """Return a server that knows of schemas only what a document's first line says."""
    server = LanguageServer(server_command, tmp_path_factory.mktemp("elsewhere"), {})
    yield server
    server.close()
