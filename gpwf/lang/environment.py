"""Environment variables as expressions see them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping

from gpwf.core.redact import is_recorded_variable, looks_secret

__all__ = ["Environment"]

_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


class Environment(Mapping[str, str]):
    """The environment variables, remembering which were asked for.

    Parameters
    ----------
    values : mapping, optional
        The variables; those of the process by default.
    listed : collection of str
        Those whose values may be recorded.
    """

    def __init__(
        self, values: Mapping[str, str] | None = None, listed: Collection[str] = ()
    ) -> None:
        self._values = os.environ if values is None else values
        self._listed = frozenset(listed)
        self._looked_up: set[str] = set()
        self.asked: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        self.asked[name] = self._values.get(name)
        value = self._values[name]
        self._looked_up.add(name)
        return value

    def is_private(self, name: str) -> bool:
        """Tell whether a variable has a value that must not be recorded."""
        value = self._values.get(name)
        if not value or looks_secret(name, value):
            return bool(value)
        return name not in self._listed and not is_recorded_variable(name)

    @property
    def secrets(self) -> frozenset[str]:
        """Values that expressions have looked up and that must not be recorded."""
        return frozenset(self._values[name] for name in self._looked_up if self.is_private(name))

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self.asked[name] = self._values.get(name)
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(())  # the names of the environment are nobody's business

    def __len__(self) -> int:
        return 0

    def note_variables(self, text: str) -> None:
        """Remember every ``$NAME`` in a text; paths are expanded with them."""
        for match in _VARIABLE.finditer(text):
            self.asked[match[1]] = self._values.get(match[1])
