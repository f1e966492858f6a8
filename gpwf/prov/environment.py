"""What a run ran on: software, machine, user. Measured once per run, in milliseconds."""

from __future__ import annotations

import getpass
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gpwf
from gpwf.core.digests import tagged_digest
from gpwf.core.redact import redact_command, redact_environment

__all__ = [
    "THREAD_VARIABLES",
    "capture_agent",
    "capture_environment",
    "redact_command",
    "this_gpwf",
]

#: Variables that decide how many threads the numerical libraries start.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)

_GIT_TIMEOUT_S = 2.0


def capture_agent() -> dict[str, Any]:
    """Return who runs gpwf: user, host, engine and its version."""
    return {
        "user": _user(),
        "host": platform.node() or "unknown",
        "engine": "gpwf",
        "version": gpwf.__version__,
    }


def capture_environment(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the software and the machine as plain data.

    Parameters
    ----------
    variables : mapping, optional
        Environment variables; those of this process by default.

    Returns
    -------
    dict
        ``python``, ``platform``, ``cpu``, ``cpus`` (those this process may use), ``threads``,
        ``variables`` (an allow-list, secrets redacted), ``distributions`` (name → version),
        ``distributions_digest``, ``gpwf`` (version; commit and ``dirty`` where it runs from a
        checkout).
    """
    variables = os.environ if variables is None else variables
    distributions = _distributions()
    return {
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
        },
        "platform": _platform(),
        "cpu": _cpu_model(),
        "cpus": _usable_cpus(),
        "threads": {name: variables[name] for name in THREAD_VARIABLES if name in variables},
        "variables": redact_environment(variables),
        "distributions": distributions,
        "distributions_digest": tagged_digest("gpwf-distributions/1", distributions),
        "gpwf": {"version": gpwf.__version__, **_checkout()},
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such account, as in a container with a bare user id
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _platform() -> dict[str, str]:
    # platform.platform() may start a process; these do not.
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
    }


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Model", "cpu"):
                    return value.strip()
    except OSError:
        pass
    return platform.machine()


def _distributions() -> dict[str, str]:
    """Return name → version of everything installed, from the names of the metadata folders.

    Reading each METADATA, as importlib.metadata does for a name, costs a quarter of a second
    in an environment with gammapy. The folder's name holds both (binary distribution format,
    https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
    """
    found: dict[str, str] = {}
    for entry in dict.fromkeys(sys.path):
        try:
            paths = list(Path(entry or ".").iterdir())
        except OSError:
            continue  # a zip file or a folder that is gone
        for path in paths:
            stem, suffix = path.stem, path.suffix
            if suffix not in (".dist-info", ".egg-info"):
                continue
            distribution, _, version = stem.partition("-")
            if suffix == ".egg-info":
                version = re.sub(r"-py\d.*\Z", "", version)
            # The first on the path is the one that is imported.
            found.setdefault(_normalised(distribution), version or "unknown")
    return dict(sorted(found.items()))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def this_gpwf() -> dict[str, str]:
    """Return the version of this gpwf, and of a checkout the commit."""
    commit = _checkout().get("commit")
    return {"version": gpwf.__version__, **({"commit": str(commit)} if commit else {})}


def _checkout() -> dict[str, Any]:
    """Return commit and dirty flag of the checkout that gpwf runs from; empty elsewhere."""
    root = Path(gpwf.__file__).resolve().parent.parent
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return {}
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--", "gpwf"]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return {}  # no git, not ours to read, or too slow: the version has to do
    head = "# branch.oid "
    commits = [line.removeprefix(head) for line in answer if line.startswith(head)]
    if not commits or commits[0] == "(initial)":
        return {}
    return {"commit": commits[0], "dirty": any(not line.startswith("#") for line in answer)}
