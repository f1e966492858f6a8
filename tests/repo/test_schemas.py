"""The committed schemas are what the steps say, in the shape that editors complete well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from gpwf.api.schemas import schema_files, write_schemas
from gpwf.steps.registry import load_catalog

SCHEMAS = Path(__file__).parents[2] / "schemas"
CATALOG = load_catalog()
GENERATED = schema_files(CATALOG)
BUNDLE = json.loads(GENERATED["workflow.schema.json"])


def committed() -> dict[str, str]:
    return {
        path.relative_to(SCHEMAS).as_posix(): path.read_text(encoding="utf-8")
        for path in SCHEMAS.rglob("*.json")
    }


def objects(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema inside a schema, with the way to it."""
    if isinstance(schema, dict):
        yield at, schema
        for key in ("properties", "definitions", "items", "additionalProperties", "then", "if"):
            inner = schema.get(key)
            if key in ("properties", "definitions") and isinstance(inner, dict):
                for name, item in inner.items():
                    yield from objects(item, f"{at}/{name}")
            elif isinstance(inner, dict):
                yield from objects(inner, f"{at}/{key}")


def test_every_schema_is_committed() -> None:
    assert set(committed()) == set(GENERATED), "run `gpwf schema --write schemas`"


@pytest.mark.parametrize("name", GENERATED)
def test_the_committed_schema_is_the_generated_one(name: str) -> None:
    assert committed().get(name) == GENERATED[name], "run `gpwf schema --write schemas`"


@pytest.mark.parametrize("name", GENERATED)
def test_it_is_a_draft_07_schema(name: str) -> None:
    schema = json.loads(GENERATED[name])
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["$id"].startswith("https://")


@pytest.mark.parametrize("tag", CATALOG.tags())
def test_settings_have_the_shape_that_editors_complete_well(tag: str) -> None:
    for at, schema in objects(dict(CATALOG.schema(tag))):
        assert "default" not in schema, f"{at}: editors insert a default as text"
        assert "required" not in schema, f"{at}: values may come from `defaults`"
        assert not {"anyOf", "oneOf", "$ref"} & set(schema), at
        if "properties" in schema:
            assert schema["title"], f"{at}: an object without a title"
            assert schema["additionalProperties"] is False, at
            for name, item in schema["properties"].items():
                assert item["markdownDescription"], f"{at}/{name}: no help"
        if "pattern" in schema:
            assert schema.get("patternErrorMessage"), f"{at}: a pattern without its message"


@pytest.mark.parametrize("tag", CATALOG.tags())
def test_settings_may_be_expressions(tag: str) -> None:
    """Wherever a value has a type, an expression may stand for it."""
    schema = dict(CATALOG.schema(tag))
    for name in schema["properties"]:
        document = {name: "${params.value}"}
        assert list(Draft7Validator(schema).iter_errors(document)) == []


@pytest.mark.parametrize("tag", CATALOG.tags())
def test_a_step_is_complete(tag: str) -> None:
    step = CATALOG.step(tag)
    assert step.title
    assert step.version
    assert CATALOG.help(tag)
    assert step.output_ports
    assert all(port.help for port in (*step.input_ports, *step.output_ports))
    implementation = CATALOG.implementation(tag)
    assert implementation["package"] == "gpwf"
    assert len(implementation["source"]) == 64


def test_files_of_old_steps_are_removed(tmp_path: Path) -> None:
    old = tmp_path / "steps" / "gone.schema.json"
    old.parent.mkdir()
    old.write_text("{}")
    written = write_schemas(CATALOG, tmp_path)
    assert not old.exists()
    assert {path.relative_to(tmp_path).as_posix() for path in written} == set(GENERATED)
