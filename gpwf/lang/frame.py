"""One document on its way to the specification: its parameters, tables and axes.

A workflow that another one includes is a frame within the frame of the other. Its parameters may
depend on the axes of the step that includes it, so that there is one scope for every value that
they take.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from gpwf.core.catalog import StepCatalog
from gpwf.core.expressions import lookups
from gpwf.core.points import Point, Points
from gpwf.core.spec import Origin
from gpwf.lang.axes import Registry, values_at
from gpwf.lang.document import Document
from gpwf.lang.environment import Environment
from gpwf.lang.files import absolute
from gpwf.lang.params import ParamDeclaration, Params, declare
from gpwf.lang.refs import ReferenceSyntaxError, parse_template
from gpwf.lang.report import Report
from gpwf.lang.scope import Scope
from gpwf.lang.tables import read_tables
from gpwf.lang.tree import Node, walk

__all__ = ["Frame", "Reading", "workflow_name"]

_SUFFIXES = (".gpwf.yaml", ".gpwf.yml", ".yaml", ".yml")
_ABOUT = ("name", "description", "metadata")


@dataclass(slots=True, kw_only=True)
class Reading:
    """What all frames of one reading share.

    Parameters
    ----------
    catalog : StepCatalog
        The step types.
    report : Report
        Takes the problems.
    environment : Environment
        Environment variables.
    registry : Registry
        Axes.
    sources : dict of str to str
        SHA-256 of every file that was read, by absolute path.
    """

    catalog: StepCatalog
    report: Report
    environment: Environment
    registry: Registry
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Frame:
    """A document and what its expressions can see.

    Parameters
    ----------
    reading : Reading
        What all frames share.
    root : Node
        The document, after profile and command line.
    document : Document
        As it was read.
    path : Path or None
        Its file.
    base : Path
        Folder that relative paths count from.
    given : mapping of str to Node
        Values of parameters from outside; for an included document still with expressions of the
        one around it.
    prefix : str
        What the full names of steps and axes begin with.
    parent : Frame or None
        The document that includes this one.
    points : Points
        Where the step that includes the document runs.
    missing : frozenset of str
        Parameters that the document around gives no value although it must; that is reported.
    """

    reading: Reading
    root: Node
    document: Document
    path: FilePath | None
    base: FilePath
    given: Mapping[str, Node] = field(default_factory=dict)
    prefix: str = ""
    parent: Frame | None = None
    points: Points = field(default_factory=Points)
    missing: frozenset[str] = frozenset()
    axes: dict[str, str] = field(default_factory=dict)
    used_params: set[str] = field(default_factory=set)
    used_tables: set[str] = field(default_factory=set)
    about: dict[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    tables: dict[str, Node] = field(default_factory=dict)
    lost_tables: frozenset[str] = frozenset()
    partial: bool = False  # a step with problems: nobody knows which axes the others inherit
    outer: tuple[str, ...] = ()
    varying: frozenset[str] = frozenset()
    varying_tables: frozenset[str] = frozenset()
    _declarations: dict[str, ParamDeclaration] = field(default_factory=dict)
    _scopes: dict[Point, Scope] = field(default_factory=dict)

    def prepare(self, steps: tuple[str, ...]) -> Params:
        """Read declarations and tables; return the parameters at the first values of all axes."""
        self.about, self.steps = self._about(), steps
        declared = self.root.child("params") or Node(value={})
        self._declarations = {name: declare(name, node) for name, node in declared.items()}
        if self.parent is not None:
            self._find_varying(self.parent)
        found = read_tables(self.root, self.base, self.reading.report)
        self.tables, self.lost_tables = found.nodes, frozenset(found.lost)
        self.varying_tables = frozenset(
            name
            for name, node in self.tables.items()
            if self.varying and _touches(_used_params(node), self.varying)
        )
        for document in found.documents:
            path = FilePath(document.file).absolute()
            self.reading.sources[str(path)] = document.digest
        params = self.scope().params
        assert isinstance(params, Params)
        return params

    def _find_varying(self, parent: Frame) -> None:
        """Find the parameters that depend on axes of the documents around."""
        outer: dict[str, None] = {}
        varying: set[str] = set()
        scope = parent.scope()
        for name, node in self.given.items():
            slots = scope.resolve(node).slots
            outer |= dict.fromkeys(axis for slot in slots for axis in slot.axes)
            varying |= {name} if slots else set()
        users = {
            name: _used_params(item.default)
            for name, item in self._declarations.items()
            if item.default is not None and name not in self.given
        }
        while True:
            more = {name for name, used in users.items() if _touches(used, varying)} - varying
            if not more:
                break
            varying |= more
        self.outer, self.varying = tuple(outer), frozenset(varying)

    def scope(self, coordinates: Mapping[str, int] | None = None) -> Scope:
        """Return what expressions see at some positions on axes, by full name.

        Without positions on all axes around the document: at the first value of each.
        """
        registry = self.reading.registry
        if coordinates is None or any(name not in coordinates for name in self.outer):
            found = [registry.sample(name) for name in self.outer]
            coordinates = {
                name: number
                for name, number in zip(self.outer, found, strict=True)
                if number is not None
            }
        at = tuple(coordinates.get(name, -1) for name in self.outer)
        if at not in self._scopes:
            self._scopes[at] = self._make_scope(coordinates)
        return self._scopes[at]

    def _make_scope(self, coordinates: Mapping[str, int]) -> Scope:
        """Settle the parameters and tables for some positions on the axes around."""
        given = dict(self.given)
        if self.parent is not None:
            outer = self.parent.scope(coordinates)
            values = self.parent.values(coordinates)
            known = {  # an axis without values leaves open what depends on it
                key: node
                for key, node in given.items()
                if all(name in coordinates for name in _axes_of(outer, node))
            }
            resolved = {key: outer.resolve(node, values=values) for key, node in known.items()}
            given = {
                key: self._from_outside(key, item.node, self.parent.base)
                for key, item in resolved.items()
                if not item.failed
            }
        reading = self.reading
        fallback = reading.catalog.unit_fallback
        params = Params(
            report=reading.report,
            declarations=self._declarations,
            given=given,
            command_base=FilePath.cwd() if self.parent is None else self.parent.base,
            fallback=fallback,
            lost=(frozenset(self.given) - frozenset(given)) | self.missing,
        )
        scope = Scope(
            report=reading.report,
            params=params,
            param_nodes=params.nodes,
            environment=reading.environment,
            workflow=self.about,
            axes=self.axes,
            steps=self.steps,
            lost_tables=self.lost_tables,
            hidden_tables=frozenset(self.tables),
            fallback=fallback,
            used_params=self.used_params,
            used_tables=self.used_tables,
        )
        params.scope = scope
        params.settle_all()  # here, what they are made of has one value
        scope.varying, scope.outer = self.varying, self.outer
        scope.varying_tables = self.varying_tables
        resolved = {name: scope.resolve(node, values={}) for name, node in self.tables.items()}
        scope.set_tables({name: item.node for name, item in resolved.items()})
        scope.lost_tables |= {name for name, item in resolved.items() if item.failed}
        return scope

    def _from_outside(self, name: str, node: Node, folder: FilePath) -> Node:
        """Return a value that the document around gives; its paths count from there."""
        found = absolute(node, folder, self.base)
        declared = self._declarations.get(name)
        is_path = declared is not None and declared.kind == "path" and isinstance(found.value, str)
        if is_path and folder != self.base and found.value[:1] not in ("$", "~", "/"):
            return replace(found, value=str(folder / found.value))
        return found

    def values(self, coordinates: Mapping[str, int]) -> dict[str, Any]:
        """Return the values of the document's axes by their names in it."""
        return values_at(
            self.reading.registry, self.axes, coordinates.keys(), tuple(coordinates.values())
        )

    def settled(self) -> tuple[dict[str, Any], dict[str, Origin]]:
        """Return values and origins of the parameters."""
        params = self.scope().params
        assert isinstance(params, Params)
        return params.settle_all()

    def _about(self) -> dict[str, Any]:
        """Return name, description and metadata of the workflow."""
        found = {key: node.plain() for key, node in self.root.items() if key in _ABOUT}
        name, metadata = found.get("name"), found.get("metadata")
        return {
            "name": name if isinstance(name, str) else workflow_name(self.path),
            "description": found.get("description") or "",
            "metadata": metadata if isinstance(metadata, dict) else {},
        }


def _axes_of(scope: Scope, node: Node) -> set[str]:
    """Return the full names of the axes that a value depends on."""
    return {axis for slot in scope.resolve(node).slots for axis in slot.axes}


_ANY = "*"  # no name of a parameter: it is looked up, too


def _touches(used: set[str], varying: AbstractSet[str]) -> bool:
    """Return True where a value may depend on one of some parameters."""
    return bool(varying) and bool(used & varying or _ANY in used)


def _used_params(node: Node) -> set[str]:
    """Return the parameters that a value is made of."""
    found: set[str] = set()
    for _, part in walk(node):
        if isinstance(part.value, str) and "${" in part.value:
            try:
                template = parse_template(part.value)
            except ReferenceSyntaxError:  # reported when the value is evaluated
                continue
            for item in template.expressions if template is not None else ():
                parts = [lookup.parts for lookup in lookups(item) if lookup.parts[0] == "params"]
                found |= {
                    str(part[1]) if isinstance(part[1], str) else _ANY for part in parts if part[1:]
                }
    return found


def workflow_name(path: FilePath | None) -> str:
    """Return the name of a file without its suffixes."""
    if path is None:
        return "workflow"
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix)
    return path.stem
