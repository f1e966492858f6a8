"""Every component of a task key has words of its own when it differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpwf.api.changes import MOST_CHANGES, Change, key_changes
from gpwf.compiler.keys import task_key
from gpwf.core.digests import Digest, digest_bytes
from gpwf.core.plan import PlannedFile, Task, TaskOutput

ONE, TWO, THREE = (digest_bytes(text) for text in (b"1", b"2", b"3"))

TASK = Task(
    id="fit[seed=1]",
    step="fit",
    tag="fit",
    version="1",
    settings={"range": {"min": "1 TeV"}, "names": ["a"], "file": "/data/x"},
    types={"file": "path"},
    origins={},
    inputs={"datasets": (TaskOutput(task="a", product="d"), TaskOutput(task="b", product="d"))},
    input_ports=(),
    output_ports=(),
    files=(PlannedFile(setting="file", name="x", path="/data/x", digest=ONE, size=1),),
    packages={"gammapy": "2.1"},
    labels={"datasets": ({"n": "1"}, {"n": "2"})},
    stream=(1, 2),
)
GIVEN = {"datasets": (ONE, TWO)}


def changes(new: Task, given: dict[str, tuple[Digest, ...]] | None = None) -> list[Change]:
    return list(key_changes(TASK, GIVEN, new, GIVEN if given is None else given))


def _file(digest: Digest, name: str = "x") -> PlannedFile:
    return replace(TASK.files[0], digest=digest, name=name)


@pytest.mark.parametrize(
    ("changed", "component", "text"),
    [
        ({"tag": "other"}, "tag", "step type: fit → other"),
        ({"version": "2"}, "version", "version of the step: 1 → 2"),
        (
            {"settings": {**TASK.settings, "range": {"min": "2 TeV"}}},
            "setting",
            "range.min: 1 TeV → 2 TeV",
        ),
        ({"settings": {**TASK.settings, "names": ["a", "b"]}}, "setting", "names.1: - → b"),
        ({"packages": {"gammapy": "2.2"}}, "package", "package gammapy: 2.1 → 2.2"),
        ({"files": (_file(TWO),)}, "file", "file: the file x changed"),
        ({"files": (_file(ONE), _file(TWO, "y"))}, "file", "file: the file y is new"),
        ({"files": ()}, "file", "file: the file x is gone"),
        ({"stream": (1, 3)}, "stream", "random stream: its coordinates have other names"),
        (
            {"labels": {"datasets": ({"n": "1"}, {"n": "3"})}},
            "labels",
            "gathers other places of the scatter",
        ),
    ],
)
def test_each_component(changed: dict[str, Any], component: str, text: str) -> None:
    new = replace(TASK, **changed)
    assert task_key(new, GIVEN) != task_key(TASK, GIVEN)
    assert [(item.component, item.text) for item in changes(new)] == [(component, text)]


def test_what_is_not_in_the_key_is_no_change() -> None:
    moved = {**TASK.settings, "file": "/elsewhere/x"}
    same = replace(TASK, id="other", step="other", settings=moved, after=("x",))
    assert task_key(same, GIVEN) == task_key(TASK, GIVEN)
    assert changes(same) == []


def test_of_inputs_those_are_named_whose_product_is_another() -> None:
    (change,) = changes(TASK, {"datasets": (ONE, THREE)})
    assert (change.component, change.name, change.makers) == ("input", "datasets", ("b",))
    assert change.text == "input datasets: another product of b"
    (change,) = changes(TASK, {"datasets": (THREE, THREE)})
    assert change.text == "input datasets: another product of a and 1 more"
    fewer = replace(TASK, inputs={"datasets": TASK.inputs["datasets"][:1]})
    (change,) = changes(fewer, {"datasets": (ONE,)})
    assert change.makers == ("a",)
    models = {"models": (TaskOutput(task="m", product="models"),)}
    (change,) = changes(
        replace(TASK, inputs={**TASK.inputs, **models}), {**GIVEN, "models": (ONE,)}
    )
    assert change.text == "input models: is new: a product of m"
    assert list(key_changes(TASK, GIVEN, TASK, None)) == []  # not known yet


def test_many_changes_are_counted() -> None:
    many = {f"s{n:02d}": n for n in range(MOST_CHANGES + 3)}
    found = changes(replace(TASK, settings={**TASK.settings, **many}))
    assert len(found) == MOST_CHANGES + 1
    assert (found[-1].component, found[-1].text) == ("more", "and 3 more")


def test_secrets_are_told_by_name_alone() -> None:
    old = replace(TASK, settings={"api_token": "abc"})
    new = replace(TASK, settings={"api_token": "xyz"})
    (change,) = key_changes(old, GIVEN, new, GIVEN)
    assert (change.text, change.old, change.new) == ("api_token: changed", "", "")
