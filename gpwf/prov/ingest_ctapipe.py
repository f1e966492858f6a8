"""Logs of ctapipe (``ctapipe-*.provenance.log``) as PROV.

A log is a JSON list of activities; a tool that appends to an older log writes a second list behind
it. Times are called ``time_utc`` and have no zone: they are UTC by their name.

References
----------
https://ctapipe.readthedocs.io (``ctapipe.core.Provenance``)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gpwf.core.redact import Redactor, redact_command, redact_text
from gpwf.errors import ProvenanceError
from gpwf.prov.ingest_links import ForeignDocument, foreign_name, path_of
from gpwf.prov.recorder import json_text

__all__ = ["is_ctapipe", "read_ctapipe", "split_json"]

_ZONE = "UTC"


def split_json(text: str, source: str) -> list[Any]:
    """Return the JSON documents of a text, one behind the other.

    Raises
    ------
    ProvenanceError
        With the line where it is torn.
    """
    decoder = json.JSONDecoder()
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ProvenanceError(
                f"{source}:{error.lineno}:{error.colno}: not JSON: {error.msg}",
                hint="the file is torn or of another format; nothing was taken in",
            ) from None
        except RecursionError:
            raise ProvenanceError(f"{source}: too deeply nested") from None
        found.append(value)
    return found


def is_ctapipe(documents: list[Any]) -> bool:
    """Return True for what looks like a log of ctapipe."""
    return bool(documents) and all(
        isinstance(item, list) and item and all(isinstance(part, Mapping) for part in item)
        for item in documents
    )


def read_ctapipe(documents: list[Any], into: ForeignDocument) -> None:
    """Take a log in.

    Activities keep their UUIDs, files that have a ``CTA PRODUCT ID`` keep that; other files are
    named by log and path. A path that is written again is another entity from then on.

    Raises
    ------
    ProvenanceError
        Where an activity is not as ctapipe writes it; names its place in the list.
    """
    files = _Files(into)
    activities = [item for document in documents for item in document]
    for number, item in enumerate(activities):
        where = f"{into.source}, activity {number + 1}"
        name = item.get("activity_name")
        if not isinstance(name, str):
            raise ProvenanceError(f"{where}: it has no activity_name", hint=_HINT)
        activity = _activity(item, name, number, where, into)
        for url, entry in _entries(item, "input", where):
            entity = files.used(url, entry)
            role = _role(entry, "input")
            into.relation("used", "use", activity=activity, entity=entity, role=role)
        for url, entry in _entries(item, "output", where):
            entity = files.made(url, entry)
            role = _role(entry, "output")
            into.relation("wasGeneratedBy", "gen", entity=entity, activity=activity, role=role)
    files.match()


_HINT = "expected a provenance log of ctapipe: a JSON list of activities"


def _activity(
    item: Mapping[str, Any], name: str, number: int, where: str, into: ForeignDocument
) -> str:
    uuid = str(item.get("activity_uuid") or "")
    local = foreign_name("act", uuid) if uuid else foreign_name("act", into.digest, str(number))
    found = item.get("system")
    system: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    arguments = system.get("arguments")
    command = redact_command(map(str, arguments)) if isinstance(arguments, list) else ()
    config = item.get("config")
    activity = into.element(
        "activity",
        local,
        [
            ("prov:startTime", _time(item, "start", where)),
            ("prov:endTime", _time(item, "stop", where)),
            ("prov:label", name),
            ("name", name),
            ("state", item.get("status")),
            ("exitCode", item.get("exit_code")),
            ("command", list(command)),
            ("foreignConfig", json_text(Redactor().data(config)) if config else None),
            ("assumedZone", _ZONE),
            *(("environment", fact) for fact in _facts(system)),
            *(("distribution", text) for text in _packages(system)),
        ],
    )
    version = str(system.get("ctapipe_version") or "")
    if version:
        agent = into.element(
            "agent",
            foreign_name("software", "ctapipe", version),
            [("prov:label", f"ctapipe {version}"), ("name", "ctapipe"), ("version", version)],
        )
        if "prov:type" not in into.data["agent"][agent]:
            into.typed("agent", agent, "prov:SoftwareAgent")
        into.relation("wasAssociatedWith", "ass", activity=activity, agent=agent)
    return activity


def _time(item: Mapping[str, Any], which: str, where: str) -> str | None:
    """Return a time with its zone; None where the activity has none, it may have been killed."""
    part = item.get(which)
    text = part.get("time_utc") if isinstance(part, Mapping) else None
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise ProvenanceError(f"{where}: {which} is no time: {text}", hint=_HINT) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _facts(system: Mapping[str, Any]) -> Iterator[str]:
    """Yield what ran it, but nothing of accounts and machines: they are nobody's business."""
    for name in ("ctapipe_version", "ctapipe_resources_version", "eventio_version"):
        if system.get(name):
            yield f"{name}={system[name]}"
    python = system.get("python")
    version = python.get("version") if isinstance(python, Mapping) else None
    if isinstance(version, list):
        yield f"python.version={'.'.join(map(str, version))}"
    platform = system.get("platform")
    for name in ("system", "machine"):
        if isinstance(platform, Mapping) and platform.get(name):
            yield f"platform.{name}={platform[name]}"


def _packages(system: Mapping[str, Any]) -> Iterator[str]:
    python = system.get("python")
    packages = python.get("packages") if isinstance(python, Mapping) else None
    for item in packages if isinstance(packages, list) else ():
        if isinstance(item, Mapping) and item.get("name"):
            yield f"{item['name']}=={item.get('version', '')}"


def _entries(
    item: Mapping[str, Any], which: str, where: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield address and entry of the files; old versions wrote the address alone."""
    entries = item.get(which, [])
    if not isinstance(entries, list):
        raise ProvenanceError(f"{where}: {which} is no list", hint=_HINT)
    for entry in entries:
        about = entry if isinstance(entry, Mapping) else {"url": entry}
        url = about.get("url")
        if not isinstance(url, str) or not url:
            raise ProvenanceError(f"{where}: an {which} has no url", hint=_HINT)
        yield url, about


def _role(entry: Mapping[str, Any], which: str) -> str:
    """Return the role of a file; the name of its list where the log gives none."""
    return str(entry.get("role") or which)


class _Files:
    """Files of a log: the version of a path that an activity used or made."""

    def __init__(self, into: ForeignDocument) -> None:
        self._into = into
        self._versions: dict[str, int] = {}
        self._latest: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def used(self, url: str, entry: Mapping[str, Any]) -> str:
        """Return the file as it was when an activity used it."""
        path = path_of(url)
        known = self._latest.get(path)
        product = _product(entry)
        if known is None or (product and product != _product(known[1])):
            return self._declare(path, entry, product)
        return known[0]

    def made(self, url: str, entry: Mapping[str, Any]) -> str:
        """Return the file that an activity wrote."""
        path = path_of(url)
        if path in self._latest:
            self._versions[path] = self._versions.get(path, 0) + 1
        return self._declare(path, entry, _product(entry))

    def _declare(self, path: str, entry: Mapping[str, Any], product: str) -> str:
        version = str(self._versions.get(path, 0))
        if product:
            name = foreign_name("product", product)
        else:
            name = foreign_name("file", self._into.digest, path, version)
        self._into.element(
            "entity",
            name,
            [
                ("prov:label", path.rpartition("/")[2]),
                ("prov:location", redact_text(path)),
                ("producerId", f"CTA PRODUCT ID={product}" if product else None),
            ],
        )
        self._latest[path] = name, entry
        return name

    def match(self) -> None:
        """Link the last version of every path with our inputs."""
        for path, (name, _) in self._latest.items():
            self._into.match(name, path)


def _product(entry: Mapping[str, Any]) -> str:
    """Return the identifier that a producer gave a file; flat and nested metadata have it."""
    meta = entry.get("reference_meta")
    if not isinstance(meta, Mapping):
        return ""
    product = meta.get("product")
    nested = product.get("id_") or product.get("id") if isinstance(product, Mapping) else None
    flat = meta.get("CTA PRODUCT ID") or meta.get("CTAO PRODUCT ID")
    return str(nested or flat or "")
