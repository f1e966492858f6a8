"""Exceptions as plain data that crosses processes, readable for people."""

from __future__ import annotations

import traceback

from gpwf.core.runs import Failure
from gpwf.errors import GpwfError, NoDataError, StepError, StoreError, TransientStepError

__all__ = ["failure_of"]


def failure_of(error: BaseException) -> Failure:
    """Return why an attempt failed; the traceback is left out where the message says it all."""
    expected = isinstance(error, GpwfError)
    message = str(error).strip() or "no message"
    if isinstance(error, OSError) and not expected:
        message = _os_message(error)
    elif not expected:
        message = f"{type(error).__name__}: {message}"
    plain = isinstance(error, (StepError, StoreError)) and error.__cause__ is None
    code = getattr(error, "process_code", None)
    return Failure(
        kind=type(error).__name__,
        message=message,
        hint=error.hint if isinstance(error, GpwfError) else None,
        transient=isinstance(error, TransientStepError),
        no_data=isinstance(error, NoDataError),
        traceback=None if plain else "".join(traceback.format_exception(error)),
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
    )


def _os_message(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{type(error).__name__}: {where}{error.strerror or error}"
