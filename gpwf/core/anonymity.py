"""Leave out of texts who ran something, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["HOME", "HOST", "USER", "Anonymizer"]

HOME, USER, HOST = "~", "[user]", "[host]"

#: Names of accounts and machines that many people have: they tell of nobody.
_COMMON = frozenset(
    re.findall(
        r"\S+",
        """
        admin anonymous app build builder centos ci circleci conda daemon debian docker ec2-user
        fedora gitpod guest home jenkins jovyan localhost mambauser nobody node none root runner
        test tmp travis ubuntu unknown user users vagrant vscode www-data
        """,
    )
)
_SHORTEST = 2


class Anonymizer:
    """Takes the names of a user, of machines and of home folders out of texts.

    A home folder becomes ``~``, a user ``[user]``, a machine ``[host]``. A name counts where no
    letter, digit or underscore touches it. Names that many have, such as ``root`` and
    ``localhost``, tell of nobody and stay.

    Parameters
    ----------
    users : iterable of str
        Names of accounts.
    hosts : iterable of str
        Names of machines; of ``node7.cluster.org`` also ``node7`` is left out.
    homes : iterable of str
        Absolute paths.
    """

    def __init__(
        self, *, users: Iterable[str] = (), hosts: Iterable[str] = (), homes: Iterable[str] = ()
    ) -> None:
        short = {part for host in hosts for part in (host, host.partition(".")[0])}
        found = {home.rstrip("/"): HOME for home in homes if len(home.rstrip("/")) > 1}
        found |= {name: HOST for name in short if _tells(name)}
        found |= {name: USER for name in users if _tells(name)}
        self._found = {name.casefold(): mark for name, mark in found.items()}
        names = sorted(found, key=len, reverse=True)
        words = "|".join(map(_pattern, names))
        self._names = re.compile(words, re.IGNORECASE) if names else None

    def __bool__(self) -> bool:
        """True where there is a name to leave out."""
        return self._names is not None

    def __call__(self, text: str) -> str:
        """Return a text without the names."""
        if self._names is None:
            return text
        return self._names.sub(lambda match: self._found[match[0].casefold()], text)


def _tells(name: str) -> bool:
    return len(name) >= _SHORTEST and name.casefold() not in _COMMON and not name.isdigit()


def _pattern(name: str) -> str:
    before = "" if name.startswith("/") else r"(?<![A-Za-z0-9_])"
    after = r"(?![\w.-])" if name.startswith("/") else r"(?![A-Za-z0-9_])"
    return f"{before}{re.escape(name)}{after}"
