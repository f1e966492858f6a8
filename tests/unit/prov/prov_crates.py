"""Crates of made-up runs, and what one asks of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import prov_factory as factory

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.core.spec import IncludedWorkflow
from gpwf.prov.crate import CrateParts, CrateReport, write_crate
from gpwf.prov.stream import write_record

__all__ = ["RUNS", "Crate", "Maker", "included_plan"]


def included_plan() -> Plan:
    """Return `nested_plan` with the workflow that it includes."""
    plan = factory.nested_plan()
    path, digest = next(iter(plan.sources.items()))
    return replace(
        plan,
        workflows=(
            IncludedWorkflow(name="crab", title="part", path=path, digest=digest, place="w:1:1"),
        ),
    )


RUNS: dict[str, tuple[Callable[[], Plan], Callable[[Plan], list[RunEvent]]]] = {
    "good": (factory.make_plan, factory.good_run),
    "mixed": (factory.make_plan, factory.mixed_run),
    "cached": (factory.make_plan, factory.cached_run),
    "killed": (factory.make_plan, factory.killed_run),
    "cancelled": (factory.make_plan, factory.cancelled_run),
    "early cut-off": (factory.make_plan, factory.early_cut_off),
    "healed": (factory.make_plan, factory.healed_run),
    "gathered": (factory.gather_plan, factory.good_run),
    "scatter": (factory.scatter_plan, factory.good_run),
    "scatter and cached": (factory.scatter_plan, factory.cached_run),
    "scatter and failed": (factory.scatter_plan, factory.scattered_failure),
    "nested": (included_plan, factory.good_run),
    "nested and cached": (included_plan, factory.cached_run),
}


@dataclass
class Crate:
    """A crate on the disk, looked into without any library."""

    path: Path
    report: CrateReport
    plan: Plan
    entities: dict[str, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.document = json.loads((self.path / "ro-crate-metadata.json").read_text())
        graph = self.document["@graph"]
        self.entities = {item["@id"]: item for item in graph}
        assert len(self.entities) == len(graph)

    def refs(self, item: str | dict[str, Any], key: str) -> list[dict[str, Any]]:
        """Return the entities that a property refers to."""
        entity = self.entities[item] if isinstance(item, str) else item
        value = entity.get(key, [])
        return [
            self.entities[one["@id"]] for one in (value if isinstance(value, list) else [value])
        ]

    def of_type(self, name: str) -> list[dict[str, Any]]:
        """Return the entities of a type."""
        return [
            item
            for item in self.entities.values()
            if name in (item["@type"] if isinstance(item["@type"], list) else [item["@type"]])
        ]

    @property
    def run(self) -> dict[str, Any]:
        """The execution of the main workflow."""
        (run,) = [
            item
            for item in self.of_type("CreateAction")
            if item["instrument"] == {"@id": "workflow.yaml"}
        ]
        return run

    def action(self, name: str) -> dict[str, Any]:
        """Return the action with a name."""
        actions = [*self.of_type("CreateAction"), *self.of_type("ActivateAction")]
        (found,) = [item for item in actions if item["name"] == name]
        return found

    def files(self) -> set[str]:
        """Return the files on the disk."""
        return {
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_file()
        }

    def local_ids(self) -> set[str]:
        """Return the paths that the graph names."""
        return {
            unquote(item["@id"]) for item in self.of_type("File") if not item["@id"].startswith("#")
        }


class Maker:
    """Writes crates of made-up runs below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def parts(self, name: str, *, text: str | None = factory.WORKFLOW, **more: Any) -> CrateParts:
        """Return the parts of the crate of a run, with a journal and a log."""
        make, run = RUNS[name]
        plan = make()
        folder = self._folder / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        record = write_record(folder / "prov.json", plan, run(plan), workflow_text=text)
        texts = {}
        for file in ("journal.jsonl", "log.jsonl"):
            texts[file] = folder / file
            texts[file].write_text('{"event": "run.started", "user": "mara"}\n')
        plan_file = folder / "plan.json"
        plan_file.write_text('{\n "name": "crab-1d"\n}\n')
        return replace(
            CrateParts(record=record, plan=plan, plan_file=plan_file, texts=texts), **more
        )

    def crate(self, name: str, **options: Any) -> Crate:
        """Write the crate of a run; its made-up products have no bytes."""
        options.setdefault("with_products", False)
        parts = self.parts(name)
        path = parts.record.with_name("crate")
        report = write_crate(parts, path, overwrite=True, **options)
        return Crate(path=path, report=report, plan=parts.plan)
