"""The environment variables that reach a command: an allow-list; nothing else does."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

__all__ = ["ALWAYS", "VARIABLE", "command_environment"]

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""A name of a variable that programs can use."""

ALWAYS = (
    "PATH",
    "LD_LIBRARY_PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "GAMMAPY_DATA",
    "CALDB",
    "CALDBCONFIG",
    "CALDBALIAS",
    "GAMMALIB",
    "CTOOLS",
    "HEADAS",
    "FERMI_DIR",
    "PFILES",
)
"""Variables that every command gets where they are set, besides those that begin with ``LC_``."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def command_environment(
    names: Sequence[str], n_jobs: int, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables of a command.

    Parameters
    ----------
    names : sequence of str
        Variables that it gets besides `ALWAYS`.
    n_jobs : int
        Cores that it may use; the number of threads of its numerical libraries, unless the
        variables for that are in ``names``.
    base : mapping of str to str, optional
        Where values come from; the variables of this process by default.
    """
    found = os.environ if base is None else base
    wanted = {*ALWAYS, *names}
    chosen = {
        name: value for name, value in found.items() if name in wanted or name.startswith("LC_")
    }
    return dict.fromkeys(_THREADS, str(n_jobs)) | chosen
