"""Editors complete, explain and check workflows: asked of a real language server.

The server reads the committed schema, found as an editor finds it: through the settings of this
repository, or the first line of the document.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from language_server import LanguageServer

from gpwf.steps.composer import describe_default, describe_type
from gpwf.steps.registry import load_catalog
from gpwf.steps.shapes import FieldShape, Shape, fields_of

pytestmark = pytest.mark.xdist_group("editor")  # one server for all of them

ROOT = Path(__file__).parents[2]
CATALOG = load_catalog()
TAGS = CATALOG.tags()
TAGS_AND_INCLUDE = sorted([*TAGS, "workflow"])  # another workflow is no step type
CURSOR = "¦"

_numbers = itertools.count()


def show(server: LanguageServer, text: str) -> tuple[str, int, int]:
    """Open a text as a workflow; return its URI and where the cursor is (1, 1 without any)."""
    before, _, after = text.partition(CURSOR)
    path = ROOT / "workflows" / f"unsaved-{next(_numbers)}.gpwf.yaml"
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n") if CURSOR in text else 1
    return server.open(path, before + after), line if CURSOR in text else 1, column


def offered(server: LanguageServer, text: str) -> list[str]:
    """Return what is offered at the cursor of a text."""
    return server.complete(*show(server, text))


def marked(server: LanguageServer, text: str) -> list[tuple[int, int, str]]:
    """Return what is marked in a text."""
    uri, _, _ = show(server, text)
    return sorted((item.line, item.column, item.message) for item in server.complaints(uri))


def step(tag: str, path: tuple[str, ...], last: str) -> str:
    """Return a workflow whose only step has the text `last` at a setting's place."""
    lines = ["gpwf: 1", "steps:", f"  - tag: {tag}", "    config:"]
    lines += [f"{' ' * (6 + 2 * depth)}{name}:" for depth, name in enumerate(path)]
    return "\n".join([*lines, " " * (6 + 2 * len(path)) + last]) + "\n"


def section(shape: Shape) -> Shape | None:
    """Return the section that a value is, or may be."""
    options = [item for item in (shape, *shape.options) if item.kind == "section"]
    return options[0] if options else None


def settings(model: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every settings class of a step, with the names that lead to it."""
    yield path, model
    for item in fields_of(model):
        inner = section(item.shape)
        if inner is not None:
            yield from settings(inner.annotation, (*path, item.name))


def fields(tag: str) -> list[tuple[tuple[str, ...], FieldShape]]:
    """Return every setting of a step type, with the names of the sections around it."""
    found = settings(type(CATALOG.step(tag)).Settings)
    return [(path, item) for path, model in found for item in fields_of(model)]


def test_every_tag_is_offered(editor: LanguageServer) -> None:
    assert sorted(offered(editor, f"gpwf: 1\nsteps:\n  - tag: {CURSOR}\n")) == TAGS_AND_INCLUDE


def test_a_tag_explains_itself(editor: LanguageServer) -> None:
    for tag in TAGS:
        shown = editor.hover(
            *show(editor, f"gpwf: 1\nsteps:\n  - tag: {tag[:1]}{CURSOR}{tag[1:]}\n")
        )
        assert CATALOG.title(tag) in shown, tag


def test_the_words_of_a_step_are_offered(editor: LanguageServer) -> None:
    words = {"name", "config", "required_products", "products", "after", "resources", "retries"}
    words |= {"foreach", "gather", "when"}
    found = offered(editor, f"gpwf: 1\nsteps:\n  - tag: fit\n    {CURSOR}\n")
    assert words <= set(found)
    assert "tag" not in found  # it is there


@pytest.mark.parametrize("tag", TAGS)
def test_the_settings_of_a_tag_are_offered(tag: str, editor: LanguageServer) -> None:
    """In each section exactly the settings that the step type has there."""
    for path, model in settings(type(CATALOG.step(tag)).Settings):
        wanted = {item.name for item in fields_of(model)}
        found = set(offered(editor, step(tag, path, CURSOR)))
        assert wanted <= found, path
        others = {item.name for _, item in fields(tag)} - wanted - {"frame", "lon", "lat"}
        assert not others & found, path


@pytest.mark.parametrize("tag", TAGS)
def test_a_skeleton_is_offered_where_nothing_is(tag: str, editor: LanguageServer) -> None:
    """What must be given, ready to fill in; gone once there is something."""
    (snippet,) = CATALOG.schema(tag)["then"]["defaultSnippets"]
    found = offered(editor, step(tag, (), CURSOR))
    assert (f"{tag}: settings" in found) == bool(snippet["body"])
    one, two = (item.name for _, item in fields(tag)[:2])
    text = step(tag, (), f'{one}: "${{params.a}}"\n      {two}: "${{params.b}}"\n      {CURSOR}')
    assert f"{tag}: settings" not in offered(editor, text)


def test_settings_are_offered_in_defaults(editor: LanguageServer) -> None:
    text = f"gpwf: 1\ndefaults:\n  fit:\n    {CURSOR}\nsteps:\n  - tag: fit\n"
    assert {"fit_range", "backend"} <= set(offered(editor, text))


@pytest.mark.parametrize("tag", TAGS)
def test_the_values_of_a_choice_are_offered(tag: str, editor: LanguageServer) -> None:
    for path, item in fields(tag):
        if item.shape.kind == "choice":
            found = offered(editor, step(tag, path, f"{item.name}: {CURSOR}"))
            assert {str(value) for value in item.shape.choices} <= set(found), (*path, item.name)


def test_the_values_of_a_language_word_are_offered(editor: LanguageServer) -> None:
    head = "gpwf: 1\nsteps:\n  - tag: fit\n"
    assert {"fail", "continue"} <= set(offered(editor, f"{head}    on_error: {CURSOR}\n"))
    params = f"gpwf: 1\nparams:\n  e:\n    default: 1 TeV\n    type: {CURSOR}\n"
    assert {"energy", "skycoord", "duration"} <= set(offered(editor, params))


@pytest.mark.parametrize("tag", TAGS)
def test_a_setting_explains_itself(tag: str, editor: LanguageServer) -> None:
    """Its help, its type with the unit and the bounds, and its default are shown."""
    items = fields(tag)
    one = [step(tag, path, f'{item.name}: "${{params.value}}"') for path, item in items]
    head = one[0].partition("  - tag")[0]
    uri, _, _ = show(editor, head + "".join(text.removeprefix(head) for text in one))
    line = head.count("\n")
    for text, (path, item) in zip(one, items, strict=True):
        line += text.removeprefix(head).count("\n")
        shown = plain(editor.hover(uri, line, 8 + 2 * len(path)))
        where = (*path, item.name)
        assert plain(item.help) in shown, where
        assert plain(f"Type: {describe_type(item.shape)}") in shown, where
        assert plain(f"Default: {describe_default(item)}") in shown, where
    assert editor.complaints(uri) == []  # an expression may stand for any value


def plain(markdown: str) -> str:
    """Return the words of a Markdown text without its signs."""
    return " ".join(re.sub(r"[\\*`]|&nbsp;", "", markdown).split())


def test_a_quantity_shows_its_unit(editor: LanguageServer) -> None:
    shown = editor.hover(*show(editor, step("fit", ("fit_range",), f"m{CURSOR}in: 1 TeV")))
    assert "energy, a number with a unit (TeV" in shown


def test_a_misspelt_setting_is_marked(editor: LanguageServer) -> None:
    found = marked(editor, step("fit", (), "fit_rnge: {min: 1 TeV}"))
    assert found == [(5, 7, "Property fit_rnge is not allowed.")]


def test_a_misspelt_setting_deep_down_is_marked(editor: LanguageServer) -> None:
    path = ("geom", "axes", "energy")
    found = marked(editor, step("datasets", path, "nbin: 3"))
    assert found == [(8, 13, "Property nbin is not allowed.")]


def test_misspelt_words_of_the_language_are_marked(editor: LanguageServer) -> None:
    text = "gpwf: 1\nparms: {}\nsteps:\n  - tag: fit\n    retrys: 1\n"
    assert marked(editor, text) == [
        (2, 1, "Property parms is not allowed."),
        (5, 5, "Property retrys is not allowed."),
    ]


def test_an_unknown_tag_is_answered_with_those_there_are(editor: LanguageServer) -> None:
    ((line, column, message),) = marked(editor, "gpwf: 1\nsteps:\n  - tag: fitt\n")
    assert (line, column) == (3, 10)
    assert sorted(re.findall(r'"(.*?)"', message)) == TAGS_AND_INCLUDE


def test_a_step_without_a_tag_is_marked(editor: LanguageServer) -> None:
    assert marked(editor, "gpwf: 1\nsteps:\n  - name: a\n") == [(3, 5, 'Missing property "tag".')]


@pytest.mark.parametrize(
    ("tag", "path", "wrong", "message"),
    [
        ("fit", ("fit_range",), "min: banana", "Expected energy with a unit"),
        ("fit", ("fit_range",), "min: 1", "Incorrect type"),
        ("datasets", ("background",), "method: reflcted", "Expected one of: "),
        ("datasets", (), "stack: maybe", "Expected bool or an expression"),
        ("datasets", ("geom", "axes", "energy"), "nbins: 0", "Value is below the minimum of 1"),
    ],
)
def test_a_wrong_value_is_marked(
    tag: str, path: tuple[str, ...], wrong: str, message: str, editor: LanguageServer
) -> None:
    text = step(tag, path, wrong)
    ((line, column, found),) = marked(editor, text)
    assert line == text.count("\n")
    assert column == 7 + 2 * len(path) + wrong.index(" ") + 1
    assert message in found
