"""The step types of the cases are data, too: the file says what the made-up catalogue does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gpwf.core.spec import Port
from gpwf.lang.document import read_document

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "unit" / "lang"))

from fake_catalog import _STEPS, FakeCatalog  # noqa: E402


def as_data() -> dict[str, Any]:
    """Return the step types of the made-up catalogue as plain data."""
    catalog = FakeCatalog()
    return {
        tag: {
            "settings": _settings(_STEPS[tag]["fields"]),
            "inputs": {port.name: _port(port) for port in catalog.inputs(tag, {})},
            "outputs": dict(_STEPS[tag]["outputs"]),
            "replaces": dict(catalog.replaces(tag)),
        }
        for tag in catalog.tags()
    }


def _port(port: Port) -> dict[str, Any]:
    more = {"multiple": port.multiple, "optional": port.optional}
    return {"kind": port.kind} | {key: True for key, value in more.items() if value}


def _settings(fields: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in fields.items():
        if isinstance(field, dict):
            found[name] = {"section": _settings(field)}
            continue
        given = {"required": True} if field[1] is ... else {"default": field[1]}
        choices = {"choices": field[2]} if len(field) > 2 else {}
        found[name] = {"type": field[0], **given, **choices}
    return found


def test_the_file_says_what_the_catalogue_does() -> None:
    document = read_document((HERE / "step-types.yaml").read_bytes(), file="step-types.yaml")
    assert not document.diagnostics
    assert document.root is not None
    assert document.root.plain() == as_data()
