"""A click group that imports the module of a command only when the command is used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["Entry", "LazyGroup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A command that is not imported yet.

    Parameters
    ----------
    name : str
        What the user types.
    module : str
        Module with the command under the name ``command``.
    help : str
        First line of the command's help; a test holds the two equal.
    section : str
        Heading that the command stands under in the help of the group.
    """

    name: str
    module: str
    help: str
    section: str = "Commands"


class LazyGroup(click.Group):
    """A group whose help needs no command's module.

    Parameters
    ----------
    entries : sequence of Entry
        The commands, in the order of the help.
    """

    def __init__(self, *args: Any, entries: Sequence[Entry] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = {entry.name: entry for entry in entries}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names, in the order of the help."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command; None where there is none of that name."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line, with a near miss for one that does not exist."""
        name = args[0]
        if name not in self.entries and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, self.entries, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands by section, from the entries alone."""
        longest = max(len(name) for name in self.entries)
        for section, entries in _by_section(self.entries.values()):
            with formatter.section(section):
                formatter.write_dl([(entry.name.ljust(longest), entry.help) for entry in entries])


def _by_section(entries: Iterable[Entry]) -> list[tuple[str, list[Entry]]]:
    sections: dict[str, list[Entry]] = {}
    for entry in entries:
        sections.setdefault(entry.section, []).append(entry)
    return list(sections.items())
