"""Data in a crate: settings, external files, products and collections of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpwf.core.digests import digest_bytes
from gpwf.prov.crate_files import CrateSink, media_type, safe_path
from gpwf.prov.crate_graph import CrateGraph, file_id, fragment, ref
from gpwf.prov.crate_record import ArchivedRecord, Item

__all__ = ["ROOT", "CrateData", "additional_type", "parameter_name"]

ROOT = "./"

_MEMBER = re.compile(r"\.\d+(?=\.|\Z)")
_SHORT = 16  # digits of a digest in a name inside one crate

#: What a formal parameter is, by the type of a setting. Names are those of schema.org.
_KINDS = {
    "bool": "Boolean",
    "int": "Integer",
    "float": "Float",
    "number": "Number",
    "quantity": "Number",
    "time": "DateTime",
    "str": "Text",
    "text": "Text",
    "path": "Text",
    "choice": "Text",
}


def parameter_name(role: str) -> str:
    """Return the name of the formal parameter of a role: ``in.obs_ids.3`` is one of ``obs_ids``."""
    name = role.removeprefix("in.").removeprefix("out.").removeprefix("params.")
    return _MEMBER.sub("", name)


def additional_type(entity: Item) -> str:
    """Return what a formal parameter is that takes an entity."""
    return _KINDS.get(str(entity.get("voprov:valueType")).lower(), "PropertyValue")


class CrateData:
    """Gives entities of the record their place in the crate.

    Parameters
    ----------
    record : ArchivedRecord
        The record of the run.
    graph : CrateGraph
        Where the entities go; it has a root.
    sink : CrateSink
        Where the files go.
    find : callable
        Returns where the bytes with a SHA-256 are kept; None where they are gone.
    with_inputs, with_products : bool
        Copy external files, and products; the others are described only.

    Attributes
    ----------
    problems : list of str
        What is not in the crate although it should be.
    inputs : list of str
        External files in the crate, by name.
    """

    def __init__(
        self,
        record: ArchivedRecord,
        graph: CrateGraph,
        sink: CrateSink,
        *,
        find: Callable[[str], Path | None],
        with_inputs: bool,
        with_products: bool,
    ) -> None:
        self._record = record
        self._graph = graph
        self._sink = sink
        self._find = find
        self._with_inputs = with_inputs
        self._with_products = with_products
        self._places: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._tasks = _tasks_of(record)
        self.problems: list[str] = []
        self.inputs: list[str] = []

    def place(self, name: str) -> str:
        """Return the name in the crate of an entity, added where it is new; "" for no data."""
        known = self._places.get(name)
        if known is None:
            known = self._places[name] = self._add(name)
        return known

    def types(self, name: str) -> str:
        """Return what a formal parameter is that takes an entity."""
        item = self._record.entities[name]
        if "voprov:Parameter" in item.types:
            return additional_type(item)
        return "Collection" if self._graph[self.place(name)]["@type"] == "Collection" else "File"

    def _add(self, name: str) -> str:
        item = self._record.entities.get(name)
        if item is None:
            return ""
        types = item.types
        if "voprov:Parameter" in types:
            return self._parameter(item)
        if "Product" in types:
            return self._product(item)
        if "Value" in types:
            # what an earlier attempt took: any product with this content
            found = [self.place(one) for one in self._record.variants.get(name, ())]
            return next((place for place in found if place), "")
        if "File" in types:
            return self._external(item)
        if "Log" in types:
            return self._log(item)
        if "prov:Collection" in types:
            return self._collection(item)
        return ""

    # ---- settings ---------------------------------------------------------------------------

    def _parameter(self, item: Item) -> str:
        value = item.get("prov:value", None)
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)  # JSON has no name for it
        return self._graph.add(
            fragment(*_short(item.id)),
            "PropertyValue",
            name=str(item.get("voprov:name")),
            value=value,
            unitText=item.get("voprov:unit"),
            identifier=f"urn:gpwf:{item.id}",
        )

    # ---- products ---------------------------------------------------------------------------

    def _product(self, item: Item) -> str:
        folder = self._folder(item)
        files = [
            self._product_file(item, self._record.entities[member], folder)
            for member in self._record.members.get(item.id, ())
            if member in self._record.entities
        ]
        about = {
            "description": self._about(item),
            "identifier": f"urn:gpwf:{item.id}",
        }
        if len(files) == 1:
            self._graph[files[0]].update(about)
            return files[0]
        name = fragment(*_short(item.id))
        self._graph.add(name, "Collection", name=item.label, **about)
        for file in files:
            self._graph.link(name, "hasPart", file)
        if files:
            main = next((file for file in files if _stem(file) == item.get("port")), files[0])
            self._graph.add(name, "Collection", mainEntity=ref(main))
        self._graph.link(ROOT, "mentions", name)
        return name

    def _about(self, item: Item) -> str:
        text = f"{item.get('kind')} that {self._task(item)} gave at its port {item.get('port')}"
        if item.id in self._record.invalid:
            return f"{text}; invalid: left behind by an attempt that did not end well"
        return text

    def _task(self, item: Item) -> str:
        maker = self._record.makers.get(item.id, "")
        return self._tasks.get(maker) or item.label.partition(".")[0]

    def _folder(self, item: Item) -> str:
        folder = safe_path("products", self._task(item), str(item.get("port")))
        if self._owners.setdefault(folder, item.id) != item.id:
            # a task that ran again: each attempt has its own
            maker = self._record.makers.get(item.id, item.id)
            folder = f"{folder}-{maker.removeprefix('act-')[:8]}"
            self._owners[folder] = item.id
        return folder

    def _product_file(self, product: Item, file: Item, folder: str) -> str:
        digest = str(file.get("sha256"))
        path = f"{folder}/{safe_path(str(file.get('name')))}"
        if self._with_products:
            what = f"{product.label}/{file.get('name')}"
            source = self._find(digest)
            if source is not None and self._copied(path, source, digest, what):
                return self._local(path, file)
            if source is None and product.id not in self._record.invalid:
                self.problems.append(f"{what}: the object {digest} is not in the store")
        return self._described(file)

    # ---- external files -----------------------------------------------------------------------

    def _external(self, item: Item) -> str:
        location = str(item.get("prov:location"))
        digest = str(item.get("sha256"))
        if item.get("prov:value"):
            return self._text(item, location)
        content = self._record.entities.get(self._record.contents.get(item.id, ""), item)
        # which observation and telescope, and the name that its producer gave it
        what = "; ".join(map(str, [*content.all("header"), *content.all("producerId")]))
        if self._with_inputs and location:
            path = safe_path("inputs", digest[:_SHORT], str(item.get("name")) or "file")
            source = _expanded(location)
            if not source.is_file():
                self.problems.append(f"{location}: this input is gone")
            elif self._copied(path, source, digest, location):
                self.inputs.append(path)
                return self._local(path, item, contentUrl=_address(location), description=what)
        return self._described(item, contentUrl=_address(location), description=what)

    def _text(self, item: Item, location: str) -> str:
        """Add a document whose text the record holds, without secrets."""
        digest, data = str(item.get("sha256")), str(item.get("prov:value")).encode()
        path = safe_path("documents", digest[:8], str(item.get("name")) or "document")
        self._sink.add_bytes(path, data)
        name = self._local(path, item, contentUrl=_address(location), contentSize=str(len(data)))
        if digest_bytes(data) != digest:
            self._graph.add(
                name,
                "File",
                sha256=digest_bytes(data),
                description=f"Secrets are redacted; the original has the SHA-256 {digest}",
            )
        return name

    def _log(self, item: Item) -> str:
        """Add what an attempt left in the log of the run."""
        return self._graph.add(
            fragment(*_short(item.id)),
            "CreativeWork",
            name=item.label,
            description=f"{item.get('lines', 'the')} lines in the log of the run",
            sha256=item.get("sha256"),
            isPartOf=ref("log.jsonl") if "log.jsonl" in self._sink.names else None,
            identifier=f"urn:gpwf:{item.id}",
        )

    def documents(self) -> dict[str, str]:
        """Return the names in the crate of the documents that the run read, by SHA-256."""
        found: dict[str, str] = {}
        for use in self._record.uses.get(self._record.run.id, ()):
            digest = str(self._record.entities[use.entity].get("sha256"))
            if use.role == "in.document" and digest != self._record.workflow.get("sha256"):
                found[digest] = self.place(use.entity)
        return found

    def _collection(self, item: Item) -> str:
        name = fragment(*_short(item.id))
        self._graph.add(name, "Collection", name=item.label, identifier=f"urn:gpwf:{item.id}")
        parts = [self.place(member) for member in self._record.members.get(item.id, ())]
        for part in filter(None, parts):
            self._graph.link(name, "hasPart", part)
        first = next(filter(None, parts), None)
        self._graph.add(name, "Collection", mainEntity=ref(first) if first else None)
        self._graph.link(ROOT, "mentions", name)
        return name

    # ---- files ----------------------------------------------------------------------------------

    def _copied(self, path: str, source: Path, digest: str, what: str) -> bool:
        try:
            if self._sink.add_file(path, source, digest):
                return True
        except FileNotFoundError:
            self.problems.append(f"{what}: {source} went away")
            return False
        self.problems.append(f"{what}: {source} has changed: its SHA-256 is not {digest}")
        return False

    def _local(self, path: str, item: Item, **more: Any) -> str:
        name = self._graph.add(file_id(path), "File", **{**_file(item), **more})
        self._graph.link(ROOT, "hasPart", name)
        return name

    def _described(self, item: Item, **more: Any) -> str:
        """Add a file that is not in the crate.

        Its name is no path and no address: validators look for a file behind those.
        """
        return self._graph.add(fragment(*_short(item.id)), "File", **{**_file(item), **more})


def _file(item: Item) -> dict[str, Any]:
    size = item.get("size_B", None)
    return {
        "name": str(item.get("name")) or item.label,
        "sha256": item.get("sha256"),
        "contentSize": None if size is None else str(size),
        "encodingFormat": media_type(str(item.get("name"))),
        "identifier": f"urn:gpwf:{item.id}",
    }


def _short(name: str) -> tuple[str, str]:
    kind, _, rest = name.partition("-")
    shortened = re.fullmatch(r"[0-9a-f]{64}", rest)
    return kind, rest[:_SHORT] if shortened else rest


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _expanded(location: str) -> Path:
    """Return where a file is; a record without names calls the home folder ``~``."""
    try:
        return Path(location).expanduser()
    except RuntimeError:  # there is no home folder
        return Path(location)


def _address(location: str) -> str | None:
    if not location or "://" in location:
        return location or None
    return Path(location).as_uri() if Path(location).is_absolute() else location


def _tasks_of(record: ArchivedRecord) -> dict[str, str]:
    """Return the task of each attempt; of one of an earlier run, the task that took its result."""
    tasks = {name: str(item.get("task")) for name, item in record.activities.items()}
    for hit in record.cache_hits():
        for maker in record.informants.get(hit.id, ()):
            if not tasks.get(maker):
                tasks[maker] = str(hit.get("task"))
    return tasks
