"""Run every conformance case: a folder with ``workflow.yaml`` and what is expected of it.

A case of a problem names code, line and column, so that it cannot fail for the wrong reason.
What a case may hold is told in ``README.md`` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gpwf.compiler.compile import compile_plan
from gpwf.core.plan import Plan, Task
from gpwf.core.spec import WorkflowSpec
from gpwf.lang import check_workflow
from gpwf.lang.codes import Code
from gpwf.lang.document import read_document

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "unit" / "lang"))

from fake_catalog import FakeCatalog  # noqa: E402

TOPICS = (
    *("places", "document", "structure", "settings", "params", "wiring"),
    *("scatter", "tables", "conditions", "include"),
)
CASES = sorted(path.parent for topic in TOPICS for path in HERE.glob(f"{topic}/*/case.yaml"))


def load_case(folder: Path) -> dict[str, Any]:
    """Return the expectations of a case."""
    document = read_document((folder / "case.yaml").read_bytes(), file="case.yaml")
    assert not document.diagnostics, document.diagnostics
    assert document.root is not None
    return dict(document.root.plain())


def run_case(folder: Path, case: dict[str, Any]) -> tuple[WorkflowSpec | None, list[Any]]:
    """Read the workflow of a case as the command line would."""
    return check_workflow(
        folder / "workflow.yaml",
        FakeCatalog(),
        params=case.get("params", {}),
        sets=[tuple(item) for item in case.get("set", [])],
        profile=case.get("profile"),
    )


def dotted(settings: Any, path: str) -> Any:
    """Return the setting at a dotted path."""
    for part in path.split("."):
        settings = settings[part]
    return settings


@pytest.mark.parametrize("folder", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_case(folder: Path) -> None:
    case = load_case(folder)
    spec, found = run_case(folder, case)
    expected = case.get("diagnostics", [])
    places = [
        {"code": item.code}
        | ({"line": item.span.line, "column": item.span.column} if item.span else {})
        for item in found
    ]
    wanted = [
        {key: item[key] for key in ("code", "line", "column") if key in item} for item in expected
    ]
    assert places == wanted, "\n".join(f"{item} ({item.hint})" for item in found)
    for item, got in zip(expected, found, strict=True):
        assert got.severity == item.get("severity", "error")
        assert item.get("hint", "") in (got.hint or "")
        assert item.get("message", "") in got.message
        if got.span is not None:
            assert Path(got.span.file).name == item.get("file", "workflow.yaml")
        related = [[span.line, span.column] for span, _ in got.related]
        assert item.get("related", related) == related
        if got.span is None:
            assert got.source_line is None
    only_warnings = all(item.get("severity") == "warning" for item in expected)
    assert (spec is not None) == only_warnings
    if spec is not None:
        check_expectations(spec, case.get("expect") or {})


def check_expectations(spec: WorkflowSpec, expect: dict[str, Any]) -> None:
    """Compare a specification with what a case expects."""
    for key in ("name", "metadata"):
        if key in expect:
            assert getattr(spec, key) == expect[key]
    for step, settings in expect.get("settings", {}).items():
        for path, value in settings.items():
            assert dotted(spec.step(step).settings, path) == value, path
            assert type(dotted(spec.step(step).settings, path)) is type(value), path
    for step, origins in expect.get("origins", {}).items():
        for path, source in origins.items():
            assert spec.step(step).origins[path].source == source, path
    for step, ports in expect.get("inputs", {}).items():
        got = spec.step(step).inputs
        assert {k: [f"{r.step}.{r.product}" for r in refs] for k, refs in got.items()} == ports
    for name, text in expect.get("outputs", {}).items():
        assert f"{spec.outputs[name].step}.{spec.outputs[name].product}" == text
    for step, names in expect.get("after", {}).items():
        assert list(spec.step(step).after) == names
    for step, policy in expect.get("policy", {}).items():
        for key, value in policy.items():
            assert getattr(spec.step(step).policy, key) == value, key
    for name, value in expect.get("param_values", {}).items():
        assert spec.params[name] == value
    if "plan" in expect:
        plan = compile_plan(spec, FakeCatalog(), NoFiles())
        check_plan(plan, expect["plan"], file=Path(spec.path or "").parent)


class NoFiles:
    """Stands for the store: the made-up steps read no files."""

    def digest(self, path: Path) -> Any:
        raise AssertionError(path)

    def memo(self, key: str) -> Any:
        raise AssertionError(key)

    def remember(self, key: str, value: Any) -> None:
        raise AssertionError(key, value)


def check_plan(plan: Plan, expect: dict[str, Any], file: Path) -> None:
    """Compare a plan with what a case expects: all its tasks in order, all other names."""
    assert [task.id for task in plan] == list(expect["tasks"])
    assert {item.id: item.task for item in plan.aliases} == expect.get("aliases", {})
    for task in plan:
        for key, value in (expect["tasks"][task.id] or {}).items():
            assert task_value(task, key, value, file) == value, (task.id, key)
    outputs = {
        name: [f"{ref.task}.{ref.product}" for ref in refs] for name, refs in plan.outputs.items()
    }
    assert expect.get("outputs", outputs) == outputs
    streams = [(task.settings["seed"], task.stream) for task in plan if task.stream]
    assert len(streams) == len(set(streams))


def task_value(task: Task, key: str, wanted: Any, folder: Path) -> Any:
    """Return a part of a task as a case writes it."""
    if key == "inputs":
        return {
            port: [f"{ref.task}.{ref.product}" for ref in refs]
            for port, refs in task.inputs.items()
        }
    if key == "labels":
        return {port: [dict(item) for item in found] for port, found in task.labels.items()}
    if key == "settings":  # those that are asked for; paths from the folder of the case
        found = {path: dotted(task.settings, path) for path in wanted}
        return {
            path: value.replace(f"{folder.absolute()}/", "") if isinstance(value, str) else value
            for path, value in found.items()
        }
    plain = {
        "after": list(task.after),
        "coordinates": dict(task.coordinates),
        "stream": bool(task.stream),
        "step": task.step,
    }
    return plain[key]


def test_every_code_has_a_case() -> None:
    covered = {item["code"] for path in CASES for item in load_case(path).get("diagnostics", [])}
    without_text = {Code.UNREADABLE}  # the file does not exist: tests/unit/lang
    assert {str(code) for code in Code} - covered == {str(code) for code in without_text}


def test_there_are_cases() -> None:
    assert len(CASES) >= 50
