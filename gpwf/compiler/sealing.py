"""Settings that must not be recorded: which ones they are, and what stands for them in the key."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from gpwf.core.digests import canonical_json
from gpwf.core.redact import SHORTEST, looks_secret, redact_text, secrets_in
from gpwf.core.spec import Origin, Variant

__all__ = ["Sealing", "sealed_with"]

_NOTHING: Mapping[str, str] = {}
_SHORTEST = 8  # of a text that could hold a token or an address with a password


def sealed_with(key: bytes, value: Any) -> str:
    """Return the keyed digest of plain data: HMAC-SHA-256 (RFC 2104) of its canonical JSON.

    Who does not have the key cannot find out a short value by trying all of them.
    """
    return hmac.digest(key, canonical_json(["gpwf-seal/1", value]), "sha256").hex()


@cache
def _own_key() -> bytes:
    """Return a key for plans that no store is there for: the same until this process ends."""
    return secrets.token_bytes(32)


class Sealing:
    """Finds the settings that must not be recorded, and their values.

    Parameters
    ----------
    seal : callable, optional
        Returns the keyed digest of a value; one with a key of this process by default.
    known : collection of str
        Secrets that are known already: a setting that has one in it is no further secret.

    Attributes
    ----------
    values : set of str
        What was found.
    """

    def __init__(
        self, seal: Callable[[Any], str] | None = None, known: Collection[str] = ()
    ) -> None:
        self._parts = [value for value in known if len(value) >= SHORTEST]
        self._seal = seal or (lambda value: sealed_with(_own_key(), value))
        self.values: set[str] = set()
        self._names: dict[int, tuple[Mapping[str, Origin], tuple[str, ...]]] = {}
        self._looked_at: dict[int, Any] = {}
        self._same: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def of(self, variant: Variant) -> Mapping[str, str]:
        """Return the leaves of settings that must not be recorded, with their keyed digests."""
        for value in variant.settings.values():
            self._look_at(value)
        names = self._named(variant.origins)
        if not names:
            return _NOTHING
        found: dict[str, str] = {}
        for name in names:
            value = _leaf(variant.settings, name)
            if value is None or value == "" or isinstance(value, bool):
                continue
            found[name] = self._seal(value)
            self.values.update(text for text in _texts(value) if not self._is_known(text))
        return self._same.setdefault(tuple(found.items()), found)

    def _named(self, origins: Mapping[str, Origin]) -> tuple[str, ...]:
        """Return the leaves that are private by where they came from, or by their names."""
        known = self._names.get(id(origins))
        if known is None:
            names = tuple(
                path for path, item in origins.items() if item.private or _looks_secret(path)
            )
            known = self._names[id(origins)] = origins, names  # kept alive: ids are used again
        return known[1]

    def _is_known(self, text: str) -> bool:
        return any(part in text for part in self._parts)

    def _look_at(self, value: Any) -> None:
        """Keep what looks like a secret in a setting, each of them once."""
        if value is None or isinstance(value, (bool, int, float)) or id(value) in self._looked_at:
            return
        self._looked_at[id(value)] = value
        for text in _texts(value):
            if len(text) >= _SHORTEST and redact_text(text) != text:
                self.values.update(secrets_in(text))


@lru_cache(maxsize=4096)
def _looks_secret(path: str) -> bool:
    return looks_secret(path)


def _leaf(settings: Any, path: str) -> Any:
    """Return the value at a dotted path; None where there is none."""
    value = settings
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _texts(value: Any) -> Iterator[str]:
    """Yield every scalar of plain data as text."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
