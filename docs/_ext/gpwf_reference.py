"""Write the pages that are generated: one per step type, one per command.

The step pages come from the step files themselves, the command pages from the click commands, so
the reference cannot say anything else than the code.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from gpwf.steps.base import Step


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with sphinx."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference"
    _replace(folder / "steps", _step_pages())
    _replace(folder / "cli", _command_pages())


def _replace(folder: Path, pages: Iterator[tuple[str, str]]) -> None:
    """Write pages that changed, remove pages of things that are no more."""
    folder.mkdir(exist_ok=True)
    names = set()
    for name, text in pages:
        path = folder / f"{name}.md"
        names.add(path.name)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in folder.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _index(title: str, text: str, names: list[str]) -> tuple[str, str]:
    listed = "\n".join(names)
    return "index", f"# {title}\n\n{text}\n\n:::{{toctree}}\n:maxdepth: 1\n\n{listed}\n:::\n"


# ---- step types ----------------------------------------------------------------------------------


def _step_pages() -> Iterator[tuple[str, str]]:
    from gpwf.steps.registry import load_catalog

    catalog = load_catalog()
    tags = list(catalog.tags())
    for tag in tags:
        yield tag, _step_page(catalog.step(tag), catalog.help(tag))
    rows = "\n".join(f"| [`{tag}`]({tag}.md) | {catalog.title(tag)} |" for tag in tags)
    text = (
        "One page per step type, made from the file that implements it. `gpwf steps` prints the "
        "same for your installation, plug-ins included.\n\n"
        f"| tag | |\n|---|---|\n{rows}"
    )
    yield _index("Steps", text, tags)


def _step_page(step: Step, help_text: str) -> str:
    from gpwf.report.step_types import skeleton, step_data

    data = step_data(step)
    parts = [
        f"# {data['tag']}",
        f"{data['title']}. Version {data['version']}.",
        _markdown(help_text),
        _ports("Takes", data["inputs"]),
        _ports("Makes", data["outputs"]),
        "## Settings",
        "\n\n".join(_setting(item) for item in data["settings"]),
        "## To paste",
        f"```yaml\n{skeleton(step).rstrip()}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _ports(title: str, ports: list[dict[str, Any]]) -> str:
    if not ports:
        return ""
    rows = [
        f"| `{port['name']}` | {port['kind']} | {_cell(port['help'])}"
        f"{' Optional.' * port['optional']}{' May be several.' * port['multiple']} |"
        for port in ports
    ]
    return "\n".join([f"## {title}", "", "| port | kind | |", "|---|---|---|", *rows])


def _cell(text: str) -> str:
    text = text.rstrip(".").replace("|", "\\|")
    return f"{text}." if text else ""


def _setting(item: dict[str, Any]) -> str:
    kind = str(item["type"]).replace("`", "").replace("section", "the settings below")
    default = json.dumps(item["default"], ensure_ascii=False)
    state = "must be given" if item["required"] else f"`{default}` where left out"
    return f"`{item['name']}`\n: {_markdown(item['help'])}\n\n  *{kind}*; {state}."


def _markdown(text: str) -> str:
    """Return help text, which is Markdown with the double backticks of docstrings."""
    return text.replace("``", "`").strip()


# ---- commands ------------------------------------------------------------------------------------


def _command_pages() -> Iterator[tuple[str, str]]:
    from gpwf.cli.main import cli

    names = []
    root = click.Context(cli, info_name="gpwf", **cli.context_settings)
    for name, path, context in _commands(root, ()):
        names.append(name)
        yield name, _command_page(path, context)
    text = (
        "Messages and progress go to standard error, results to standard output. Exit codes: "
        "0 done, 1 the run failed, 2 wrong usage or an invalid workflow, 3 a fault of gpwf, "
        "130 interrupted, 143 terminated."
    )
    yield _index("Commands", text, names)


def _commands(
    context: click.Context, path: tuple[str, ...]
) -> Iterator[tuple[str, str, click.Context]]:
    """Walk the tree of commands: file name, how it is typed, context."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context, **command.context_settings)
        way = (*path, name)
        if isinstance(command, click.Group):
            yield from _commands(inner, way)
        else:
            yield "-".join(way), "gpwf " + " ".join(way), inner


def _command_page(title: str, context: click.Context) -> str:
    command = context.command
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"# {title}", f"```text\n{title} {usage}\n```", _plain(command.help or "")]
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            option, text = record
            rows.append(f"`{option}`\n: {_plain(text)}")
    if rows:
        parts += ["## Options", "\n\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Return help text as Markdown: click's `\\b` marks paragraphs that keep their lines."""
    paragraphs = []
    for paragraph in text.replace("\f", "").strip().split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            lines = paragraph.replace("\b\n", "").replace("\b", "")
            paragraphs.append(f"```text\n{lines}\n```")
        else:
            paragraphs.append(" ".join(paragraph.split()))
    return "\n\n".join(paragraphs)
