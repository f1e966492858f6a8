"""What changes a document from outside: a profile, params files, ``-p`` and ``--set``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from gpwf.core.catalog import StepCatalog
from gpwf.lang.codes import Code
from gpwf.lang.document import Document, read_document
from gpwf.lang.files import absolute, read_file
from gpwf.lang.params import given_on_command_line
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.settypes import schema_at, yaml_source
from gpwf.lang.tree import COMMAND_LINE, Node, Place, from_plain, overlay, with_source

__all__ = [
    "apply_profile",
    "apply_sets",
    "check_profiles",
    "command_line_params",
    "read_params_file",
]

_PART = re.compile(r"[^.\[\]]+|\[\d{1,6}\]")
_MAX_PARTS = 50
_SETTABLE = ("params", "defaults", "outputs", "execution", "metadata", "name", "description")


def read_params_file(
    path: FilePath, base: FilePath, report: Report
) -> tuple[dict[str, Node], Document]:
    """Return the values of a params file, ``{name: value}``; relative paths count from it."""
    document = read_file(path, source="params file")
    report.documents.append(document)
    report.extend(document.diagnostics)
    root = document.root
    if root is None:
        return {}, document
    if not root.is_mapping:
        message = "a params file is a mapping of names to values"
        report.add(Code.WRONG_TYPE, message, root)
        return {}, document
    folder = path.absolute().parent
    return {name: absolute(node, folder, base) for name, node in root.items()}, document


def apply_profile(root: Node, name: str, report: Report) -> tuple[Node, dict[str, Node]]:
    """Return a document with a profile laid over it, and the profile's values of parameters."""
    profiles = root.child("profiles")
    known = [key for key, _ in profiles.items()] if profiles is not None else []
    profile = profiles.child(name) if profiles is not None else None
    if profile is None:
        hint = near_miss(name, known) or (f"profiles: {listed(known)}" if known else None)
        message = f"{COMMAND_LINE}: --profile {name}: the workflow has no such profile"
        report.add(Code.UNKNOWN_PROFILE, message, hint=hint)
        return root, {}
    profile = with_source(profile, "profile")
    params = profile.child("params")
    changed = dict(root.value)
    execution = overlay(root.child("execution"), profile.child("execution"))
    if execution is not None:
        changed["execution"] = execution
    steps = root.child("steps")
    if steps is not None and steps.is_list:
        changes = profile.child("steps") or Node(value={})
        changed["steps"] = replace(
            steps, value=[_profiled_step(step, profile, changes) for step in steps.value]
        )
    return replace(root, value=changed), dict(params.items()) if params is not None else {}


def _step_name(step: Node) -> str | None:
    """Return the name of a step, its tag where it has none."""
    node = step.child("name") or step.child("tag")
    return node.value if node is not None and isinstance(node.value, str) else None


def check_profiles(root: Node, report: Report) -> None:
    """Refuse profiles, chosen or not, that change steps or parameters that do not exist."""
    steps, declared = root.child("steps"), root.child("params")
    found = [_step_name(step) for step in (steps.entries() if steps is not None else ())]
    names = [name for name in found if name is not None]
    known = [name for name, _ in declared.items()] if declared is not None else []
    profiles = root.child("profiles")
    for profile, node in profiles.items() if profiles is not None else ():
        for name, change in (node.child("steps") or Node(value={})).items():
            if name not in names:
                hint = near_miss(name, names) or f"steps: {listed(names)}"
                message = f"the profile {profile!r} changes a step {name!r} that does not exist"
                place = Place.of_key(change)
                report.add(Code.UNKNOWN_STEP_OVERRIDE, message, place, hint=hint)
        for name, value in (node.child("params") or Node(value={})).items():
            if name not in known:
                near = near_miss(name, known) or (f"parameters: {listed(known)}" if known else None)
                message = f"the workflow has no parameter {name!r}"
                report.add(Code.UNKNOWN_PARAM, message, Place.of_key(value), hint=near)


def _profiled_step(step: Node, profile: Node, changes: Node) -> Node:
    """Lay a profile over one step: its defaults for the tag, then its changes by name."""
    tag = step.child("tag")
    defaults = profile.child("defaults")
    found = defaults.child(str(tag.value)) if tag is not None and defaults is not None else None
    change = changes.child(_step_name(step) or "")
    made = step
    if found is not None and step.is_mapping:
        made = replace(step, value=dict(step.value, config=overlay(step.child("config"), found)))
    merged = overlay(made, change)
    return merged if merged is not None else made


def command_line_params(
    params: Mapping[str, str], sets: Sequence[tuple[str, str]], report: Report
) -> dict[str, Node]:
    """Return the values that ``-p`` and ``--set params.NAME`` give, the later one of each."""
    found = {name: given_on_command_line(name, text) for name, text in params.items()}
    for path, text in sets:
        parts = path.split(".", 1)
        if parts[0] == "params" and len(parts) == 2 and parts[1]:
            node: Node | None = given_on_command_line(parts[1], text)
            if "${" in text:  # with -p it is no expression
                node = _set_value(path, text, report)
            if node is not None:
                found[parts[1]] = replace(node, detail=f"--set {path}={text}")
    return found


def apply_sets(
    root: Node, sets: Sequence[tuple[str, str]], catalog: StepCatalog, report: Report
) -> Node:
    """Return a document with every ``--set`` but those of parameters applied."""
    for path, text in sets:
        parts: list[str | int] = [
            int(part[1:-1]) if part.startswith("[") else part for part in _PART.findall(path)
        ]
        if parts[:1] == ["params"] and len(parts) > 1:
            continue
        if len(parts) > _MAX_PARTS:
            _bad_set(path[:60], "...", "the path is too long", report)
            continue
        where = _target(root, path, parts, report)
        if where is None:
            continue
        node = _set_value(path, text, report, schema_at(root, where, catalog))
        if node is not None:
            changed = _put(root, where, node)
            if changed is None:
                _bad_set(path, text, _no_way(root, where), report)
            else:
                root = changed
    return root


def _no_way(root: Node, where: Sequence[str | int]) -> str:
    """Return why a path leads nowhere: a list ends, or there is neither mapping nor list."""
    found, rest = root.nearest(where)
    if found.is_list:
        count = len(found.value)
        which = f"0 to {count - 1}" if count else "none"
        return f"the list has no item {str(rest[0])!r}; its items are {which}"
    return "the path does not lead through mappings and lists"


def _set_value(
    path: str, text: str, report: Report, schema: Mapping[str, Any] | None = None
) -> Node | None:
    """Read the value of a ``--set`` as YAML, or as what the schema wants."""
    like = Node(value=None, source=COMMAND_LINE, detail=f"--set {path}={text}")
    if not text.strip():
        return replace(like, value=text)
    document = read_document(yaml_source(text, schema or {}), file=COMMAND_LINE)
    if document.root is None or document.diagnostics:
        reason = document.diagnostics[0].message if document.diagnostics else "nothing is given"
        _bad_set(path, text, reason, report)
        return None
    return from_plain(document.root.plain(), like)


def _bad_set(path: str, text: str, reason: str, report: Report, hint: str | None = None) -> None:
    """Report a ``--set`` that cannot be applied."""
    message = f"{COMMAND_LINE}: --set {path}={text}: {reason}"
    report.add(Code.SET_PATH, message, hint=hint)


def _target(
    root: Node, path: str, parts: list[str | int], report: Report
) -> tuple[str | int, ...] | None:
    """Return where a ``--set`` goes; a step is given by its name."""
    first = parts[0] if parts else ""
    if first in _SETTABLE and not (first == "params" and len(parts) == 1):
        return tuple(parts)
    if first != "steps" or len(parts) < 3:
        known = [*_SETTABLE, "steps"]
        hint = near_miss(str(first), known) if first != "steps" else None
        hint = hint or "write steps.NAME.config.KEY=VALUE"
        _bad_set(path, "...", "the path leads nowhere", report, hint)
        return None
    steps = root.child("steps") or Node(value=[])
    names = [_step_name(step) for step in steps.entries()]
    if parts[1] not in names:
        known = [name for name in names if name is not None]
        hint = near_miss(str(parts[1]), known) or f"steps: {listed(known)}"
        message = f"{COMMAND_LINE}: --set {path}: there is no step {str(parts[1])!r}"
        report.add(Code.UNKNOWN_STEP_OVERRIDE, message, hint=hint)
        return None
    if parts[2] in ("name", "tag"):
        _bad_set(path, "...", f"the {parts[2]} of a step cannot be changed", report)
        return None
    return ("steps", names.index(str(parts[1])), *parts[2:])


def _put(node: Node, path: tuple[str | int, ...], value: Node) -> Node | None:
    """Return a tree with a value put at a path; None where a scalar is in the way."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if node.value is None or isinstance(node.value, dict):
        items = dict(node.value or {})
        old = items.get(str(part)) or Node(value=None, source=value.source, detail=value.detail)
        made = _put(old, rest, value)
        if made is None:
            return None
        items[str(part)] = made
        return replace(node, value=items)
    if isinstance(node.value, list):
        text = str(part)
        if not (text.isascii() and text.isdigit()) or int(text) >= len(node.value):
            return None
        made = _put(node.value[int(text)], rest, value)
        if made is None:
            return None
        return replace(
            node, value=[made if n == int(text) else item for n, item in enumerate(node.value)]
        )
    return None
