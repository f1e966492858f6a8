"""Functions as steps of whole runs: in scatters and included workflows, edited, failing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

import gpwf
from gpwf.api.runs import Run
from gpwf.core.runs import Failure

pytestmark = pytest.mark.gammapy  # the workers import it

_NUMBERS = itertools.count()

WORK = """
from astropy.table import Table, vstack
from gpwf.errors import NoDataError, TransientStepError
from {kit}.factors import FACTOR

def draw(count, rng):
    return Table({{"x": rng.random(count) * FACTOR}})

def join(tables, context, offset=0.0):
    print("joining", len(tables))
    axes = [str(item) for item in context.labels["tables"]]
    return {{"table": vstack(tables), "count": Table({{"axes": axes}})}}

def nothing():
    raise NoDataError("nothing here")

def once(context, marker):
    import pathlib
    path = pathlib.Path(marker)
    if not path.exists():
        path.write_text("")
        raise TransientStepError("not yet")
    return Table({{"x": [1]}})

def wrong():
    return {{}}["key"]

def spread(context):
    return Table({{"x": context.map(lambda number: number * FACTOR, range(10), label="numbers")}})

def edit(path):
    from pathlib import Path
    with Path(path).open("a") as stream:
        stream.write("# edited\\n")
    return Table({{"x": [1]}})
"""


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a package on the Python path; the test runs beside it."""
    folder = tmp_path / f"pr_kit_{next(_NUMBERS)}"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "factors.py").write_text("FACTOR = 1.0\n")
    (folder / "work.py").write_text(WORK.format(kit=folder.name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return folder


def write(name: str, text: str, kit: Path) -> None:
    Path(f"{name}.gpwf.yaml").write_text(f"gpwf: 1\nname: {name}\n" + text.replace("KIT", kit.name))


def run(name: str) -> Run:
    return gpwf.read(f"{name}.gpwf.yaml").run(jobs=2)


def states(found: Run) -> dict[str, str]:
    return {name: str(item.state) for name, item in found.view.tasks.items()}


def failure_of(found: Run, task: str) -> Failure:
    event = found.view.tasks[task].attempts[-1].finished_event
    assert event is not None
    assert event.failure is not None
    return event.failure


SCATTER = """steps:
  - name: draw
    tag: python
    foreach: {count: [1, 2, 3]}
    config:
      callable: KIT.work:draw
      outputs: {numbers: table}
      arguments: {count: "${count}"}
      seed: 5
  - name: join
    tag: python
    gather: [count]
    required_products: {tables: draw.numbers}
    config:
      callable: KIT.work:join
      inputs: {tables: [table]}
      outputs: {table: table, count: table}
outputs: {table: join.table}
"""


def test_a_function_in_a_scatter_and_what_an_edit_changes(kit: Path) -> None:
    write("inner", SCATTER, kit)
    write("outer", "steps:\n  - {name: all, tag: workflow, config: {file: inner.gpwf.yaml}}\n", kit)
    first = run("outer")
    assert str(first.state) == "ok", states(first)
    table = first["all/join"].table.read()
    assert len(table) == 6
    assert len(set(table["x"])) == 6  # every task has random numbers of its own
    assert list(first["all/join"].count.read()["axes"]) == [
        "{'all/count': '1'}",
        "{'all/count': '2'}",
        "{'all/count': '3'}",
    ]
    record = json.dumps(json.loads((first.path / "prov" / "prov.json").read_text()))
    assert f"{kit.name}.work:draw" in record
    assert set(states(run("outer")).values()) == {"cached"}
    assert gpwf.read("outer.gpwf.yaml").why() == {}

    (kit / "factors.py").write_text("FACTOR = 2.0\n")
    why = gpwf.read("outer.gpwf.yaml").why()
    assert why["all/draw[all/count=1]"] == (f"source of {kit.name}.work:draw changed",)
    again = run("outer")
    assert set(states(again).values()) == {"ok"}
    assert list(again["all/join"].table.read()["x"]) == [2 * item for item in table["x"]]


def test_how_functions_end(kit: Path) -> None:
    write(
        "ends",
        "steps:\n"
        "  - {name: none, tag: python, config: {callable: KIT.work:nothing, outputs: {t: table}}}\n"
        "  - {name: wrong, tag: python, config: {callable: KIT.work:wrong, outputs: {t: table}}}\n"
        "  - {name: many, tag: python, config: {callable: KIT.work:spread, outputs: {t: table}}}\n"
        "  - name: once\n    tag: python\n    retries: 1\n"
        "    config: {callable: KIT.work:once, outputs: {t: table}, arguments: {marker: marker}}\n",
        kit,
    )
    text = Path("ends.gpwf.yaml").read_text()
    Path("ends.gpwf.yaml").write_text(
        text.replace("marker: marker", f"marker: {Path('marker').absolute()}")
    )
    found = run("ends")
    assert states(found) == {"none": "skipped", "wrong": "failed", "many": "ok", "once": "ok"}
    assert list(found["many"].t.read()["x"]) == [float(number) for number in range(10)]
    failure = failure_of(found, "wrong")
    line = WORK[: WORK.index('["key"]')].count("\n") + 1
    words = f"{kit.name}.work:wrong raised KeyError: 'key' ({kit / 'work.py'}:{line})"
    assert failure.message == words
    assert "Traceback" in str(failure.traceback)
    assert len(found.view.tasks["once"].attempts) == 2


def test_code_that_is_edited_during_a_run(kit: Path) -> None:
    """The worker of the second task may have loaded the planned code, or finds the edited one."""
    write(
        "edits",
        "steps:\n"
        "  - name: edit\n    tag: python\n"
        "    config: {callable: KIT.work:edit, outputs: {t: table}, arguments: {path: PATH}}\n"
        "  - name: other\n    tag: python\n    after: [edit]\n"
        "    config: {callable: KIT.other:f, outputs: {t: table}}\n",
        kit,
    )
    (kit / "other.py").write_text(
        "from astropy.table import Table\ndef f():\n    return Table({'x': [1]})\n"
    )
    text = Path("edits.gpwf.yaml").read_text()
    Path("edits.gpwf.yaml").write_text(text.replace("PATH", str(kit / "other.py")))
    found = run("edits")
    assert states(found) == {"edit": "ok", "other": "failed"}
    assert "has changed since the plan was made" in failure_of(found, "other").message
    again = run("edits")
    assert states(again) == {"edit": "cached", "other": "ok"}


def test_a_workflow_is_planned_without_running_its_code(kit: Path) -> None:
    write("bomb", SCATTER, kit)
    path = kit / "work.py"
    path.write_text("raise SystemExit('this was run')\n" + path.read_text())
    (kit / "__init__.py").write_text("raise SystemExit('this was run')\n")
    workflow = gpwf.read("bomb.gpwf.yaml")
    assert workflow.validate() == []
    assert len(workflow.plan().tasks) == 4
    assert len(workflow.why()) == 4
