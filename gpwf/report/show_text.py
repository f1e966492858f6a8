"""Settled settings as text for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gpwf.core.coordinates import selector_text
from gpwf.core.spec import WorkflowSpec
from gpwf.report.planned import axes_text
from gpwf.report.show import ShownStep, show_data, shown_steps
from gpwf.report.text import Cell, one_line, table

__all__ = ["show_text"]

_HEADERS = ("setting", "value", "from", "where", "written as")
_SOURCES = {
    "step default": None,
    "defaults": "magenta",
    "profile": "yellow",
    "params file": "yellow",
    "command line": "green",
}
_POLICY = {
    "n_jobs": 1,
    "memory_bytes": None,
    "walltime_s": None,
    "timeout_s": None,
    "retries": 0,
    "on_error": "fail",
    "cache": True,
}


def show_text(
    spec: WorkflowSpec,
    name: str | None = None,
    *,
    every: bool = False,
    width: int | None = None,
) -> str:
    """Return settled settings with their origins.

    Parameters
    ----------
    spec : WorkflowSpec
        The workflow.
    name : str, optional
        One step or a part of a scatter; with all of them parameters and execution are shown, too.
    every : bool
        Show every set of settings of a scatter.
    width : int, optional
        Characters of a line of the terminal; no limit by default.
    """
    from click import style

    steps = shown_steps(spec, name, every=every)
    data = show_data(spec, steps)
    parts: list[str] = []
    if name is None:
        file = f" ({one_line(data['file'])})" if data["file"] else ""
        parts.append(style(one_line(spec.name), bold=True) + file)
        if data["params"]:
            rows = [_row(item) for item in data["params"]]
            parts.append(f"{style('params', bold=True)}\n{_table(rows, width)}")
    parts += [_step(item, found, width) for item, found in zip(data["steps"], steps, strict=True)]
    if name is None:
        found = {key: value for key, value in data["execution"].items() if value not in (None, {})}
        settings = ", ".join(f"{key}: {_value(value)}" for key, value in found.items())
        parts.append(f"{style('execution', bold=True)}\n  {settings}")
    return "\n\n".join(parts)


def _step(data: dict[str, Any], item: ShownStep, width: int | None) -> str:
    """Return one step."""
    from click import style

    tag = "" if data["tag"] == data["name"] else f"  {one_line(data['tag'])}"
    axes = axes_text(item.axes, item.n_points)
    lines = [style(one_line(data["name"]), bold=True) + tag + (f"  {axes}" if axes else "")]
    for port, refs in data["inputs"].items():
        lines.append(f"  {one_line(port)} from {one_line(', '.join(refs))}")
    if data["gather"]:
        lines.append(f"  gathers {one_line(', '.join(data['gather']))}")
    if data["after"]:
        lines.append(f"  after {one_line(', '.join(data['after']))}")
    policy = {key: value for key, value in data["policy"].items() if value != _POLICY[key]}
    if policy:
        lines.append("  " + ", ".join(f"{key}: {_value(value)}" for key, value in policy.items()))
    if item.first is None:
        return "\n".join([*lines, "  left out: a condition does not hold"])
    if item.n_variants > 1:
        differing = [
            f"{one_line(setting.name)} ({setting.n_values})"
            for setting in item.first.settings
            if setting.n_values > 1
        ]
        lines.append(f"  {item.n_variants} variants, which differ in {', '.join(differing)}")
        lines.append(f"  at {one_line(selector_text(data['name'], item.first.labels))}:")
    first, *others = data["variants"]
    unset = [item["name"] for item in first["settings"] if _is_unset(item)]
    written = [item for item in first["settings"] if not _is_unset(item)]
    if written:
        lines.append(_table([_row(item) for item in written], width))
    if unset:
        lines.append(f"  not set: {one_line(', '.join(unset))}")
    if others:
        lines.append(_others(data, width))
    return "\n".join(lines)


def _is_unset(item: dict[str, Any]) -> bool:
    """Return whether a setting has no value, and nobody asked for that."""
    return item["value"] is None and item["source"] == "step default" and item["n_values"] == 1


def _others(data: dict[str, Any], width: int | None) -> str:
    """Return the variants as a table of what differs."""
    variants = data["variants"]
    names = list(
        dict.fromkeys(s["name"] for v in variants for s in v["settings"] if s["n_values"] > 1)
    )
    axes = list(data["axes"])
    rows = []
    for variant in variants:
        values = {item["name"]: _value(item["value"]) for item in variant["settings"]}
        places = [variant["coordinates"][axis] for axis in axes]
        rows.append([*places, str(variant["n_points"]), *(values.get(name, "-") for name in names)])
    return "\n" + _indented(table([*axes, "places", *names], rows, width=_inner(width)))


def _row(item: dict[str, Any]) -> tuple[str | Cell, ...]:
    source = item["source"]
    place = f"{item['file']}:{item['line']}:{item['column']}" if item["file"] else ""
    return (
        item["name"] + (" *" if item.get("n_values", 1) > 1 else ""),
        _value(item["value"]),
        Cell(text=source, colour=_SOURCES.get(source)),
        place,
        item["detail"] or "",
    )


def _table(rows: Sequence[Sequence[str | Cell]], width: int | None) -> str:
    """Return settings without the columns that say nothing."""
    columns = [n for n in range(len(_HEADERS)) if n < 3 or any(row[n] for row in rows)]
    text = table(
        [_HEADERS[n] for n in columns],
        [[row[n] for n in columns] for row in rows],
        width=_inner(width),
        drop=("written as", "where"),
    )
    return _indented(text)


def _inner(width: int | None) -> int | None:
    return None if width is None else max(width - 2, 20)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _value(value: Any) -> str:
    """Return a value as one would write it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
