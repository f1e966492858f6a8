"""The bundle: a valid draft-07 schema in the shape that editors complete well, good messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from gpwf.core.catalog import StepCatalog
from gpwf.lang import bundle_schema, check_document


@pytest.fixture
def bundle(catalog: StepCatalog) -> dict[str, Any]:
    return bundle_schema(catalog)


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema of an object, except those of ``if``."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "/if" not in path:
            yield path, schema
        for key, item in schema.items():
            yield from objects(item, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from objects(item, f"{path}/{index}")


def test_it_is_draft_07_in_one_file(bundle: dict[str, Any]) -> None:
    Draft7Validator.check_schema(bundle)
    assert bundle["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert bundle["$id"].startswith("https://")
    text = json.dumps(bundle)
    assert all(ref.startswith("#/definitions/") for ref in _refs(bundle))
    assert '"oneOf"' not in text


def _refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for item in schema.values():
            yield from _refs(item)
    elif isinstance(schema, list):
        for item in schema:
            yield from _refs(item)


def test_every_reference_leads_somewhere(bundle: dict[str, Any]) -> None:
    for ref in _refs(bundle):
        assert ref.removeprefix("#/definitions/") in bundle["definitions"]


def test_every_object_has_a_title_and_nothing_has_a_default(bundle: dict[str, Any]) -> None:
    for path, schema in objects(bundle):
        assert "title" in schema, path
        assert not isinstance(schema.get("default"), (str, int, float, list)), path


def test_tags_are_offered_with_their_help(bundle: dict[str, Any], catalog: StepCatalog) -> None:
    offered = bundle["properties"]["steps"]["items"]["properties"]["tag"]["anyOf"]
    assert [item["const"] for item in offered] == sorted([*catalog.tags(), "workflow"])
    assert all(item["title"] and item["markdownDescription"] for item in offered)


def test_one_branch_per_tag_that_an_empty_item_does_not_take(bundle: dict[str, Any]) -> None:
    branches = bundle["properties"]["steps"]["items"]["allOf"]
    for branch in branches:
        assert branch["if"]["type"] == "object"
        assert branch["if"]["required"] == ["tag"]
        tag = branch["if"]["properties"]["tag"]["const"]
        config = branch["then"]["properties"]["config"]
        assert config == {"$ref": f"#/definitions/config-{tag}"}


def test_settings_are_not_required_by_the_schema(bundle: dict[str, Any]) -> None:
    for definition in bundle["definitions"].values():
        assert "required" not in definition


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("steps: [{tag: fti}]", "unknown step type 'fti'", "did you mean 'fit'?"),
        ("steps: [{tag: fit, scatter: {a: [1]}}]", "unknown key 'scatter'",
         "did you mean 'foreach'?"),
        ("steps: [{tag: fit, needs: models}]", "unknown key 'needs'", "did you mean 'after'?"),
        ("steps: [{tag: [a]}]", "the tag of a step is text, not a list", None),
        ("steps: []", "steps: expected at least 1 item(s), not 0", None),
        ("steps: 3", "steps: expected a list, not 3", None),
        ("steps: [{tag: fit, retries: -1}]", "retries: expected at least 0, not -1", None),
        ("steps: [{tag: fit, cache: 'no'}]", "cache: expected true or false, not 'no'", None),
        ("steps: [{tag: fit, timeout: 3}]", "timeout: expected text, not 3",
         "for example 30 min"),
        ("steps: [{tag: fit}]\noutputs: {1a: fit.models}", "'1a' is not a name here: a name begins "
         "with a letter and has letters, digits, - and _ only", None),
        ("steps: [{tag: fit}]\noutputs: {a: fit.a.b}", "a: write step.product, such as fit.models, "
         "or a public name, not 'fit.a.b'", None),
        ("steps: [{tag: fit}]\nexecution: {log_level: verbos}",
         "log_level: 'verbos' is not one of debug, info, warning and error", None),
        ("steps: [{tag: plot, config: {size: 3}}]", "expected list", None),
    ],
)  # fmt: skip
def test_messages(catalog: StepCatalog, text: str, message: str, hint: str | None) -> None:
    _, found = check_document("gpwf: 1\n" + text, catalog)
    assert any(message in item.message and hint in (None, item.hint) for item in found), found
    for item in found:
        assert "not valid under" not in item.message
        assert "is not of type" not in item.message
