"""The hash chain of a journal, line by line: which line was changed, lost or put in.

`gpwf.run.journal` stops at the first line that does not fit, as a driver must. Whoever looks for
tampering wants to know every line that is not as it was written, so this goes on behind it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpwf.errors import RunError

__all__ = ["Chain", "ChainBreak", "read_chain"]

_HEAD = b'{"sum": "'
_SUM_END = len(_HEAD) + 64 + 1
_FIRST = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainBreak:
    """A line of a journal that is not what its writer wrote.

    Parameters
    ----------
    line : int
        Number of the line, from 1.
    message : str
        What is wrong.
    expected, found : str
        Sums: what the line says, and what its bytes give; or what the line before ends with, and
        what this one follows. Empty where the line has none.
    is_torn : bool
        True for the rest of a line that was being written when its driver went away.
    """

    line: int
    message: str
    expected: str = ""
    found: str = ""
    is_torn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a journal's chain says.

    Parameters
    ----------
    breaks : tuple of ChainBreak
        Empty for a journal that is as it was written.
    n_lines : int
        Number of its lines.
    last_sum : str
        Sum of the last line that is one.
    digest : str
        SHA-256 of the file.
    prefix_lines : int or None
        Number of lines after which the file had the digest that was asked for; None for never.
    """

    breaks: tuple[ChainBreak, ...]
    n_lines: int
    last_sum: str
    digest: str
    prefix_lines: int | None


def read_chain(path: Path, recorded: str = "") -> Chain:
    """Check every line of a journal.

    Parameters
    ----------
    path : Path
        ``journal.jsonl``.
    recorded : str
        SHA-256 of the file as a record gives it, to find out whether lines were appended since.

    Raises
    ------
    RunError
        Where the file cannot be read.
    """
    whole = hashlib.sha256()
    breaks: list[ChainBreak] = []
    prev, seq, number, prefix = _FIRST, 0, 0, None
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                whole.update(line)
                found = list(_breaks(number, line, prev, seq))
                breaks += found
                told = _said(line)
                if told is not None:
                    prev, seq = told[0], told[1] + 1
                elif not line.endswith(b"\n"):
                    pass
                else:
                    seq += 1
                if recorded and prefix is None and whole.hexdigest() == recorded:
                    prefix = number
    except OSError as error:
        raise RunError(
            f"cannot read the journal {path}: {error.strerror or error}",
            hint="is this a run directory? `gpwf runs` lists them",
        ) from None
    return Chain(
        breaks=tuple(breaks),
        n_lines=number,
        last_sum=prev,
        digest=whole.hexdigest(),
        prefix_lines=prefix,
    )


def _said(line: bytes) -> tuple[str, int] | None:
    """Return the sum and the number that a line says of itself; None where it says none."""
    if not line.startswith(_HEAD):
        return None
    try:
        document = json.loads(line)
        return str(document["sum"]), int(document["seq"])
    except (ValueError, KeyError, TypeError):
        return None


def _breaks(number: int, line: bytes, prev: str, seq: int) -> Iterator[ChainBreak]:
    """Yield what is wrong with a line, of which the line before and its number are known."""
    if not line.endswith(b"\n"):
        yield ChainBreak(
            line=number, message="is torn: its driver went away while writing it", is_torn=True
        )
        return
    body = line.rstrip(b"\n")
    told = _said(line)
    stated = body[len(_HEAD) : _SUM_END - 1].decode("ascii", errors="replace")
    computed = hashlib.sha256(body[_SUM_END:]).hexdigest()
    if body[:_SUM_END] != _HEAD + computed.encode() + b'"':
        if body.startswith(_HEAD):
            message = "was changed: its sum is not that of its bytes"
            yield ChainBreak(line=number, message=message, expected=stated, found=computed)
        else:
            yield ChainBreak(line=number, message="was changed: it is no line of a journal")
    if told is None:
        return
    follows = str(json.loads(line).get("prev"))
    if told[1] != seq:
        missing = told[1] - seq
        message = (
            f"does not follow: {missing} lines before it were taken out"
            if missing > 0
            else f"is out of order: it is number {told[1] + 1}, not {seq + 1}"
        )
        yield ChainBreak(line=number, message=message, expected=prev, found=follows)
    elif follows != prev:
        message = f"does not follow line {number - 1}, which was changed together with its sum"
        if number == 1:
            message = "follows something that is not there: the beginning was taken out"
        yield ChainBreak(line=number, message=message, expected=follows, found=prev)
