"""Keep secrets out of the record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["REDACTED", "looks_secret", "redact_command", "redact_environment", "redact_text"]

REDACTED = "[redacted]"

#: A word of a name that says its value is a secret. Whole words only: ``author`` is no secret.
_SECRET_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|bearer|"
    r"(?:api|access|private|secret|auth|ssh|encryption)[_.\-]?key|auth"
)
_SECRET_NAME = re.compile(rf"(?:^|[^A-Za-z])(?:{_SECRET_WORDS})s?(?:$|[^A-Za-z])", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: Values that are secrets whatever their name: tokens of well-known services, keys, JSON web
#: tokens, passwords in an address.
_SECRET_VALUE = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|"
    r"xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|sk-[\w-]{20,}|pypi-[\w-]{20,}|"
    r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_URL_PASSWORD = re.compile(r"(?P<head>[A-Za-z][\w+.-]*://[^/\s:@]*):[^/\s@]+@")
_BEARER = re.compile(r"(?P<head>\b(?:Bearer|Basic)\s+)[\w.~+/=-]{8,}")
_ASSIGNMENT = re.compile(
    r"""(?P<head>(?P<name>[\w.\-]+)["']?[ \t]*[:=][ \t]*)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,}\]#]+)"""
)

#: Variables whose value may be recorded; the others are not even named.
_ALLOWED = frozenset(
    (
        "CALDB",
        "CONDA_DEFAULT_ENV",
        "CONDA_PREFIX",
        "GAMMAPY_DATA",
        "LANG",
        "LC_ALL",
        "MPLBACKEND",
        "PYTHONHASHSEED",
        "PYTHONPATH",
        "SLURM_JOB_ID",
        "TZ",
        "VIRTUAL_ENV",
    )
)
_ALLOWED_PREFIXES = ("GPWF_",)


def looks_secret(name: str, value: str = "") -> bool:
    """Tell whether a name or a value looks like a secret.

    >>> looks_secret("api_token"), looks_secret("author"), looks_secret("dbPassword")
    (True, False, True)
    """
    words = _CAMEL.sub("_", name)
    return bool(_SECRET_NAME.search(words) or _SECRET_VALUE.search(value))


def redact_text(text: str) -> str:
    """Return a text without what looks like a secret in it.

    Values of ``name: value`` and ``name=value`` go where the name looks secret; tokens of
    well-known services, private keys and passwords in addresses go everywhere.
    """
    text = _SECRET_VALUE.sub(REDACTED, text)
    text = _URL_PASSWORD.sub(rf"\g<head>:{REDACTED}@", text)
    text = _BEARER.sub(rf"\g<head>{REDACTED}", text)
    return _ASSIGNMENT.sub(_redact_assignment, text)


def _redact_assignment(match: re.Match[str]) -> str:
    if looks_secret(match["name"]) and not match["value"].startswith(("${", "|", ">")):
        return f"{match['head']}{REDACTED}"
    return match[0]


def redact_command(argv: Iterable[str]) -> tuple[str, ...]:
    """Return a command line that may be recorded.

    ``--token abc``, ``--token=abc``, ``-p api_key=abc`` and ``https://me:abc@host`` lose ``abc``.

    Parameters
    ----------
    argv : iterable of str
        Command and arguments.
    """
    words: list[str] = []
    value_is_secret = False
    for word in argv:
        if value_is_secret and not word.startswith("--"):
            words.append(REDACTED)
            value_is_secret = False
            continue
        name, equals, _ = word.partition("=")
        value_is_secret = word.startswith("-") and not equals and looks_secret(word)
        secret = bool(equals) and looks_secret(name)
        words.append(f"{name}={REDACTED}" if secret else redact_text(word))
    return tuple(words)


def redact_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that may be recorded, sorted by name, secrets redacted."""
    return {
        name: REDACTED if looks_secret(name, value) else redact_text(value)
        for name, value in sorted(variables.items())
        if name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)
    }
