"""The records of an ordinary attempt as lines of PROV-JSON, each put together at once.

Nearly all records of a large run are those of attempts that went well. What `gpwf.prov.tasks` and
`gpwf.prov.flows` say record by record is said here in one go, with texts that are prepared once
for each step and port. Whatever is out of the ordinary is left to them; that both say the same is
tested.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, NamedTuple

from gpwf.core.plan import Task
from gpwf.core.redact import looks_secret
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    ProductFile,
    Resources,
)
from gpwf.prov.context import Settings, Used
from gpwf.prov.included import coordinates_of
from gpwf.prov.json_values import encoded, several
from gpwf.prov.recorder import json_text
from gpwf.prov.vocabulary import local_id

if TYPE_CHECKING:
    from gpwf.prov.json_recorder import JsonRecorder
    from gpwf.prov.json_values import Notes

__all__ = ["QuickLines"]

_MOST_TEXTS = 1024


class _Port(NamedTuple):
    """Texts of the products of a port and a kind."""

    suffix: str
    name: str
    port: str
    kind: str
    role: str
    value: str


class _Setting(NamedTuple):
    """Texts of a setting of a type."""

    is_plain: bool
    head: str
    tail: str
    entity: str
    name: str
    kind: str
    role: str


class QuickLines:
    """Writes what is ordinary for a recorder; tells where something is not.

    Parameters
    ----------
    recorder : JsonRecorder
        Whose lines it writes.
    """

    def __init__(self, recorder: JsonRecorder) -> None:
        self._to = recorder
        types = recorder.types
        self._process = types[("wfprov:ProcessRun",)]
        self._product = types[("gpwf:Product", "wfprov:Artifact", "prov:Collection")][1:]
        self._value = types[("gpwf:Value",)][1:]
        self._file = types[("gpwf:File", "wfprov:Artifact")][1:]
        self._content = types[("gpwf:Content",)][1:]
        self._parameter = types[("voprov:Parameter",)][1:]
        self._ports: dict[tuple[str, str], _Port] = {}
        self._names: dict[str, str] = {}
        self._settings: dict[tuple[str, str], _Setting] = {}
        self._places: dict[tuple[str, str, int], str] = {}

    # ---- attempts ---------------------------------------------------------------------------

    def attempt(
        self,
        local: str,
        task: Task,
        begun: AttemptStarted,
        ended: AttemptFinished,
        times: tuple[datetime, datetime],
        notes: Notes,
        responsible: tuple[str, str, tuple[str, ...]],
    ) -> bool:
        """Write the activity of an attempt, its start and its associations.

        Parameters
        ----------
        local : str
            Local name of the activity.
        task, begun, ended, times
            A first attempt that went well, and when it began and ended.
        notes : prepared attributes
            What it has in common with others.
        responsible : tuple
            Local names of the run, of the engine, and of the plans.

        Returns
        -------
        bool
            False where something is not ordinary; nothing is written then.
        """
        to, name, key = self._to, quote(task.id), begun.key
        if "\\u" in name or not _is_plain(key):
            return False
        if not to.begin_new(local, *times, _texts(ended)):
            return False
        append, start = to.lines["activity"].append, to.start_text
        append(
            f'"gpwf:{local}":{{"prov:startTime":{start},"prov:endTime":{to.end_text}'
            f'{self._process}{notes.text},"prov:label":{name[:-1]}, attempt 1","gpwf:task":{name}'
            f'{self._own(task)},"gpwf:attempt":{{"$":"1","type":"xsd:int"}},"gpwf:state":"ok"'
            f',"gpwf:taskKey":"{key}"{self._used(begun.worker, ended.resources)}}}'
        )
        run, engine, plans = responsible
        to.lines["wasStartedBy"].append(
            f'"gpwf:sta-{local}":{{"prov:activity":"gpwf:{local}","prov:starter":"gpwf:{run}"'
            f',"prov:time":{start}}}'
        )
        for plan in plans:
            content = f'["gpwf-prov-ass/1","{local}","{engine}","{plan}"]'
            number = sha256(content.encode()).hexdigest()
            to.lines["wasAssociatedWith"].append(
                f'"gpwf:ass-{number}":{{"prov:activity":"gpwf:{local}",'
                f'"prov:agent":"gpwf:{engine}","prov:plan":"gpwf:{plan}"}}'
            )
        return True

    def _own(self, task: Task) -> str:
        """Return what a task does not share with the others of its step."""
        text = ""
        seed = task.settings.get("seed")
        if seed is not None and (word := encoded(seed)):
            text = f',"gpwf:seed":{word}'
        if task.stream:
            text += f',"gpwf:stream":"[{",".join(map(str, task.stream))}]"'
        if task.coordinates:
            parts = []
            for axis, value in task.coordinates.items():
                words = value if type(value) is str else json_text(value)
                parts.append(quote(f"{axis}={words}"))
            joined = several(parts)
            if "\\u" in joined:
                joined = several([encoded(word) for _, word in coordinates_of(task.coordinates)])
            text += f',"gpwf:coordinate":{joined}'
        return text

    def _used(self, worker: str, used: Resources) -> str:
        """Return what an attempt used, and where it ran."""
        place = worker, used.host, used.pid
        text = self._places.get(place)
        if text is None:
            pairs = (("worker", worker), ("host", used.host), ("pid", used.pid or None))
            text = self._to.prepare(pairs).text
            if len(self._places) < _MOST_TEXTS:
                self._places[place] = text
        text += f',"gpwf:wallTime_s":{encoded(used.wall_s)}'
        if used.cpu_s:
            text += f',"gpwf:cpuTime_s":{encoded(used.cpu_s)}'
        if used.peak_rss_bytes:
            text += f',"gpwf:peakMemory_B":{encoded(used.peak_rss_bytes)}'
        return text

    def setting(self, name: str, value: int, kind: str, notes: Notes) -> Settings | None:
        """Write a setting that is a whole number; return its usages, None where it is not plain.

        Parameters
        ----------
        name, value, kind
            Of the setting; a scatter has one number after the other.
        notes : prepared attributes
            Where it came from.
        """
        texts = self._settings.get((name, kind))
        if texts is None:
            label, role = quote(name), quote(f"in.{name}")
            plain = "\\u" not in label and 0 < len(name) < 100 and kind != "path"
            plain = plain and not looks_secret(name)
            head, tail = f'["gpwf-prov-param/1",{label},', f',"",{quote(kind)}]'
            entity = f'{{{self._parameter},"prov:label":{label[:-1]} = '
            texts = _Setting(plain, head, tail, entity, label, quote(kind), role)
            if len(self._settings) < _MOST_TEXTS:
                self._settings[name, kind] = texts
        if not texts.is_plain or not -(1 << 63) <= value < 1 << 63:
            return None
        number = sha256(f"{texts.head}{value}{texts.tail}".encode()).hexdigest()
        local = f"param-{number}"
        if self._to.is_new(local):
            self._to.lines["entity"].append(
                f'"gpwf:{local}":{texts.entity}{value}","voprov:name":{texts.name}'
                f',"prov:value":{encoded(value)},"voprov:valueType":{texts.kind}}}'
            )
        begin = f'","{local}",{texts.role}]'.encode()
        middle, end = f'","prov:entity":"gpwf:{local}"', f',"prov:role":{texts.role}'
        here = begin, middle, f"{end}{notes.text}}}"
        return Settings(value, (here,), ((begin, middle, f"{end}}}"),))

    # ---- products ---------------------------------------------------------------------------

    def product(
        self,
        attempt_id: str,
        label: str,
        port: str,
        product: Product,
        used: Iterable[Used],
        notes: Notes | None,
    ) -> str | None:
        """Write what the attempt that is being recorded made at a port; return its local name.

        Parameters
        ----------
        attempt_id : str
            UUID of the attempt.
        label : str
            Of the product.
        port, product
            What it made.
        used : iterable of Used
            What it is derived from.
        notes : prepared attributes, optional
            Names of the results that it is.

        Returns
        -------
        str or None
            None where something is not ordinary; nothing is written then.
        """
        to, digest, name = self._to, product.digest, quote(label)
        texts = self._ports.get((port, product.kind)) or self._port(port, product.kind)
        activity = f"act-{attempt_id}"
        summary = f',"gpwf:summary":{quote(json_text(product.summary))}' if product.summary else ""
        if (
            "\\u" in name
            or "\\u" in summary
            or activity != to.activity_now
            or not texts.suffix
            or not _is_plain(digest)
            or not all(map(self._is_plain_file, product.files))
        ):
            return None
        local, value = f"product-{attempt_id}{texts.suffix}", f"value-{digest}"
        size = product.files[0].size if len(product.files) == 1 else product.size
        entities = to.lines["entity"]
        entities.append(
            f'"gpwf:{local}":{{{self._product},"prov:label":{name}{texts.port}{texts.kind}'
            f',"gpwf:digest":"{digest}","gpwf:size_B":{encoded(size)}{summary}'
            f"{notes.text if notes else ''}}}"
        )
        to.specialises(local, value)
        if to.is_new(value):
            entities.append(
                f'"gpwf:{value}":{{{self._value}{texts.value}{digest[:12]}"{texts.kind}'
                f',"gpwf:digest":"{digest}"}}'
            )
        generation = self._generated(local, activity, texts.role)
        for old, usage in used:
            to.derived(local, old, activity, generation, usage)
        for item in product.files:
            self._one(
                f'["gpwf-prov-file/1","{attempt_id}",{texts.name},',
                item,
                activity,
                texts.role,
                local,
            )
        return local

    def _one(self, begin: str, item: ProductFile, activity: str, role: str, product: str) -> None:
        """Write a file of a product."""
        to, name, size = self._to, self._names[item.name], encoded(item.size)
        entities = to.lines["entity"]
        local = f"file-{sha256(f'{begin}{name}]'.encode()).hexdigest()}"
        content = f"sha256-{item.digest}"
        data = f',"gpwf:dataDigest":"{item.data_digest}"' if item.data_digest else ""
        entities.append(
            f'"gpwf:{local}":{{{self._file},"prov:label":{name},"gpwf:name":{name}'
            f',"gpwf:sha256":"{item.digest}"{data},"gpwf:size_B":{size}}}'
        )
        to.specialises(local, content)
        if to.is_new(content):
            entities.append(
                f'"gpwf:{content}":{{{self._content},"gpwf:sha256":"{item.digest}"'
                f',"gpwf:size_B":{size}}}'
            )
        self._generated(local, activity, role)
        to.member(product, local)

    def _generated(self, entity: str, activity: str, role: str) -> str:
        """Write that the activity made an entity; return the name of the generation."""
        to = self._to
        local = f"gen-{entity}"
        to.lines["wasGeneratedBy"].append(
            f'"gpwf:{local}":{{"prov:entity":"gpwf:{entity}","prov:activity":"gpwf:{activity}"'
            f',"prov:time":{to.end_text}{role}'
        )
        return local

    def _port(self, port: str, kind: str) -> _Port:
        """Return the texts of a port; without a suffix where its name is not ordinary."""
        local = local_id("product", "x", port)
        plain = local == f"product-x-{port}" and kind and "\\u" not in quote(kind)
        texts = _Port(
            suffix=f"-{port}" if plain else "",
            name=quote(port),
            port=f',"gpwf:port":{quote(port)}',
            kind=f',"gpwf:kind":{quote(kind)}',
            role=f',"prov:role":{quote(f"out.{port}")}}}',
            value=f',"prov:label":{quote(f"{kind} ")[:-1]}',
        )
        if len(self._ports) < _MOST_TEXTS:
            self._ports[port, kind] = texts
        return texts

    def _is_plain_file(self, item: ProductFile) -> bool:
        """Return True for a file whose record needs no care; its name is known then."""
        name = item.name
        if name not in self._names:
            text = quote(name)
            if not name or "\\u" in text:
                return False
            if len(self._names) >= _MOST_TEXTS:
                self._names.clear()
                return False  # those of this product may be among them
            self._names[name] = text
        return _is_plain(item.digest) and (not item.data_digest or _is_plain(item.data_digest))


def _texts(ended: AttemptFinished) -> tuple[str, str] | None:
    """Return the JSON texts of the times of an attempt, where they need not be taken apart."""
    one, two = ended.started, ended.ended
    if not (_is_usual(one) and _is_usual(two)):
        return None
    return f'"{one[:-1]}+00:00"', f'"{two[:-1]}+00:00"'


def _is_usual(time: str) -> bool:
    """Return True for a time, known to be one, that is written as the engine writes it."""
    return (
        len(time) == 27
        and time[26] == "Z"
        and time[19] == "."
        and time[10] == "T"
        and time[7] == "-"
        and time[20:26] != "000000"
    )


def _is_plain(digest: str) -> bool:
    return digest.isalnum() and digest.isascii()
