"""The PROV-JSON document that foreign provenance becomes, and its links to our inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from gpwf.core.digests import Digest
from gpwf.errors import ProvenanceError
from gpwf.prov.recorder import plain_value
from gpwf.prov.vocabulary import NAMESPACES, TERMS, hashed_id, local_id

__all__ = ["FOREIGN", "ForeignDocument", "Link", "OurFile", "foreign_name", "path_of"]

#: Namespace for what has an identifier of its own, but no namespace: UUIDs of ctapipe.
FOREIGN = "urn:gpwf:foreign:"


@dataclass(frozen=True, slots=True, kw_only=True)
class OurFile:
    """An input of a run.

    Parameters
    ----------
    path, name : str
        Where it is; its name as the plan has it.
    digest : Digest
        SHA-256 of its bytes.
    size : int
        In bytes.
    """

    path: str
    name: str
    digest: Digest
    size: int

    @property
    def entity(self) -> str:
        """Qualified name in the record of the run."""
        return f"gpwf:{hashed_id('file', self.path, self.digest)}"

    @property
    def content(self) -> str:
        """Qualified name of its bytes."""
        return f"gpwf:{local_id('sha256', self.digest)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A foreign file that is one of our inputs.

    ``how`` is ``sha256``, ``path``, ``name``, or ``user`` where the user said so.
    """

    foreign: str
    ours: OurFile
    how: str


def foreign_name(kind: str, *parts: str) -> str:
    """Return a qualified name in the namespace of foreign things."""
    return f"foreign:{local_id(kind, *parts)}"


def path_of(url: str) -> str:
    """Return the path of a file address, or the path itself."""
    if url.startswith("file:"):
        return unquote(urlsplit(url).path)
    return url


@dataclass(slots=True, kw_only=True)
class ForeignDocument:
    """Collects foreign provenance as PROV-JSON.

    Parameters
    ----------
    source : str
        Name of the file that it comes from, for messages.
    digest : Digest
        SHA-256 of that file.
    form : str
        ``ctapipe``, ``fits``, ``prov-json`` …
    ours : sequence of OurFile
        Inputs of the run.
    only : OurFile, optional
        The one that the user named.
    """

    source: str
    digest: Digest
    form: str
    ours: tuple[OurFile, ...]
    only: OurFile | None = None
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data["prefix"] = {**NAMESPACES, "foreign": FOREIGN}

    # ---- records ----------------------------------------------------------------------------

    def element(self, section: str, name: str, attributes: Iterable[tuple[str, Any]] = ()) -> str:
        """Declare an entity, activity or agent, or add attributes to it; return its name.

        A bare attribute name is a ``gpwf:`` term; values that are None or empty are left out.
        """
        records = self.data.setdefault(section, {}).setdefault(name, {})
        record = records[0] if isinstance(records, list) else records  # said twice by others
        for key, value in attributes:
            if ":" not in key:
                if key not in TERMS:
                    raise KeyError(f"gpwf:{key} is not in the vocabulary")
                key = f"gpwf:{key}"
            plain = plain_value(value)
            if plain is not None:
                _add(record, key, plain)
        return name

    def typed(self, section: str, name: str, *types: str) -> None:
        """Give an element types, by qualified name."""
        record = self.data[section][name]
        for item in types:
            _add(record, "prov:type", {"$": item, "type": "xsd:QName"})

    def relation(self, section: str, kind: str, **ends: str) -> None:
        """Say that two things are related; said twice, with another role too, it counts once."""
        record = {f"prov:{key}": value for key, value in ends.items()}
        between = sorted(item for item in ends.items() if item[0] != "role")
        name = hashed_id(kind, *(part for pair in between for part in pair))
        self.data.setdefault(section, {}).setdefault(f"foreign:{name}", record)

    # ---- links ------------------------------------------------------------------------------

    def link(self, entity: str, ours: OurFile, how: str) -> None:
        """Say that a foreign entity is one of our inputs.

        With the same SHA-256 it is a specialisation of the content; known by path or name alone
        it is an alternate of our file: the same thing, as far as that tells.
        """
        self._declare(ours)
        if how == "sha256":
            if entity != ours.content:
                self._between("specializationOf", specificEntity=entity, generalEntity=ours.content)
        else:
            self._between("alternateOf", alternate1=entity, alternate2=ours.entity)
        self.element("entity", entity, [("matchedBy", how)])
        self.links.append(Link(foreign=entity, ours=ours, how=how))

    def match(self, entity: str, path: str = "", digests: Iterable[str] = ()) -> None:
        """Link an entity where its digest, path or file name is that of one of our inputs."""
        known = {item.lower() for item in digests}
        candidates = (self.only,) if self.only is not None else self.ours
        found = [item for item in candidates if item.digest in known]
        how = "sha256"
        if not found and path:
            found, how = [item for item in candidates if item.path == path], "path"
        if not found and path:
            name = PurePosixPath(path).name
            found = [item for item in candidates if PurePosixPath(item.path).name == name]
            how = "name"
        if known and found and how != "sha256":
            self.warnings.append(f"{path}: has another SHA-256 than {found[0].path}; not linked")
            return
        contents = {item.digest for item in found}
        if len(contents) > 1 and how == "name":
            self.element("entity", entity, [("ambiguous", True)])
            self.warnings.append(
                f"{path}: {len(found)} inputs have this name; not linked, see --for"
            )
            return
        for item in found:
            self.link(entity, item, "user" if self.only is not None and how == "name" else how)

    def _declare(self, ours: OurFile) -> None:
        name = self.element(
            "entity",
            ours.entity,
            [
                ("prov:label", ours.name),
                ("prov:location", ours.path),
                ("name", ours.name),
                ("sha256", ours.digest),
            ],
        )
        if "prov:type" not in self.data["entity"][name]:
            self.typed("entity", name, "gpwf:File", "wfprov:Artifact")
        self.element("entity", ours.content, [("sha256", ours.digest)])
        if "prov:type" not in self.data["entity"][ours.content]:
            self.typed("entity", ours.content, "gpwf:Content")
        self._between("specializationOf", specificEntity=name, generalEntity=ours.content)

    def _between(self, section: str, **ends: str) -> None:
        records = self.data.setdefault(section, {})
        record = {f"prov:{key}": value for key, value in ends.items()}
        if record not in records.values():
            records[f"_:{section}{len(records) + 1}"] = record

    # ---- the whole --------------------------------------------------------------------------

    def finish(self) -> Mapping[str, Any]:
        """Return the document, with the file that it comes from as an entity.

        Raises
        ------
        ProvenanceError
            Where the user named an input and nothing in the file is that.
        """
        if self.only is not None and not self.links:
            raise ProvenanceError(
                f"{self.source} says nothing of {self.only.path}",
                hint="nothing in it has that name or SHA-256; leave --for out to keep it unlinked",
            )
        name = self.element(
            "entity",
            f"gpwf:{local_id('foreign', self.digest)}",
            [
                ("prov:label", self.source),
                ("name", self.source),
                ("sha256", self.digest),
                ("foreignFormat", self.form),
            ],
        )
        self.typed("entity", name, "gpwf:ForeignRecord")
        self.data["prefix"].setdefault("xsd", "http://www.w3.org/2001/XMLSchema#")
        return self.data


def _add(record: dict[str, Any], key: str, value: Any) -> None:
    known = record.get(key)
    if known is None:
        record[key] = value
        return
    values = known if isinstance(known, list) else [known]
    if value not in values:
        record[key] = [*values, value]
