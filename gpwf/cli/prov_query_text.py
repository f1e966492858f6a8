"""Answers on provenance as text: trees and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.cli.options import shown_path
from gpwf.report.listings import local_time
from gpwf.report.text import clean, duration, memory, state_cell, table

if TYPE_CHECKING:
    from gpwf.api.query import Ancestry, Item, Provenance, Tie

__all__ = ["answer_text"]

_MANY = 8  # siblings that are all shown; of more, the first few
_FEW = 3
_LONGEST = 60  # letters of a value, or of a list of names


def answer_text(provenance: Provenance, question: str, answer: Any, width: int | None) -> str:
    """Return an answer for people.

    Parameters
    ----------
    provenance : Provenance
        Knows the directories of the runs.
    question : str
        What was asked.
    answer : object
        What `gpwf.api.query.Provenance` returned.
    width : int or None
        Columns of the terminal; None for no bound.
    """
    if question == "lineage":
        return "\n".join(_Tree(provenance, answer).lines())
    if question == "software":
        software, code, environments = answer
        return _software(software, code, environments, width)
    if not answer:
        return f"no {question}"
    shape = {
        "products": _products,
        "inputs": _inputs,
        "parameters": _parameters,
        "attempts": _attempts,
    }[question]
    return shape(provenance, answer, width)


class _Tree:
    """What something came from, or what became of it, a line for each product or file."""

    def __init__(self, provenance: Provenance, answer: Ancestry) -> None:
        self.provenance = provenance
        self.up = answer.direction == "up"
        self.roots = answer.roots
        self.items = {item.id: item for item in answer.items}
        self.next: dict[str, list[Tie]] = {}
        for link in answer.links:
            self.next.setdefault(link.effect if self.up else link.cause, []).append(link)
        self.seen: set[str] = set()
        self.runs = {item.run for item in answer.items if item.run}

    def lines(self) -> Iterator[str]:
        """Yield the lines; the way is a stack, for a chain may be longer than Python's."""
        stack = [(item, "", "") for item in reversed(self.roots)]
        while stack:
            name, label, indent = stack.pop()
            if not name:
                yield f"{indent}{label}"
                continue
            item = self.items[name]
            again = name in self.seen
            head = f"{label}: " if label else ""
            tail = " (see above)" if again and self._after(name) else ""
            yield f"{indent}{head}{clean(self._told(item, full=not again))}{tail}"
            if not again:
                self.seen.add(name)
                stack += [
                    (after, role, indent + "  ")
                    for after, role in reversed(self._shortened(self._after(name)))
                ]

    def _after(self, name: str) -> list[tuple[str, str]]:
        """Return what is below a thing, with its role: activities are told with their products."""
        found: dict[str, str] = {}
        for link in self.next.get(name, ()):
            target = link.cause if self.up else link.effect
            item = self.items.get(target)
            if item is None:
                continue
            if item.is_activity and (further := self.next.get(target)):
                for more in further:
                    end = more.cause if self.up else more.effect
                    role = more.role if self.up else link.role
                    if end in self.items:
                        found.setdefault(end, role.removeprefix("in."))
            elif item.type in ("value", "content") and link.relation == "same content":
                if not self.up or self.next.get(target):
                    for end, role in self._after(target):
                        if end != name:
                            found.setdefault(end, role)
            elif not self.up or not item.is_activity:
                found.setdefault(target, link.role.removeprefix("in."))
        return list(found.items())

    def _shortened(self, after: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Fold what is alike: many products of one step at one port."""
        groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for name, role in after:
            item = self.items[name]
            step = str(item.facts.get("task") or item.name).partition("[")[0]
            groups.setdefault((step, role), []).append((name, role))
        shown: list[tuple[str, str]] = []
        for (step, role), group in groups.items():
            if len(group) <= _MANY:
                shown += group
            else:
                more = len(group) - _FEW
                shown += [*group[:_FEW], ("", f"{role}: … and {more} more of {step}".lstrip(": "))]
        return shown

    def _told(self, item: Item, *, full: bool) -> str:
        if item.is_activity:
            return self._activity(item)
        facts = item.facts
        parts = [str(facts.get("kind", "")), str(facts.get("digest", ""))[:12]]
        if item.type in ("file", "content") and (facts.get("path") or item.type == "file"):
            name = shown_path(Path(str(facts["path"]))) if facts.get("path") else item.name
            return f"{name} (sha256 {str(facts.get('sha256', ''))[:12]})"
        text = item.name
        if any(parts):
            text += f" ({', '.join(part for part in parts if part)})"
        maker = self._maker(item.id) if full else None
        return f"{text}, {maker}" if maker else text

    def _maker(self, name: str) -> str | None:
        """Return who made a product, where the walk has met that."""
        for link in self.next.get(name, ()) if self.up else ():
            item = self.items.get(link.cause)
            if link.relation == "generated" and item is not None:
                return self._made_by(item)
        item = self.items[name]
        return f"in {self._run(item.run)}" if item.run and len(self.runs) > 1 else None

    def _made_by(self, item: Item) -> str:
        started, wall_s = item.facts.get("started"), item.facts.get("wall_s")
        words = [f"made {local_time(str(item.facts.get('ended') or started))}" if started else ""]
        if wall_s is not None:
            words.append(f"in {duration(float(wall_s))}")
        if item.type == "activity":
            words.append(f"by {item.name}")
        elif item.run:
            words.append(f"by {self._run(item.run)}")
        return " ".join(word for word in words if word)

    def _activity(self, item: Item) -> str:
        state = item.facts.get("state")
        if item.type == "cached":
            return f"{item.facts.get('task')}: taken from the store by {self._run(item.run)}"
        where = f", {self._run(item.run)}" if item.run else ""
        return f"{item.name}{f', {state}' if state else ''}{where}"

    def _run(self, run: str) -> str:
        folder = self.provenance.directory_of(run)
        return f"run {folder.name}" if folder is not None else f"run {run[:8]}"


def _products(provenance: Provenance, found: Sequence[Any], width: int | None) -> str:
    rows = [
        (
            f"{item.task}.{item.port}",
            item.kind,
            item.digest[:12],
            local_time(item.made) if item.made else "",
            provenance.name_of(item.run),
            shown_path(Path(item.path)) if item.path else "",
        )
        for item in found
    ]
    headers = ("product", "kind", "digest", "made", "run", "path")
    return table(headers, rows, width=width, drop=("kind", "digest", "made"))


def _inputs(_: Provenance, found: Sequence[Any], width: int | None) -> str:
    rows = [
        (
            item.name,
            item.sha256[:12],
            memory(item.size_bytes) if item.size_bytes is not None else "",
            _some(item.used_by),
            _some([f"{name}={','.join(values)}" for name, values in item.identity.items()]),
            shown_path(Path(item.paths[0])) if item.paths else "",
        )
        for item in found
    ]
    headers = ("input", "sha256", "size", "used by", "identity", "path")
    if not any(row[4] for row in rows):
        plain = [(*row[:4], row[5]) for row in rows]
        return table((*headers[:4], "path"), plain, width=width, right=("size",), drop=("size",))
    return table(headers, rows, width=width, right=("size",), drop=("size", "identity"))


def _parameters(provenance: Provenance, found: Sequence[Any], width: int | None) -> str:
    rows = [
        (
            item.step,
            item.name,
            _cut(item.text),
            item.origin,
            item.place,
            _some(item.tasks) if item.tasks != (item.step,) else "",
            _some([provenance.name_of(run) for run in item.runs]),
        )
        for item in found
    ]
    headers = ("step", "setting", "value", "origin", "where", "tasks", "runs")
    told = [True] * 5 + [any(row[5] for row in rows), len({row[6] for row in rows}) > 1]
    shown = [
        tuple(text for text, is_told in zip(row, told, strict=True) if is_told) for row in rows
    ]
    heads = tuple(name for name, is_told in zip(headers, told, strict=True) if is_told)
    drop = [name for name in ("tasks", "where") if name in heads]
    return table(heads, shown, width=width, drop=drop)


def _attempts(provenance: Provenance, found: Sequence[Any], width: int | None) -> str:
    rows = [
        (
            item.task,
            "" if item.attempt is None else str(item.attempt),
            state_cell(item.state),
            local_time(item.started) if item.started else "",
            "" if item.wall_s is None else duration(item.wall_s),
            item.key[:12],
            provenance.name_of(item.run),
            _cut(item.error),
        )
        for item in found
    ]
    headers = ("task", "attempt", "state", "started", "took", "key", "run", "error")
    return table(
        headers, rows, width=width, right=("attempt", "took"), drop=("key", "took", "attempt")
    )


def _software(
    software: Sequence[Any],
    code: Sequence[Any],
    environments: Sequence[Any],
    width: int | None,
) -> str:
    parts = []
    if software:
        rows = [
            (item.name, item.version, str(item.n_attempts), _some(item.steps)) for item in software
        ]
        headers = ("package", "version", "attempts", "steps")
        parts.append(table(headers, rows, width=width, right=("attempts",)))
    if code:
        lines = [
            (
                item.step,
                item.tag,
                item.version,
                f"{item.package} {item.package_version}".strip(),
                item.callable or item.source[:12],
            )
            for item in code
        ]
        parts.append(table(("step", "type", "version", "package", "source"), lines, width=width))
    for item in environments:
        facts = item["facts"]
        shown = [
            f"{name} {facts[key]}"
            for name, key in (
                ("Python", "python.version"),
                ("gpwf", "gpwf.version"),
                ("commit", "gpwf.commit"),
                ("on", "platform.system"),
                ("", "platform.machine"),
                ("", "cpu"),
            )
            if key in facts
        ]
        parts.append(f"run {item['run'][:8]}: " + ", ".join(text.strip() for text in shown))
    return "\n\n".join(parts) or "no software"


def _some(names: Sequence[str]) -> str:
    """Return names in a line, the first few of many."""
    if len(names) > _FEW:
        return f"{', '.join(names[:_FEW])} and {len(names) - _FEW} more"
    return ", ".join(names)


def _cut(text: str) -> str:
    line = " ".join(clean(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
