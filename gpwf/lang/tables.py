"""Tables: rows with a name, written in the workflow or in a file of its own."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from gpwf.core.diagnostics import Span
from gpwf.lang.builder import Limits
from gpwf.lang.codes import Code
from gpwf.lang.document import Document, read_document
from gpwf.lang.files import absolute, read_file
from gpwf.lang.report import Report
from gpwf.lang.scalars import NotFiniteError, resolve_scalar
from gpwf.lang.tree import Node, Place

__all__ = ["CSV_LIMITS", "SUFFIXES", "Tables", "read_tables"]

SUFFIXES = (".yaml", ".yml", ".csv", ".ecsv")

CSV_LIMITS = Limits(max_bytes=100_000_000, max_nodes=5_000_000)
"""Bounds of a table in a file of comma-separated values; YAML has those of a document."""

_HINT = "a table is a list of rows that have a `name`, or a mapping of names to rows"


@dataclass(slots=True, kw_only=True)
class Tables:
    """The tables of a document: for every name a mapping of row names to rows.

    Parameters
    ----------
    nodes : dict of str to Node
        Each table as a mapping of the names of its rows to the rows; every row has its ``name``.
    documents : list of Document
        The files that were read.
    lost : list of str
        Names of the tables that cannot be used; the reasons have been reported.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def read_tables(root: Node, base: FilePath, report: Report) -> Tables:
    """Return the tables of a document; problems go to the report.

    Parameters
    ----------
    root : Node
        The document.
    base : Path
        Folder that the names of files count from.
    """
    tables = Tables()
    declared = root.child("tables")
    for name, node in declared.items() if declared is not None else ():
        found: Node | None = node
        if isinstance(node.value, str):
            found = _from_file(node, base, tables, report)
        if found is not None:
            found = _by_name(name, found, report)
        if found is not None:
            tables.nodes[name] = found
        else:
            tables.lost.append(name)
    return tables


def _from_file(node: Node, base: FilePath, tables: Tables, report: Report) -> Node | None:
    """Read the file that a table is in."""
    path = FilePath(node.value)
    if path.suffix.lower() not in SUFFIXES:
        return None  # the schema has said so
    where = base / path
    is_yaml = path.suffix.lower() in SUFFIXES[:2]
    limits = None if is_yaml else CSV_LIMITS
    document = read_file(where, source="workflow", text_only=not is_yaml, limits=limits)
    if not document.digest and document.diagnostics:  # not there: told where it is named
        problem = document.diagnostics[0]
        report.add(Code.TABLE, problem.message, node, hint=problem.hint)
        return None
    report.documents.append(document)
    tables.documents.append(document)
    report.extend(document.diagnostics)
    if document.diagnostics:
        return None
    made = document.root
    if not is_yaml:
        try:
            made = _Csv(document, ecsv=path.suffix.lower() == ".ecsv").table()
        except _BadTableError as error:
            report.add(Code.TABLE, f"{where.name}: {error}", error.place)
            return None
    return None if made is None else absolute(made, where.absolute().parent, base)


def _by_name(table: str, node: Node, report: Report) -> Node | None:
    """Return a table as a mapping of the names of its rows to the rows."""
    rows: dict[str, Node] = {}
    if not (node.is_mapping or node.is_list):
        report.add(Code.TABLE, f"the table {table!r} is not a table", node, hint=_HINT)
        return None
    sound = True
    for name, row in _rows(node):
        if not (row.is_mapping or (row.value is None and name is not None)):
            what = "a row" if name is None else f"the row {name!r}"
            message = f"{what} of the table {table!r} is not a mapping"
            if not report.tells_of(row):
                report.add(Code.TABLE, message, row, hint=_HINT)
            sound = False
            continue
        named = row.child("name")
        if name is None and (named is None or isinstance(named.value, (dict, list, type(None)))):
            message = f"a row of the table {table!r} has no `name`"
            report.add(Code.TABLE, message, named or row, hint=_HINT)
            sound = False
            continue
        label = str(named.value) if named is not None and name is None else str(name)
        if name is not None and named is not None and str(named.value) != name:
            message = f"the row {name!r} of the table {table!r} has another `name`"
            hint = "the key is the name of the row: leave out `name`, or call it otherwise"
            report.add(Code.TABLE, message, named, hint=hint)
            sound = False
        if label in rows:
            first = rows[label].span
            related = ((first, "the first one"),) if first is not None else ()
            message = f"two rows of the table {table!r} have the name {label!r}"
            report.add(Code.TABLE, message, named or row, related=related)
            sound = False
        if named is None:
            named = replace(row, value=label, key_span=None)
        rows[label] = replace(row, value={"name": named, **(row.value or {})})
    return replace(node, value=rows) if sound else None


def _rows(node: Node) -> Iterator[tuple[str | None, Node]]:
    """Yield the rows, with the name that a mapping gives them."""
    yield from node.items()
    for row in node.entries():
        yield None, row


class _BadTableError(ValueError):
    """A file of comma-separated values cannot be understood."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


class _Csv:
    """Reader of CSV and ECSV.

    A dot in the name of a column makes a mapping: ``position.lon`` is ``lon`` within ``position``.
    Cells are read as plain scalars of YAML; one that begins with a bracket is a list or a mapping.
    In ECSV a column of type ``string`` stays text, and ``nan`` in a column of numbers is null, as
    an empty cell is.

    References
    ----------
    RFC 4180 for CSV; Astropy Proposal for Enhancement 6 for ECSV.
    """

    def __init__(self, document: Document, *, ecsv: bool) -> None:
        self.document = document
        self.lines = re.split(r"\r\n|\r|\n", document.text)
        self.units: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.delimiter = ","
        self.first = 0
        if ecsv:
            self._header()

    def _header(self) -> None:
        """Read the commented YAML at the head of an ECSV file."""
        head = []
        for line in self.lines:
            if not line.startswith("#"):
                break
            head.append(re.sub(r"!!?\w+", "", line[1:].removeprefix(" ")))
        self.first = len(head)
        if not head or not head[0].startswith("%ECSV"):
            raise self._error(1, 1, "it does not begin with `# %ECSV`")
        read = read_document("\n".join(item for item in head[1:] if item != "---"), file="header")
        found = read.root.plain() if read.root is not None and not read.diagnostics else None
        if not isinstance(found, dict):
            raise self._error(1, 1, "its header is not YAML")
        self.delimiter = found.get("delimiter", " ")
        if self.delimiter not in (" ", ","):
            raise self._error(1, 1, "its delimiter is neither a space nor a comma")
        columns = found.get("datatype")
        for column in columns if isinstance(columns, list) else ():
            if isinstance(column, dict):
                name = str(column.get("name"))
                self.kinds[name] = str(column.get("datatype"))
                if isinstance(column.get("unit"), str):
                    self.units[name] = column["unit"]

    def table(self) -> Node:
        """Return the rows as a list of mappings."""
        lines = (f"{line}\n" for line in self.lines[self.first :])
        reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        records = self._records(reader)
        at, names = next(records, (1, []))
        if not names:
            raise self._error(1, 1, "it has no line with the names of the columns")
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self._error(at, 1, f"two columns are called {name!r}")
            if not all(name.split(".")):
                raise self._error(at, 1, f"{name!r} is not the name of a column")
        if "name" not in names:
            more = " (columns are separated by commas)" if len(names) == 1 else ""
            raise self._error(at, 1, f"it has no column `name`{more}")
        rows = [self._row(names, line, cells) for line, cells in records]
        if len(rows) * len(names) > CSV_LIMITS.max_nodes:
            raise self._error(1, 1, f"it has more than {CSV_LIMITS.max_nodes} values")
        return Node(value=rows, span=self._span(1, 1))

    def _records(self, reader: Any) -> Iterator[tuple[int, list[str]]]:
        """Yield the lines that are not empty, with their numbers."""
        while True:
            line = self.first + int(reader.line_num) + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                message = f"a cell that is too long, not closed or wrongly quoted: {error}"
                raise self._error(line, 1, message) from None
            if cells is None:
                return
            if any(item.strip() for item in cells):
                yield line, [item.strip() for item in cells]

    def _row(self, names: Sequence[str], line: int, cells: Sequence[str]) -> Node:
        """Return a row."""
        if len(cells) != len(names):
            raise self._error(line, 1, f"{len(cells)} cells for {len(names)} columns")
        made: dict[str, Any] = {}
        position = 0
        text = self.lines[line - 1]
        for name, cell in zip(names, cells, strict=True):
            found = text.find(cell, position)
            position = found + len(cell) if found >= 0 else position
            node = self._cell(name, cell, line, max(found, 0) + 1)
            self._put(made, name, node, line)
        return _nodes(made, self._span(line, 1))

    def _put(self, made: dict[str, Any], name: str, node: Node, line: int) -> None:
        """Put a cell where its column says."""
        *way, last = name.split(".")
        for part in way:
            made = made.setdefault(part, {})
            if not isinstance(made, dict):
                raise self._error(line, 1, f"the columns {part!r} and {name!r} exclude each other")
        if last in made:
            raise self._error(line, 1, f"the column {name!r} is there twice")
        made[last] = node

    def _cell(self, column: str, cell: str, line: int, at: int) -> Node:
        """Return the value of a cell."""
        span = self._span(line, at, len(cell))
        kind = self.kinds.get(column, "")
        if kind == "string" and cell[:1] not in ("[", "{"):
            return Node(value=cell or None, span=span)
        if kind and kind != "string" and cell.lower() == "nan":
            return Node(value=None, span=span)
        if cell[:1] in ("[", "{"):
            inner = read_document(cell, file="cell")
            if inner.root is None or inner.diagnostics:
                raise self._error(line, at, f"{cell[:40]!r}: {inner.diagnostics[0].message}")
            return _nodes(inner.root.plain(), span)
        try:
            value = resolve_scalar(cell) if cell else None
        except NotFiniteError as error:
            raise self._error(line, at, str(error)) from None
        if column == "name" and cell and type(value) not in (int, float, str):
            value = cell  # a row may be called "null"
        unit = self.units.get(column)
        if unit and isinstance(value, (int, float)) and not isinstance(value, bool):
            value = f"{value} {unit}"
        return Node(value=value, span=span)

    def _span(self, line: int, column: int, length: int = 1) -> Span:
        return Span(
            file=self.document.file,
            line=line,
            column=column,
            end_line=line,
            end_column=column + max(length, 1),
        )

    def _error(self, line: int, column: int, message: str) -> _BadTableError:
        return _BadTableError(message, Place(span=self._span(line, column)))


def _nodes(value: Any, span: Span) -> Node:
    """Return plain data with nodes in it as a tree."""
    if isinstance(value, Node):
        return value
    if isinstance(value, dict):
        return Node(value={key: _nodes(item, span) for key, item in value.items()}, span=span)
    if isinstance(value, list):
        return Node(value=[_nodes(item, span) for item in value], span=span)
    return Node(value=value, span=span)
