import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpwf.api.editor_settings import _without_comments, tie_schema

SCHEMA, PATTERN = "./schemas/workflow.schema.json", "*.gpwf.yaml"
ENTRY = {SCHEMA: [PATTERN]}


def tied(text: str) -> str:
    return tie_schema(text, SCHEMA, PATTERN)


def meaning(text: str):
    """Return what an editor reads in settings."""
    return json.loads(_without_comments(text).lstrip("\ufeff"))


@pytest.mark.parametrize("text", ["", "\n", "\ufeff", "{}", "{ }\n", "// nothing\n{\n}\n"])
def test_settings_without_anything_get_the_entry(text):
    assert meaning(tied(text)) == {"yaml.schemas": ENTRY}


@pytest.mark.parametrize(
    "text",
    [
        '{"editor.tabSize": 2}',
        '{\n    "editor.tabSize": 2\n}\n',
        '{\n\t"editor.tabSize": 2,\n\t"a.b": {"c": [1, 2, {"yaml.schemas": 3}]},\n}\n',
        '{ // comment\n  "url": "https://x.org/*no comment*/",  // a comment: {"yaml.schemas"\n'
        '  /* "yaml.schemas": {}, */ "q": "a \\" // b,}"\n}\n',
        '{\r\n  "editor.tabSize": 2\r\n}\r\n',
        '\ufeff{"editor.tabSize": 2}',
        '{"yaml.schemas": {}, "z": null}',
        '{"yaml.schemas": {"./other.json": "*.other.yaml"}}',
        '{\n  "yaml.schemas": { // mine\n    "./other.json": ["a.yaml", "b.yaml",],\n  },\n}\n',
        '{"yaml.schemas": {"./schemas/workflow.schema.json": "*.wf.yaml"}}',
        '{"yaml.schemas": {"./schemas/workflow.schema.json": ["*.wf.yaml", "flows/*"]}, "z": 1}',
    ],
)
def test_nothing_that_is_there_is_lost(text):
    new = tied(text)
    before, after = meaning(text), meaning(new)
    schemas = after.pop("yaml.schemas")
    old = before.pop("yaml.schemas", {})
    assert after == before
    assert list(after) == list(before)
    for name, patterns in old.items():
        kept = patterns if isinstance(patterns, list) else [patterns]
        found = schemas[name]
        assert (found if isinstance(found, list) else [found])[: len(kept)] == kept
    assert PATTERN in schemas[SCHEMA]
    # the text around the entry, comments and all, is the old one
    for line in text.replace("{", "\n").splitlines():
        if "workflow.schema.json" not in line:
            assert line in new
    assert new.count("\r\n") == new.count("\n") or "\r\n" not in text
    assert tied(new) == new


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40)
@given(
    st.dictionaries(st.text(), VALUES),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
)
def test_any_settings_are_kept(data, indent, ascii_only):
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    assert meaning(tied(text)) == data | {"yaml.schemas": ENTRY}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"yaml.schemas": ENTRY}),
        json.dumps({"yaml.schemas": {"https://x.org/mine.json": PATTERN}}),
        json.dumps({"yaml.schemas": {"./mine.json": ["*.yml", PATTERN]}}),
    ],
)
def test_a_choice_that_was_made_stays(text):
    assert tied(text) == text


@pytest.mark.parametrize(
    "text", ["[]", "nothing", "{", '{"a": }', '{"yaml.schemas": 3}', '{"yaml.schemas": [1]}', "3"]
)
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        tied(text)
