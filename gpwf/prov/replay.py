"""What a PROV-JSON record of a run says, as far as it is needed to make the run again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.runs import Product, ProductFile
from gpwf.errors import ProvenanceError

__all__ = ["MadeProduct", "ReplayRecord", "read_replay", "text", "texts"]

_HINT = "expected the PROV-JSON record of a run, as `gpwf prov export` writes it"
_RUN = "wfprov:WorkflowRun"
_MADE = ("ok", "cached")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeProduct:
    """A product of a recorded run.

    Parameters
    ----------
    task, port : str
        What made it.
    entity : str
        Its local name in the ``gpwf:`` namespace.
    key : str
        Task key.
    product : Product
        Kind, digest, files.
    """

    task: str
    port: str
    entity: str
    key: str
    product: Product


def read_replay(path: Path) -> ReplayRecord:
    """Read a PROV-JSON record of a run.

    Raises
    ------
    ProvenanceError
        Where the file cannot be read or is no record of one gpwf run.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ProvenanceError(
            f"cannot read {path}: {error.strerror or error}", hint=_HINT
        ) from None
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(f"{path} is not JSON: {error}", hint=_HINT) from None
    if not isinstance(data, dict) or not isinstance(data.get("activity"), dict):
        raise ProvenanceError(f"{path} holds no activity: not the record of a run", hint=_HINT)
    strange = [name for name, records in data.items() if not isinstance(records, dict)]
    if strange:
        raise ProvenanceError(f"{path}: the section {strange[0]} holds no records", hint=_HINT)
    runs = [
        name
        for name, item in _records(data, "activity")
        if _RUN in texts(item, "prov:type")
        and text(item, "gpwf:state")
        and not texts(item, "wfprov:wasPartOfWorkflowRun")  # not of an included workflow
    ]
    if len(runs) != 1:
        what = "no run of gpwf" if not runs else f"{len(runs)} runs"
        raise ProvenanceError(f"{path} is the record of {what}", hint=_HINT)
    return ReplayRecord(path=path, run=runs[0], data=data)


@dataclass(frozen=True, kw_only=True)
class ReplayRecord:
    """The record of one run.

    Parameters
    ----------
    path : Path
        The file.
    run : str
        Qualified name of the run.
    data : mapping
        The document as JSON.
    """

    path: Path
    run: str
    data: Mapping[str, Any] = field(repr=False)

    @property
    def _run(self) -> Mapping[str, Any]:
        return self.element("activity", self.run)

    def element(self, section: str, name: str) -> Mapping[str, Any]:
        """Return an element by its qualified name; empty where it is not declared."""
        return next((item for item in _listed(self.data.get(section, {}).get(name))), {})

    def relations(self, section: str) -> Iterator[Mapping[str, Any]]:
        """Yield the relations of a kind."""
        for _, item in _records(self.data, section):
            yield item

    @property
    def run_id(self) -> str:
        """UUID of the run."""
        return text(self._run, "gpwf:runId")

    @property
    def workflow(self) -> str:
        """Name of the workflow."""
        return text(self._run, "gpwf:name")

    @property
    def state(self) -> str:
        """How the run ended."""
        return text(self._run, "gpwf:state")

    def used_by_run(self, role: str) -> Mapping[str, Any]:
        """Return the entity that the run used in a role; empty where there is none."""
        for item in self.relations("used"):
            if item.get("prov:activity") == self.run and text(item, "prov:role") == role:
                return self.element("entity", str(item.get("prov:entity", "")))
        return {}

    @property
    def plan_digest(self) -> str:
        """SHA-256 of ``plan.json``."""
        return text(self.used_by_run("in.plan"), "gpwf:sha256")

    @property
    def workflow_text(self) -> str:
        """The workflow as given, without secrets; empty where the record has it not."""
        return text(self.used_by_run("in.workflow"), "prov:value")

    @property
    def facts(self) -> dict[str, str]:
        """Facts on the environment, ``python.version`` and others."""
        found = (item.partition("=") for item in texts(self._environment, "gpwf:environment"))
        return {name: value for name, _, value in found}

    @property
    def distributions(self) -> dict[str, str]:
        """Installed distributions with their versions."""
        found = (item.partition("==") for item in texts(self._environment, "gpwf:distribution"))
        return {name: version for name, _, version in found}

    @cached_property
    def _environment(self) -> Mapping[str, Any]:
        return self.used_by_run("in.environment")

    @cached_property
    def attempts(self) -> dict[str, Mapping[str, Any]]:
        """The attempts of this run that have a result, and the cached ones, by qualified name."""
        return {
            name: item
            for name, item in _records(self.data, "activity")
            if text(item, "gpwf:task")
            and text(item, "gpwf:state") in _MADE
            and self.run in texts(item, "wfprov:wasPartOfWorkflowRun")
        }

    def products(self) -> list[MadeProduct]:
        """Return the products of the run, those that it took from a store among them."""
        members = defaultdict(list)
        for item in self.relations("hadMember"):
            for entity in _listed(item.get("prov:entity")):
                members[str(item.get("prov:collection", ""))].append(str(entity))
        found = {}
        for section, begin in (("wasGeneratedBy", "out."), ("used", "cached.")):
            for item in self.relations(section):
                attempt = self.attempts.get(str(item.get("prov:activity", "")))
                role = text(item, "prov:role")
                entity = str(item.get("prov:entity", ""))
                if attempt is None or not role.startswith(begin):
                    continue
                about = self.element("entity", entity)
                if "gpwf:Product" not in texts(about, "prov:type"):
                    continue
                made = MadeProduct(
                    task=text(attempt, "gpwf:task"),
                    port=role.removeprefix(begin),
                    entity=entity.partition(":")[2],
                    key=text(attempt, "gpwf:taskKey"),
                    product=self._product(about, members[entity]),
                )
                found[made.task, made.port] = made
        return list(found.values())

    def _product(self, about: Mapping[str, Any], members: list[str]) -> Product:
        files = (self.element("entity", name) for name in members)
        summary = text(about, "gpwf:summary")
        return Product(
            summary=json.loads(summary) if summary else {},
            kind=text(about, "gpwf:kind"),
            digest=Digest(text(about, "gpwf:digest")),
            files=tuple(
                ProductFile(
                    name=text(item, "gpwf:name"),
                    digest=Digest(text(item, "gpwf:sha256")),
                    size=int(text(item, "gpwf:size_B") or 0),
                    data_digest=text(item, "gpwf:dataDigest"),
                )
                for item in files
                if item
            ),
        )


def text(record: Mapping[str, Any], name: str) -> str:
    """Return the first value of an attribute as text; empty where there is none."""
    return next(iter(texts(record, name)), "")


def texts(record: Mapping[str, Any], name: str) -> list[str]:
    """Return the values of an attribute as texts."""
    return [
        str(item.get("$", "")) if isinstance(item, Mapping) else str(item)
        for item in _listed(record.get(name))
    ]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _records(data: Mapping[str, Any], section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the records of a section; one name may have several."""
    found = data.get(section)
    for name, records in found.items() if isinstance(found, Mapping) else ():
        for item in _listed(records):
            if isinstance(item, Mapping):
                yield name, item
