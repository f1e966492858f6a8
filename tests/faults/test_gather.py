"""A step that gathers takes what is there, and says so in its key and in the record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakecatalog import plan, task
from harness import run, states

from gpwf.core.plan import Plan, Task
from gpwf.core.runs import RunState
from gpwf.run.engine import exit_code


def gathering(name: str, *upstream: str) -> Task:
    labels = {"texts": tuple({"n": up} for up in upstream)}
    return replace(task(name, *upstream), labels=labels)


def tolerated(item: Task) -> Task:
    return replace(item, policy=replace(item.policy, on_error="continue"))


def fan(second: Task) -> Plan:
    """Three tasks, one task below each, and one that gathers these."""
    below = [task(f"{name}-fit", name) for name in "abc"]
    return plan(task("a"), second, task("c"), *below, gathering("all", "a-fit", "b-fit", "c-fit"))


def text_of(folder: Path, name: str = "all") -> str:
    return (folder / "products" / name / "text" / "value.txt").read_text().splitlines()[-1]


def test_a_task_without_data_is_left_out(tmp_path: Path) -> None:
    view = run(fan(task("b", do="no-data")), tmp_path)
    assert view.state is RunState.OK
    assert exit_code(view) == 0
    assert states(view)["b-fit"] == "skipped"
    assert text_of(tmp_path / "run") == "all+a-fit+a+c-fit+c"


def test_a_failure_that_is_tolerated_is_left_out_and_the_run_is_good(tmp_path: Path) -> None:
    view = run(fan(tolerated(task("b", do="step-error"))), tmp_path)
    assert (states(view)["b"], states(view)["b-fit"]) == ("failed", "blocked")
    assert view.state is RunState.OK
    assert exit_code(view) == 0
    assert text_of(tmp_path / "run") == "all+a-fit+a+c-fit+c"


def test_any_other_failure_blocks_what_gathers(tmp_path: Path) -> None:
    view = run(fan(task("b", do="step-error")), tmp_path)
    assert states(view)["all"] == "blocked"
    assert exit_code(view) == 1


def test_nothing_to_gather_is_no_data(tmp_path: Path) -> None:
    work = plan(task("a", do="no-data"), gathering("all", "a"), task("end", "all"))
    view = run(work, tmp_path)
    assert states(view) == {"a": "skipped", "all": "skipped", "end": "skipped"}
    assert view.state is RunState.OK


@pytest.mark.parametrize("second", [task("b", do="no-data"), tolerated(task("b", do="bug"))])
def test_what_was_gathered_decides_the_key(tmp_path: Path, second: Task) -> None:
    """Once the missing task has data, the gathering runs again; and is found again after that."""
    keys: list[Any] = []
    for name, item in (("one", second), ("two", task("b")), ("three", second), ("four", task("b"))):
        view = run(fan(item), tmp_path, name=name)
        keys.append(view.tasks["all"].key)
    assert keys[0] == keys[2] != keys[1] == keys[3]
    assert states(view)["all"] == "cached"
    assert text_of(tmp_path / "one") != text_of(tmp_path / "two")
