"""What `npm ci` installs for these tests is locked, and may come from any registry."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent
LOCK = json.loads((HERE / "package-lock.json").read_text())
WANTED = json.loads((HERE / "package.json").read_text())


def test_every_package_is_hashed_and_names_no_place() -> None:
    packages = {name: item for name, item in LOCK["packages"].items() if name}
    assert packages
    assert not [name for name, item in packages.items() if "resolved" in item]
    assert not [name for name, item in packages.items() if "integrity" not in item]


def test_the_lock_is_of_the_package_file() -> None:
    assert LOCK["packages"][""]["dependencies"] == WANTED["dependencies"]
    for name, version in WANTED["dependencies"].items():
        assert LOCK["packages"][f"node_modules/{name}"]["version"] == version
