"""Exceptions and exit codes, the only vocabulary of failure that every room shares."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # errors is the lowest room: it knows core for type checking only
    from gpwf.core.diagnostics import Diagnostic

__all__ = [
    "DocumentError",
    "ExecutorError",
    "ExitCode",
    "GpwfError",
    "NoDataError",
    "PlanError",
    "ProvenanceError",
    "RunError",
    "StepError",
    "StepInputError",
    "StoreError",
    "TransientStepError",
    "UsageError",
]


class ExitCode(IntEnum):
    """Exit codes of the command line.

    A run that failed, a document that is invalid and a fault of gpwf itself are told apart, so that
    a script can act on them.
    """

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    INTERNAL = 3
    INTERRUPTED = 130
    TERMINATED = 143


class GpwfError(Exception):
    """Base of every error that gpwf raises on purpose.

    Parameters
    ----------
    message : str
        What went wrong, with the file, line or step in it.
    hint : str, optional
        What the user can do about it.
    """

    exit_code: ExitCode = ExitCode.RUN_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GpwfError):
    """The command line or a call asks for something that does not exist or makes no sense."""

    exit_code = ExitCode.USAGE


class DocumentError(GpwfError):
    """A workflow document is invalid; carries every problem that was found.

    Parameters
    ----------
    diagnostics : sequence of Diagnostic
        All the problems, in the order of the text.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__("\n".join(str(item) for item in self.diagnostics) or "invalid document")


class PlanError(GpwfError):
    """A valid workflow cannot be turned into a plan (an input file is missing, for example)."""

    exit_code = ExitCode.USAGE


class StoreError(GpwfError):
    """The store or a run directory cannot be read or written."""

    exit_code = ExitCode.USAGE


class ExecutorError(GpwfError):
    """The workers cannot be started or reached."""

    exit_code = ExitCode.INTERNAL


class RunError(GpwfError):
    """A run cannot start or go on: another driver holds it, or its journal is too new."""

    exit_code = ExitCode.USAGE


class ProvenanceError(GpwfError):
    """A provenance record cannot be built, read, drawn or converted."""

    exit_code = ExitCode.USAGE


class StepError(GpwfError):
    """A step failed for a reason that running it again will not change.

    Raised by steps. The message says what the user should change.
    """


class TransientStepError(StepError):
    """A step failed for a reason that may pass; the engine may try again.

    Parameters
    ----------
    process_code : int, optional
        Exit code of the program that failed; negative: the signal that ended it.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, process_code: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.process_code = process_code


class StepInputError(StepError):
    """An external file or an item in it that a setting names is not there.

    Parameters
    ----------
    setting : str
        Dotted path of the setting, ``obs_ids`` for example.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, setting: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.setting = setting


class NoDataError(StepError):
    """A step has nothing to work on (no observation, no counts); dependants are skipped."""
