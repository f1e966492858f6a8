"""The records of an ordinary attempt as lines of PROV-JSON, each put together at once.

Nearly all records of a large run are those of attempts that went well. What `gpwf.prov.tasks` and
`gpwf.prov.flows` say record by record is said here in one go, with texts that are prepared once
for each step and port. Whatever is out of the ordinary is left to them; that both say the same is
tested.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, NamedTuple

from gpwf.core.redact import looks_secret
from gpwf.core.runs import Product, ProductFile
from gpwf.prov.context import Settings, Used
from gpwf.prov.json_activities import MOST_TEXTS, QuickActivities, is_plain
from gpwf.prov.json_values import encoded
from gpwf.prov.recorder import json_text
from gpwf.prov.vocabulary import local_id

if TYPE_CHECKING:
    from gpwf.prov.json_recorder import JsonRecorder
    from gpwf.prov.json_values import Notes

__all__ = ["QuickLines"]


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


class QuickLines(QuickActivities):
    """Writes what is ordinary for a recorder; tells where something is not.

    Parameters
    ----------
    recorder : JsonRecorder
        Whose lines it writes.
    """

    def __init__(self, recorder: JsonRecorder) -> None:
        super().__init__(recorder)
        types = recorder.types
        self._product = types[("gpwf:Product", "wfprov:Artifact", "prov:Collection")][1:]
        self._value = types[("gpwf:Value",)][1:]
        self._file = types[("gpwf:File", "wfprov:Artifact")][1:]
        self._content = types[("gpwf:Content",)][1:]
        self._parameter = types[("voprov:Parameter",)][1:]
        self._ports: dict[tuple[str, str], _Port] = {}
        self._names: dict[str, str] = {}
        self._settings: dict[tuple[str, str], _Setting] = {}

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
            if len(self._settings) < MOST_TEXTS:
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
            or not is_plain(digest)
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
        if len(self._ports) < MOST_TEXTS:
            self._ports[port, kind] = texts
        return texts

    def _is_plain_file(self, item: ProductFile) -> bool:
        """Return True for a file whose record needs no care; its name is known then."""
        name = item.name
        if name not in self._names:
            text = quote(name)
            if not name or "\\u" in text:
                return False
            if len(self._names) >= MOST_TEXTS:
                self._names.clear()
                return False  # those of this product may be among them
            self._names[name] = text
        return is_plain(item.digest) and (not item.data_digest or is_plain(item.data_digest))
