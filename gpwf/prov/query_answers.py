"""Answers to questions to the records of runs: small frozen objects.

``data`` of each is its JSON, with fields that stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Attempt", "Code", "Input", "Product", "Row", "Setting", "Software"]


class Row:
    """An answer in a line."""

    __slots__ = ()

    def data(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        found: dict[str, Any] = {}
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, Mapping):
                value = {name: _plain(part) for name, part in value.items()}
            found[item.name] = list(value) if isinstance(value, tuple) else value
        return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Row):
    """An attempt at a task, or the use of a cached result.

    Parameters
    ----------
    id : str
        Identifier in the record.
    run : str
        Id of the run.
    task, step, tag : str
        Task with its coordinates, declared step, step type.
    coordinates : mapping of str to str
        Value of each axis.
    state : str
        How it ended; ``cached`` for the use of a cached result.
    attempt : int or None
        Its number, from 1.
    started, ended : str
        ISO 8601 with a time zone; ``ended`` is empty where the record has no end.
    wall_s : float or None
        Wall time in seconds.
    key : str
        Task key.
    error : str
        What went wrong, where something did.
    depth : int or None
        Activities between it and what was asked for.
    """

    id: str
    run: str
    task: str
    step: str
    tag: str
    coordinates: Mapping[str, str]
    state: str
    attempt: int | None
    started: str
    ended: str
    wall_s: float | None
    key: str
    error: str
    depth: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Row):
    """What an attempt made at a port.

    Parameters
    ----------
    id, run, task, port, kind, digest : str
        Identifier in the record, run, task and port that made it, kind, digest of its content.
    made : str
        When, ISO 8601 with a time zone.
    files : tuple of str
        Names of its files.
    path : str
        Folder of the run that shows them, where it is there.
    depth : int or None
        Activities between it and what was asked for.
    """

    id: str
    run: str
    task: str
    port: str
    kind: str
    digest: str
    made: str
    files: tuple[str, ...] = ()
    path: str = ""
    depth: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input(Row):
    """A file that came from outside.

    Parameters
    ----------
    id, name : str
        Identifier in the record, and file name.
    paths : tuple of str
        Where it was when it was read.
    sha256, data_digest : str
        Digests of its bytes and of its data; empty where the record has none.
    size_bytes : int or None
        Its size.
    identity : mapping of str to tuple of str
        What else the record says of it, such as its observation or its telescope.
    settings : tuple of str
        Settings that named it.
    used_by, runs : tuple of str
        Tasks that read it, and their runs.
    """

    id: str
    name: str
    paths: tuple[str, ...]
    sha256: str
    data_digest: str
    size_bytes: int | None
    identity: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Row):
    """A setting of a step.

    Parameters
    ----------
    step, name : str
        Step, and dotted path of the setting.
    value, unit, type : str
        As recorded.
    origin, place : str
        Where the value came from, and in which line of which file; empty where only the attempt
        of another run is recorded.
    tasks, runs : tuple of str
        Tasks that used it, and their runs.
    """

    step: str
    name: str
    value: str
    unit: str
    type: str
    origin: str
    place: str
    tasks: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def text(self) -> str:
        """Value and unit."""
        return f"{self.value} {self.unit}" if self.unit else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Software(Row):
    """A distribution that the results depend on.

    Parameters
    ----------
    name, version : str
        Distribution.
    steps, runs : tuple of str
        Steps whose task keys hold it, and the runs.
    n_attempts : int
        Attempts that used it.
    """

    name: str
    version: str
    steps: tuple[str, ...]
    runs: tuple[str, ...]
    n_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Code(Row):
    """The code of a step.

    Parameters
    ----------
    step, tag, version : str
        Declared step, step type and its version.
    package, package_version, source : str
        Distribution that implements it, and SHA-256 of the source.
    callable : str
        Function of a `python` step; empty for others.
    runs : tuple of str
        Runs that used it.
    """

    step: str
    tag: str
    version: str
    package: str
    package_version: str
    source: str
    callable: str
    runs: tuple[str, ...]
