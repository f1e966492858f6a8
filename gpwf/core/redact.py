"""Keep secrets out of the record: by name, by look, and by known value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from gpwf.core.diagnostics import Diagnostic

__all__ = [
    "REDACTED",
    "SHORTEST",
    "Redactor",
    "is_recorded_variable",
    "looks_secret",
    "redact_command",
    "redact_environment",
    "redact_text",
    "secrets_in",
    "without_secrets",
]

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
_URL_PASSWORD = re.compile(r"(?P<head>[A-Za-z][\w+.-]*://[^/\s:@]*):(?P<value>(?!\$\{)[^/\s@]+)@")
_BEARER = re.compile(r"(?P<head>\b(?:Bearer|Basic)\s+)(?P<value>[\w.~+/=-]{8,})")
_ASSIGNMENT = re.compile(
    r"""(?P<head>(?P<name>[\w.\-]+)["']?[ \t]*[:=][ \t]*)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,}\]#{\[][^\s,}\]#]*)"""
)
#: The default of a parameter that a workflow declares, in braces or on a line of its own.
_DEFAULT = re.compile(
    r"""(?P<head>(?:^(?P<indent>[ \t]+)|[{,][ \t]*)["']?default["']?[ \t]*:[ \t]*)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,}\]#{\[][^\s,}\]#]*)""",
    re.MULTILINE,
)
_KEY = re.compile(r"""(?P<name>[\w.\-]+)["']?[ \t]*:[ \t]*(?:#.*)?\Z""")
_QUOTED_REFERENCE = re.compile(r"""(["'])\$\{[^{}"']*\}\1""")
_FAR = 4000  # characters of a declaration

#: A text without any of these, in lower case, is none of the above; looking for them first takes a
#: tenth of the time.
_SIGNS = (
    *("pass", "pwd", "secret", "token", "credential", "bearer", "basic", "key", "auth", "://"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "hf_", "xox", "akia"),
    *("sk-", "pypi-", "eyj", "-----begin"),
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

#: Shorter values are not looked for in texts: they would blank out half of what is there.
SHORTEST = 4
#: Shorter values count where no letter or digit touches them: ``test`` is not in ``latest``.
_SHORTEST_ANYWHERE = 8
#: Of a longer value its beginning is looked for as well: messages cut long texts off.
_HEAD = 16
_CUT = ("...", "…", "\n")


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
    lower = text.lower()
    for sign in _SIGNS:
        if sign in lower:
            break
    else:
        return text
    text = _SECRET_VALUE.sub(REDACTED, text)
    text = _URL_PASSWORD.sub(rf"\g<head>:{REDACTED}@", text)
    text = _BEARER.sub(rf"\g<head>{REDACTED}", text)
    if "default" in lower:
        text = _DEFAULT.sub(_redact_default, text)
    return _ASSIGNMENT.sub(_redact_assignment, text)


def _redact_assignment(match: re.Match[str]) -> str:
    return f"{match['head']}{REDACTED}" if _is_assigned_secret(match) else match[0]


def _redact_default(match: re.Match[str]) -> str:
    """Redact the default of a parameter whose name, which stands before it, looks secret."""
    begin = match.start() + match[0].startswith("{")
    name = _declared(match.string[max(0, begin - _FAR) : begin], match["indent"])
    if not looks_secret(name) or _is_no_value(match["value"]):
        return match[0]
    return f"{match['head']}{REDACTED}"


def _declared(before: str, indent: str | None) -> str:
    """Return the name of the mapping that a key lies in, of which this is the text before it."""
    key = None
    if indent is not None:  # the first line above that is less indented
        for line in reversed(before.splitlines()):
            text = line.lstrip()
            if text and not text.startswith("#") and len(line) - len(text) < len(indent):
                key = _KEY.search(line.rstrip())
                break
    else:
        depth, end = 0, len(before)
        while (opened := before.rfind("{", 0, end)) >= 0:
            closed = before.rfind("}", opened, end)
            end = opened if closed < 0 else closed
            depth += -1 if closed < 0 else 1
            if depth < 0:
                key = _KEY.search(before[:opened])
                break
    return key["name"] if key else ""


def _is_assigned_secret(match: re.Match[str]) -> bool:
    return looks_secret(match["name"]) and not _is_no_value(match["value"])


def _is_no_value(text: str) -> bool:
    """Tell whether a text says where a value is: a reference, or the lines that follow."""
    return text.startswith(("${", "|", ">")) or bool(_QUOTED_REFERENCE.fullmatch(text))


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


def is_recorded_variable(name: str) -> bool:
    """Tell whether an environment variable may be recorded without being asked for."""
    return (name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)) and not looks_secret(name)


def secrets_in(text: str) -> Iterator[str]:
    """Yield what `redact_text` takes out of a text."""
    for pattern in (_SECRET_VALUE, _URL_PASSWORD, _BEARER, _ASSIGNMENT):
        for match in pattern.finditer(text):
            if pattern is _SECRET_VALUE:
                yield match[0]
            elif pattern is not _ASSIGNMENT or _is_assigned_secret(match):
                yield match["value"].strip("\"'")


class Redactor:
    """Takes what looks like a secret, and known secret values, out of texts.

    Parameters
    ----------
    values : iterable of str
        Known secrets. One of fewer than 4 characters is not looked for; one of fewer than 8 only
        where it stands alone. The forms that a value has in JSON, in an address and in the
        ``repr`` of Python are found as well, every line of it, and its beginning where a message
        cut it off. What was encoded otherwise, in base 64 for example, is not.
    also : callable, optional
        Takes something else out of every text; see `gpwf.core.anonymity.Anonymizer`.
    """

    def __init__(
        self, values: Iterable[str] = (), *, also: Callable[[str], str] | None = None
    ) -> None:
        self._also = also
        known = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        self._heads = sorted((form for form in known if len(form) > _HEAD), key=len, reverse=True)
        words = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern, words))) if words else None

    def __bool__(self) -> bool:
        """True where there is more to take out than what looks like a secret."""
        return self._known is not None or self._also is not None

    def __call__(self, text: str) -> str:
        """Return a text without secrets."""
        return redact_text(self.known(text))

    def known(self, text: str) -> str:
        """Return a text without the known values; nothing else is looked for."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
            for value in self._heads:
                text = _without_head(text, value)
        return text if self._also is None else self._also(text)

    def data(self, value: Any) -> Any:
        """Return plain data whose texts have no secrets; keys keep their names."""
        return _mapped(value, self, "")

    def known_data(self, value: Any) -> Any:
        """Return plain data whose texts have no known values."""
        return _mapped(value, self.known, None)


def without_secrets(item: Diagnostic, clean: Redactor) -> Diagnostic:
    """Return a diagnostic whose message and hint do not have the known values in them."""
    if not clean:
        return item
    hint = clean.known(item.hint) if item.hint else item.hint
    return replace(item, message=clean.known(item.message), hint=hint)


def _pattern(word: str) -> str:
    if len(word) >= _SHORTEST_ANYWHERE:
        return re.escape(word)
    return rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"


def _forms(value: str) -> Iterator[str]:
    """Yield a value as it may stand in a text."""
    for part in (value, *value.splitlines()):
        text = part.strip()
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield repr(text)[1:-1]
        yield quote(text, safe="")
        yield quote(text)


def _without_head(text: str, value: str) -> str:
    """Return a text without the beginning of a value where the text was cut off in it."""
    head = value[:_HEAD]
    at = text.find(head)
    while at >= 0:
        end = at + _HEAD
        for wanted in value[_HEAD:]:
            if text[end : end + 1] != wanted:
                break
            end += 1
        if text.startswith(_CUT, end) or end == len(text):
            text = text[:at] + REDACTED + text[end:]
            end = at + len(REDACTED)
        at = text.find(head, end)
    return text


def _mapped(value: Any, clean: Callable[[str], str], name: str | None) -> Any:
    """Return plain data with other texts; secrets go by the name of their key, unless it is None.

    In a list of texts, which may be a command line, an option tells what the next text is.
    """
    if isinstance(value, str):
        return REDACTED if name and value and looks_secret(name, value) else clean(value)
    if isinstance(value, Mapping):
        return {
            key: _mapped(item, clean, None if name is None else str(key))
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        if name is not None and value and all(isinstance(item, str) for item in value):
            return [_mapped(item, clean, name) for item in redact_command(value)]
        return [_mapped(item, clean, name) for item in value]
    if name and value is not None and not isinstance(value, bool) and looks_secret(name):
        return REDACTED
    return value


def redact_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that may be recorded, sorted by name, secrets redacted."""
    return {
        name: REDACTED if looks_secret(name, value) else redact_text(value)
        for name, value in sorted(variables.items())
        if name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)
    }
