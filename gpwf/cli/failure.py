"""What the user sees when something goes wrong, and the exit code."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path

import click

from gpwf.errors import DocumentError, ExitCode, GpwfError
from gpwf.report.text import clean

__all__ = ["BROKEN_PIPE", "report", "say"]

#: Exit code of a program that SIGPIPE ended: whoever read our output had enough.
BROKEN_PIPE = 141
_FULL = (errno.ENOSPC, errno.EDQUOT)


def say(text: str, *, err: bool = True) -> None:
    """Print a message for people: standard error, so that results have standard output alone."""
    click.echo(text, err=err)


def report(error: BaseException, *, debug: bool) -> int:
    """Print what went wrong and return the exit code.

    Parameters
    ----------
    error : BaseException
        Whatever ended a command.
    debug : bool
        True to show the traceback of an internal fault instead of writing it to a file.
    """
    if isinstance(error, BrokenPipeError):
        _silence()
        return BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return ExitCode.INTERRUPTED
    if isinstance(error, OSError) and error.errno in _FULL:
        if error.filename is None:  # standard output
            _silence()
        say(f"error: cannot write {clean(str(error.filename or 'the result'))}: {error.strerror}")
        return ExitCode.USAGE
    if isinstance(error, DocumentError):
        _report_document(error)
        return error.exit_code
    if isinstance(error, GpwfError):
        if debug:
            say(_traceback(error))
        say(f"{click.style('error:', fg='red', bold=True)} {clean(error.message)}")
        if error.hint:
            say(f"  hint: {clean(error.hint)}")
        return error.exit_code
    return _report_fault(error, debug)


def _report_document(error: DocumentError) -> None:
    from gpwf.report.diagnostics import diagnostics_text

    say(diagnostics_text(error.diagnostics))


def _report_fault(error: BaseException, debug: bool) -> int:
    head = click.style("internal error:", fg="red", bold=True)
    say(f"{head} {type(error).__name__}: {clean(str(error))}")
    if debug:
        say(_traceback(error))
    else:
        say(f"  this is a fault of gpwf{_keep(_traceback(error))}")
    return ExitCode.INTERNAL


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _keep(text: str) -> str:
    """Write a traceback to a private file; return the end of the sentence that says where."""
    try:
        handle, name = tempfile.mkstemp(prefix="gpwf-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"{text}\n\ngpwf {' '.join(sys.argv[1:])}\n{sys.version}\n")
    except OSError:
        return "; `gpwf --debug` before the command shows where"
    return f"; the traceback is in {Path(name)}, please send it with a bug report"


def _silence() -> None:
    """Send what is still buffered to nowhere, or Python complains at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
