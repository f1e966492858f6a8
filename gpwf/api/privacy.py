"""What must not be in the records of a run: secrets, and on request who ran it, and where."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

from gpwf.core.anonymity import Anonymizer
from gpwf.core.event_redaction import Privacy
from gpwf.core.plan import Plan
from gpwf.core.redact import Redactor, looks_secret
from gpwf.prov.environment import capture_agent

__all__ = ["privacy_of", "this_anonymizer"]

_SHORTEST = 8  # of a value in the environment: shorter ones are words, yes and no
_FOLDERS = ("PWD", "OLDPWD")  # where the shell is and was, no password


def privacy_of(plan: Plan, *, anonymous: bool) -> Privacy:
    """Return what must not be in the records of a run of a plan.

    Parameters
    ----------
    plan : Plan
        As it is run.
    anonymous : bool
        Leave out user, machine and home folder as well.
    """
    also = this_anonymizer() if anonymous else None
    return Privacy(
        clean=Redactor(plan.secrets, also=also),
        talk=Redactor({*plan.secrets, *_environment_secrets()}, also=also),
        anonymous=anonymous,
    )


def _environment_secrets() -> Iterator[str]:
    """Yield the values of the environment variables whose names look secret.

    No record has them; a program that gets them may print them, though.
    """
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and looks_secret(name) and name not in _FOLDERS:
            yield value


def this_anonymizer() -> Anonymizer:
    """Return what leaves out the user, the machine and the home folder of this process."""
    agent = capture_agent()
    users = {str(agent["user"]), *(os.environ.get(name, "") for name in ("USER", "LOGNAME"))}
    hosts = {str(agent["host"]), platform.node(), socket.gethostname()}
    return Anonymizer(users=users, hosts=hosts, homes=set(_homes()))


def _homes() -> Iterator[str]:
    """Yield the home folder as it is called, as it is, and as the account has it."""
    with contextlib.suppress(RuntimeError, OSError):
        home = Path.home()
        yield str(home)
        yield str(home.resolve())
    with contextlib.suppress(ImportError, KeyError, OSError):
        import pwd

        yield pwd.getpwuid(os.getuid()).pw_dir
