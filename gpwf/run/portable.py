"""Values and errors on their way from a child of a worker to the worker.

Both ends are one program, forked from one process: what is pickled here is read by its parent at
once and never stored.
"""

from __future__ import annotations

import pickle
import socket
import struct
import traceback
from dataclasses import dataclass
from typing import Any

from gpwf.errors import GpwfError, StepError
from gpwf.steps.pickles import keep_exact

__all__ = [
    "ChildTracebackError",
    "PortableError",
    "pack",
    "portable_error",
    "receive",
    "restored_error",
    "send",
]

# an array below this size travels inside the pickle, one above beside it, without a copy
_BESIDE_BYTES = 1 << 14
_HEAD = struct.Struct("!I")

# what classes that were not made for it raise when they are pickled or read back
_PICKLING = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.PickleError,
)


class ChildTracebackError(Exception):
    """Where an error happened in another process, as text; the cause of the error here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


@dataclass(frozen=True, slots=True, kw_only=True)
class PortableError:
    """An error as plain data.

    Parameters
    ----------
    pickled : bytes or None
        The error itself, where it can be pickled and read back.
    kind, message : str
        Name of its class and its text.
    traceback : str or None
        Where it happened; None for an error of gpwf whose message says everything.
    """

    pickled: bytes | None
    kind: str
    message: str
    traceback: str | None


def portable_error(error: BaseException) -> PortableError:
    """Return an error as plain data."""
    plain = isinstance(error, GpwfError) and error.__cause__ is None
    return PortableError(
        pickled=_pickled_error(error),
        kind=type(error).__name__,
        message=str(error),
        traceback=None if plain else "".join(traceback.format_exception(error)),
    )


def restored_error(portable: PortableError) -> BaseException:
    """Return the error: of its own type with its attributes, or a `RuntimeError` that names it."""
    if portable.pickled is None:
        error: BaseException = RuntimeError(f"{portable.kind}: {portable.message}")
    else:
        error = _unpickled_error(portable.pickled)
    if portable.traceback is not None:
        error.__cause__ = ChildTracebackError(portable.traceback)
    return error


def _pickled_error(error: BaseException) -> bytes | None:
    kind = type(error)
    # the other ways are for classes whose constructor asks for more than the message, and for those
    # that hold what cannot be pickled
    ways: tuple[Any, ...] = (error, (kind, error.args, vars(error)), (kind, (str(error),), {}))
    for way in ways:
        try:
            data = pickle.dumps(way)
            found = _unpickled_error(data)
        except _PICKLING:
            continue
        if type(found) is kind and str(found) == str(error):
            return data
    return None


def _unpickled_error(data: bytes) -> BaseException:
    value = pickle.loads(data)
    if isinstance(value, BaseException):
        return value
    kind, args, state = value
    error: BaseException = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    return error


def pack(value: Any) -> list[Any]:
    """Return a value as the pieces of a message, ready for `send`.

    Large arrays are not copied: the pieces are views of their memory.

    Raises
    ------
    StepError
        Where the value cannot be pickled.
    """
    beside: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        try:
            view = buffer.raw()
        except BufferError:  # not in one piece
            return True
        if view.nbytes < _BESIDE_BYTES:
            return True
        beside.append(view)
        return False

    keep_exact()
    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=keep)
    except _PICKLING as error:
        raise StepError(
            f"a result of type {type(value).__name__} cannot be handed from one process to "
            f"another: {error}",
            hint="this is a fault of the step type: what it gives to `ctx.map` must return data "
            "that can be pickled, no functions, locks or open files",
        ) from error
    sizes = struct.pack(f"!{1 + len(beside)}Q", len(data), *(item.nbytes for item in beside))
    return [_HEAD.pack(len(beside)) + sizes + data, *beside]


def send(connection: socket.socket, pieces: list[Any]) -> None:
    """Send what `pack` returned."""
    for piece in pieces:
        connection.sendall(piece)


def receive(connection: socket.socket) -> Any:
    """Return the next value.

    Raises
    ------
    EOFError
        Where the other end is closed, also in the middle of a message.
    StepError
        Where the value cannot be read back; the message after it can be read.
    """
    (n_beside,) = _HEAD.unpack(_exactly(connection, _HEAD.size))
    sizes = struct.unpack(f"!{1 + n_beside}Q", _exactly(connection, 8 * (1 + n_beside)))
    data, *beside = [_exactly(connection, size) for size in sizes]
    try:
        return pickle.loads(data, buffers=beside)
    except _PICKLING as error:
        raise StepError(
            f"a result of another process cannot be read back: {error}",
            hint="this is a fault of the step type: what it gives to `ctx.map` must return data "
            "that can be pickled",
        ) from error


def _exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        try:
            got = connection.recv_into(view[done:])
        except ConnectionResetError:
            got = 0
        if not got:
            raise EOFError("the other end is closed")
        done += got
    return data
