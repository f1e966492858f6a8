"""WorkflowSpec → Plan, with a catalogue made for the test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpwf.compiler.compile import compile_plan
from gpwf.compiler.inputs import MISSING_INPUT, missing_inputs
from gpwf.core.catalog import ExternalFile, Settled
from gpwf.core.contents import Contents, Need
from gpwf.core.diagnostics import Span
from gpwf.core.digests import Digest
from gpwf.core.spec import InputRef, Origin, Port, StepSpec, Variant, WorkflowSpec
from gpwf.errors import DocumentError, PlanError, StepInputError


class Catalog:
    """One step type that reads the files listed in an index file."""

    def __init__(self) -> None:
        self.n_lookups = 0

    def tags(self) -> Sequence[str]:
        return ["read"]

    def title(self, tag: str) -> str:
        return f"Title of {tag}"

    def help(self, tag: str) -> str:
        return tag

    def schema(self, tag: str) -> Mapping[str, Any]:
        return {"title": tag}

    def settle(self, tag: str, config: Mapping[str, Any], *, base: Path) -> Settled:
        raise AssertionError((tag, config, base))

    def inputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        return [Port(name="text", kind="text", optional=not settings.get("needs", False))]

    def outputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        return [Port(name="text", kind="text")]

    def declares(self, tag: str, settings: Mapping[str, Any]) -> Mapping[str, Contents]:
        return {}

    def requires(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Need]:
        return ()

    def index_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        if "index" not in settings:
            return []
        index = Path(settings["index"])
        if not index.is_file():
            raise StepInputError(f"no such file: {index}", setting="index", hint="make it")
        return [ExternalFile(setting="index", path=index, name="index")]

    def deferred(self, tag: str) -> tuple[str, ...]:
        return ()

    def files_key(
        self, tag: str, settings: Mapping[str, Any], types: Mapping[str, str]
    ) -> str | None:
        return str(settings)

    def has_index(self, tag: str) -> bool:
        return True

    def external_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        self.n_lookups += 1
        found = list(self.index_files(tag, settings))
        for item in found[:1]:
            for name in item.path.read_text().split():
                found.append(ExternalFile(setting="index", path=item.path.parent / name, name=name))
        return found

    def version(self, tag: str) -> str:
        return "7"

    def packages(self, tag: str, settings: Mapping[str, Any]) -> Sequence[str]:
        return ["gammapy", "numpy"]

    def implementation(
        self, tag: str, settings: Mapping[str, Any] | None = None
    ) -> Mapping[str, str]:
        return {"module": "m", "package": "p", "version": "1", "source": "s"}

    def replaces(self, tag: str) -> Mapping[str, str]:
        return {}

    def makers(self, kind: str) -> Sequence[str]:
        return []

    def unit_fallback(self, text: str) -> None:
        return None


class Files:
    """Digests without a cache, and a memory in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def digest(self, path: Path) -> tuple[Digest, int]:
        data = path.read_bytes()
        return Digest(hashlib.sha256(data).hexdigest()), len(data)

    def memo(self, key: str) -> Any | None:
        return self.kept.get(key)

    def remember(self, key: str, value: Any) -> None:
        self.kept[key] = value


def span(line: int) -> Span:
    return Span(file="w.yaml", line=line, column=3, end_line=line, end_column=9)


def step(name: str, uses: Sequence[str] = (), **settings: Any) -> StepSpec:
    refs = tuple(InputRef(step=item, product="text") for item in uses)
    return StepSpec(
        name=name,
        tag="read",
        variants=(
            Variant(
                settings=settings,
                types={"index": "path"},
                origins={"index": Origin(source="workflow", span=span(5))},
                spans={"": span(4), "index": span(5)},
            ),
        ),
        inputs={"text": refs} if refs else {},
        outputs={"text": "text"},
        span=span(4),
    )


def spec(*steps: StepSpec) -> WorkflowSpec:
    return WorkflowSpec(
        name="w",
        path=Path("w.yaml"),
        text="gpwf: 1\n",
        sources={},
        environment={},
        params={},
        param_origins={},
        steps=steps,
        outputs={"result": InputRef(step=steps[-1].name, product="text")},
    )


def version_of(name: str) -> str:
    return f"{name}-1"


def compiled(workflow: WorkflowSpec, catalog: Catalog, files: Files) -> Any:
    return compile_plan(workflow, catalog, files, version_of=version_of)


def test_tasks_come_in_topological_order_with_everything_in_them(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("b a")
    (tmp_path / "a").write_text("A")
    (tmp_path / "b").write_text("B")
    second = step("second", ["first"], needs=True)
    first = step("first", index=str(tmp_path / "index"))
    plan = compiled(spec(second, first), Catalog(), Files())
    assert [task.id for task in plan.tasks] == ["first", "second"]
    task = plan.task("first")
    assert [(item.name, item.size) for item in task.files] == [("a", 1), ("b", 1), ("index", 3)]
    assert task.files[0].digest == hashlib.sha256(b"A").hexdigest()
    assert task.packages == {"gammapy": "gammapy-1", "numpy": "numpy-1"}
    assert task.version == "7"
    assert task.origins["index"] == ("workflow", "w.yaml:5:3")
    assert task.place == "w.yaml:4:3"
    assert plan.task("second").upstream == ("first",)
    assert plan.edges == (("first", "second"),)
    assert [item.name for item in plan.steps] == ["second", "first"]
    assert plan.outputs["result"][0].task == "first"


def test_the_list_of_files_is_remembered_until_the_index_changes(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a")
    (tmp_path / "a").write_text("A")
    (tmp_path / "b").write_text("B")
    workflow = spec(step("first", index=str(tmp_path / "index")))
    catalog, files = Catalog(), Files()
    compiled(workflow, catalog, files)
    compiled(workflow, catalog, files)
    assert catalog.n_lookups == 1
    (tmp_path / "index").write_text("a b")
    plan = compiled(workflow, catalog, files)
    assert catalog.n_lookups == 2
    assert [item.name for item in plan.tasks[0].files] == ["a", "b", "index"]


def test_a_remembered_file_that_is_gone_is_reported(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a")
    (tmp_path / "a").write_text("A")
    workflow = spec(step("first", index=str(tmp_path / "index")))
    files = Files()
    compiled(workflow, Catalog(), files)
    (tmp_path / "a").unlink()
    with pytest.raises(DocumentError) as caught:
        compiled(workflow, Catalog(), files)
    (problem,) = caught.value.diagnostics
    assert str(tmp_path / "a") in problem.message


def test_all_missing_files_are_reported_at_their_setting(tmp_path: Path) -> None:
    workflow = spec(
        step("one", index=str(tmp_path / "no")), step("two", ["one"], index=str(tmp_path / "nor"))
    )
    with pytest.raises(DocumentError) as caught:
        compiled(workflow, Catalog(), Files())
    problems = caught.value.diagnostics
    assert [item.code for item in problems] == [MISSING_INPUT] * 2
    assert {item.step for item in problems} == {"one", "two"}
    assert all(item.span == span(5) and item.hint == "make it" for item in problems)


def test_missing_files_are_found_without_reading_them(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a")
    workflow = spec(step("one", index=str(tmp_path / "index")), step("two"))
    (problem,) = missing_inputs(workflow, Catalog())
    assert (problem.code, problem.step, problem.span) == (MISSING_INPUT, "one", span(5))
    (tmp_path / "a").touch()
    assert missing_inputs(workflow, Catalog()) == []


def test_a_cycle_is_refused() -> None:
    with pytest.raises(PlanError, match=r"w\.yaml: the steps form a cycle"):
        compiled(spec(step("a", ["b"]), step("b", ["a"])), Catalog(), Files())


def test_a_file_named_on_the_command_line_is_told_with_its_option(tmp_path: Path) -> None:
    one = step("one", index=str(tmp_path / "no"))
    (first,) = one.variants
    given = Origin(source="command line", detail="${params.f}; -p f=no")
    changed = replace(one, variants=(replace(first, origins={"index": given}),))
    (problem,) = missing_inputs(spec(changed), Catalog())
    assert problem.message.endswith("(given by -p f=no)")
    (plain,) = missing_inputs(spec(one), Catalog())
    assert "given by" not in plain.message
