"""The files that a command makes: names that stay inside its folder, and what is there in the end.

Names are checked before the run, and the files again after it: a command may have made a link to
somewhere else, or one file under two names.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from gpwf.errors import StepError
from gpwf.steps.texts import TextType, kind_of, problem

__all__ = ["OutputName", "clashes", "made_files"]

_LONGEST_PART = 255  # bytes, in all file systems in use
_LISTED = 12


class OutputName(TextType):
    """Name of a file that a command makes, relative to the folder it runs in.

    Settled in Unicode's normal form C, so that one name is one text.
    """

    __slots__ = ()
    type_name = "file name"
    examples = ("selected.fits", "maps/counts.fits")

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the name; refuse one that leaves the folder or that programs stumble over."""
        if not isinstance(value, str):
            raise problem("GP302", f"expected a file name, not {kind_of(value)}")
        reason = _unusable(value)
        if reason:
            hint = f"give a name inside the command's own folder, such as {cls.examples[0]}"
            raise problem("GP304", f"{value[:80]!r} {reason}", hint)
        return cls(unicodedata.normalize("NFC", value))


def _unusable(name: str) -> str:
    """Return why a name cannot be used; empty where it can."""
    parts = name.split("/")
    if not name.strip():
        return "is no file name"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "holds a character that no file name should (NUL, a line break …)"
    if name.startswith(("/", "~")):
        return "is not relative to the folder of the command"
    if ".." in parts:
        return "leaves the folder of the command"
    if "" in parts or "." in parts:
        return "has an empty part or a '.' between its slashes"
    if name.startswith("-"):
        return "begins with '-': programs would take it for an option"
    if "${" in name:
        return "holds an expression that means something in 'argv' only"
    if any(len(part.encode()) > _LONGEST_PART for part in parts):
        return f"is longer than {_LONGEST_PART} bytes"
    return ""


def clashes(outputs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (output, what is wrong) where two outputs would be one file on some file system.

    Upper and lower case are one there. A file cannot be the folder of another one either.
    """
    taken: dict[str, str] = {}
    folders: dict[str, str] = {}
    for output, name in outputs.items():
        key = unicodedata.normalize("NFC", name).casefold()
        parents = [key[:at] for at, character in enumerate(key) if character == "/"]
        inside = next((taken[parent] for parent in parents if parent in taken), None)
        if key in taken:
            yield output, f"{name!r} is the file of the output {taken[key]!r} as well"
        elif key in folders:
            yield output, f"{name!r} is the folder of the output {folders[key]!r}"
        elif inside is not None:
            yield output, f"{name!r} lies below the file of the output {inside!r}"
        taken.setdefault(key, output)
        for parent in parents:
            folders.setdefault(parent, output)


def made_files(folder: Path, outputs: Mapping[str, str], *, program: str) -> dict[str, Path]:
    """Return the files that a command has made, by output.

    Parameters
    ----------
    folder : Path
        Where it ran.
    outputs : mapping of str to str
        Relative name by output.
    program : str
        Name of the program, for messages.

    Raises
    ------
    StepError
        Where one is missing or something else than a regular file inside the folder, and where two
        are one file.
    """
    made: dict[str, Path] = {}
    seen: dict[tuple[int, int], str] = {}
    for output, name in outputs.items():
        status = _regular(folder, output, name, program)
        other = seen.setdefault((status.st_dev, status.st_ino), output)
        if other != output:
            raise StepError(f"{program}: the outputs {other!r} and {output!r} are one file")
        made[output] = folder / name
    return made


def _regular(folder: Path, output: str, name: str, program: str) -> os.stat_result:
    """Return the status of an output that is a regular file, and no link on the way to it."""
    path = folder
    status = folder.lstat()
    for part in name.split("/"):
        path = path / part
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            there = sorted(_relative_files(folder))
            more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
            listed = ", ".join(there[:_LISTED]) + more if there else "nothing"
            raise StepError(
                f"{program} ended well but did not make {name!r}, its output {output!r}; "
                f"it made {listed}",
                hint=f"outputs: {{{output}: …}} names the file as the command writes it, relative "
                "to the folder it runs in",
            ) from None
        if stat.S_ISLNK(status.st_mode):
            raise StepError(
                f"{program}: the output {output!r} ({name}) is or lies behind a symbolic link",
                hint="outputs are regular files that the command writes itself",
            )
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a special file"
        raise StepError(
            f"{program}: the output {output!r} ({name}) is {what}",
            hint="outputs are regular files; let the command pack a folder into one",
        )
    return status


def _relative_files(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield (Path(place) / name).relative_to(folder).as_posix()
