"""Step types for people: the list, one with ports and settings, a skeleton to paste."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from gpwf.core.spec import Port
from gpwf.report.text import table
from gpwf.steps.base import Step
from gpwf.steps.composer import describe_default, describe_type
from gpwf.steps.registry import Catalog
from gpwf.steps.settle import plain
from gpwf.steps.shapes import FieldShape, Shape, fields_of
from gpwf.steps.texts import TextType

__all__ = ["list_text", "skeleton", "step_data", "step_text"]

_GROUPS = (
    "data",
    "simulation",
    "reduction",
    "models",
    "fit",
    "estimators",
    "results",
    "generic",
)
_WIDTH = 100
_EXAMPLES = {"lat": "22.014 deg", "nbins": 10, "source": "crab"}
_PLAIN = re.compile(r"[A-Za-z$/.][\w$/.\- ]*(?<! )")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off")


def _flat(shape_fields: tuple[FieldShape, ...], at: str = "") -> Iterator[tuple[str, FieldShape]]:
    """Yield (dotted name, field) of every setting, those of sections below their section."""
    for item in shape_fields:
        name = f"{at}{item.name}"
        yield name, item
        section = _section(item.shape)
        if section is not None:
            yield from _flat(fields_of(section.annotation), f"{name}.")


def _section(shape: Shape) -> Shape | None:
    """Return the section that a setting is or may be; None for any other."""
    if shape.kind == "section":
        return shape
    found = [option for option in shape.options if option.kind == "section"]
    return found[0] if found else None


def _default(item: FieldShape) -> str:
    return describe_default(item).replace("`", "") or '""'


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "kind": port.kind,
        "optional": port.optional,
        "multiple": port.multiple,
        "help": port.help,
    }


def step_data(step: Step) -> dict[str, Any]:
    """Return a step type as plain data for JSON."""
    return {
        "tag": step.tag,
        "version": step.version,
        "title": step.title,
        "group": step.group,
        "inputs": [_port(port) for port in step.input_ports],
        "outputs": [_port(port) for port in step.output_ports],
        "settings": [
            {
                "name": name,
                "type": describe_type(item.shape),
                "required": item.required,
                "default": None if item.required else plain(item.default),
                "help": item.help,
            }
            for name, item in _flat(fields_of(step.Settings))
        ],
    }


def list_text(catalog: Catalog, width: int | None = None) -> str:
    """Return the step types by group."""
    groups: dict[str, list[Step]] = {name: [] for name in _GROUPS}
    for tag in catalog.tags():
        step = catalog.step(tag)
        groups.setdefault(step.group, []).append(step)
    rows = [
        (name if index == 0 else "", step.tag, step.title)
        for name, steps in groups.items()
        for index, step in enumerate(steps)
    ]
    return table(("group", "tag", "what it does"), rows, width=width)


def step_text(step: Step, help_text: str, width: int | None = None) -> str:
    """Return one step type: its description, its ports, its settings.

    Parameters
    ----------
    step : Step
        The step type.
    help_text : str
        Its description.
    width : int, optional
        Characters of a line of the terminal; no limit by default.
    """
    from click import style

    about = help_text.strip().removeprefix(f"{step.title.rstrip('.')}.").strip()
    lines = [style(f"{step.tag}: {step.title}", bold=True), ""]
    lines += [about, ""] if about else []
    ports = [("in", port) for port in step.input_ports]
    ports += [("out", port) for port in step.output_ports]
    rows = [(way, port.name, port.kind, _remarks(port)) for way, port in ports]
    if rows:
        lines += [table(("port", "name", "kind", "remark"), rows, width=width), ""]
    settings = list(_flat(fields_of(step.Settings)))
    if settings:
        lines.append(style("settings", bold=True))
    for name, item in settings:
        depth = "  " * (name.count(".") + 1)
        lines.append(f"{depth}{style(name, fg='cyan')}  {describe_type(item.shape)}")
        about = f"{item.help.rstrip('.')}."
        if item.shape.kind != "section" or item.default is None:
            about += f" Default: {_default(item)}."
        lines += textwrap.wrap(
            about,
            width=min(width or _WIDTH, _WIDTH),
            initial_indent=f"{depth}    ",
            subsequent_indent=f"{depth}    ",
            break_long_words=False,
        )
    lines += ["", f"`gpwf steps {step.tag} --yaml` prints a skeleton to paste."]
    return "\n".join(lines)


def _remarks(port: Port) -> str:
    words = [name for name in ("optional", "multiple") if getattr(port, name)]
    return ", ".join([*words, port.help] if port.help else words)


def skeleton(step: Step) -> str:
    """Return a step to paste below ``steps:``; settings that need not be given are comments."""
    lines = [f"  # {step.title}", f"  - tag: {step.tag}"]
    fields = fields_of(step.Settings)
    if fields:
        given = any(item.required or item.usual for item in fields)
        lines.append("    config:" if given else "    # config:")
        lines += _fields(fields, 6)
    return "\n".join(lines) + "\n"


def _fields(
    fields: tuple[FieldShape, ...],
    indent: int,
    *,
    off: bool = False,
    must: bool = False,
    given: Any = None,
) -> Iterator[str]:
    """Yield the lines of settings.

    Parameters
    ----------
    fields : tuple of FieldShape
        The settings.
    indent : int
        Spaces before each.
    off : bool
        True to make them comments whatever they are.
    must : bool
        True where the section around them must be given.
    given : mapping, optional
        Default of the section around them, which says more than their own.
    """
    space = " " * indent
    # a section that must be given although none of its parts must: show it with its plain values
    either = not any(item.required for item in fields)
    for item in fields:
        needed = item.required or item.usual or (either and must and item.shape.kind == "leaf")
        mark = "" if needed and not off else "# "
        remark = f"  # {item.help}" if item.help else ""
        value = (given or {}).get(item.name)
        if value is None:
            value = item.example if item.default is None else plain(item.default)
        section = _section(item.shape)
        if section is not None:
            inner = fields_of(section.annotation)
            yield f"{space}{mark}{item.name}:{remark}"
            yield from _fields(inner, indent + 2, off=bool(mark), must=not mark, given=value)
        else:
            value = _example(item.shape, item.name) if value is None else value
            yield f"{space}{mark}{item.name}: {_yaml(value)}{remark}"


def _example(shape: Shape, name: str) -> Any:
    """Return a value that shows what a setting of this name looks like."""
    if shape.kind == "choice":
        return shape.choices[0]
    if shape.kind == "union":
        return _example(shape.options[0], name)
    if shape.kind == "list" and shape.item is not None:
        return [_example(shape.item, name)]
    if shape.kind == "map" and shape.item is not None:
        return {"name": _example(shape.item, name)}
    if shape.kind == "section":
        required = [item for item in fields_of(shape.annotation) if item.required]
        return {item.name: _example(item.shape, item.name) for item in required}
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if shape.kind == "leaf" and issubclass(shape.annotation, TextType):
        # a lower edge must be below the upper one: 300 GeV and 1 TeV
        return shape.annotation.examples[-1 if name == "min" else 0]
    return {"bool": True, "int": 1, "float": 1.0, "str": "name"}.get(shape.type_name, {})


def _yaml(value: Any) -> str:
    """Return plain data in YAML's flow style; text is quoted where it would be read otherwise."""
    if isinstance(value, str):
        simple = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if simple or _is_quantity(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _is_quantity(text: str) -> bool:
    return re.fullmatch(r"-?[\d.eE+-]+ [A-Za-z][\w/ -]*", text) is not None
