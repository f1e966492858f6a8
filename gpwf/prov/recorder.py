"""What the mapping of a run says: short names in, well-formed records out.

The mapping feeds a `Recorder` and does not know which: `gpwf.prov.document_recorder` builds a
document of the provenance library, `gpwf.prov.json_recorder` writes PROV-JSON as it goes. Both
make identifiers in the same way, declare every element once, and keep None, control characters
and lists out of values.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpwf.prov.json_attempts import QuickLines

__all__ = ["Attributes", "Form", "Recorder", "Ref", "json_text", "parse_time", "plain_value"]

#: Pairs (name, value): a bare name is a ``gpwf:`` term, others carry their prefix.
Attributes = Iterable[tuple[str, Any]]

# XML 1.0 has no place for these, and UTF-8 none for lone surrogates.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_first = itemgetter(0)


class Ref(str):
    """A local name of the ``gpwf:`` namespace as the value of an attribute."""

    __slots__ = ()


def parse_time(text: str) -> datetime | None:
    """Return a moment with its zone; UTC where the text names none, None where it is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def json_text(value: Any) -> str:
    """Return plain data as canonical JSON text; NaN and infinities become their names.

    As `gpwf.core.digests.canonical_json` where that takes the data. Put together here because a
    record has thousands of small ones, and making an encoder for each takes longer than this.

    Raises
    ------
    TypeError
        For what is no plain data.
    """
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str:
        return encode_basestring(value if value.isprintable() else _UNWRITABLE.sub("\ufffd", value))
    if kind is dict:
        items = [(str(key), item) for key, item in value.items()]
        items.sort(key=_first)
        return f"{{{','.join([f'{json_text(key)}:{json_text(item)}' for key, item in items])}}}"
    if kind is list or kind is tuple:
        return f"[{','.join([json_text(item) for item in value])}]"
    if kind is float:
        return repr(value) if isfinite(value) else f'"{value}"'
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    return json_text(_builtin(value))


def _builtin(value: Any) -> Any:
    """Return an instance of a subclass, or of another mapping, as what JSON knows."""
    if isinstance(value, Mapping):
        return dict(value)
    bases: tuple[Any, ...] = (str, int, float, list, tuple)
    for base in bases:
        if isinstance(value, base):
            return base(value)  # also a member of a StrEnum
    raise TypeError(f"{type(value).__name__} has no place in a record")


def plain_value(value: Any) -> Any:
    """Return a value that every serialisation can hold, None for nothing to say."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return _UNWRITABLE.sub("\ufffd", str(value))
    if isinstance(value, (Mapping, list, tuple)):
        return json_text(value) if value else None
    if isinstance(value, float) and not isfinite(value):
        return str(value)  # a NaN would make the document differ from itself
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What many entities are like: their types, and the names of their attributes.

    Parameters
    ----------
    types : tuple of str
        At least one.
    names : tuple of str
        Each once.
    """

    types: tuple[str, ...]
    names: tuple[str, ...]


class Recorder(ABC):
    """Takes the records of one document.

    Identifiers are given as local names in the ``gpwf:`` namespace. Every element is declared
    once: the first declaration wins, because what is declared again is the same by construction
    of its identifier. The relations of an activity follow its declaration, before that of the
    next one, so that a recorder need not remember those of earlier activities.

    ``quick`` says what is ordinary at once, where a recorder can do that.

    Attributes whose value is None or empty are left out, but for an empty ``prov:value``. A list
    or mapping is written as JSON text. Where a name comes several times, it has several values.
    """

    quick: QuickLines | None = None

    @abstractmethod
    def reset(self) -> None:
        """Forget all records, and what was prepared."""

    @abstractmethod
    def prepare(self, attributes: Attributes) -> Any:
        """Return attributes in a form that can be given as ``notes`` again and again.

        Raises
        ------
        KeyError
            For a name that is in no vocabulary.
        """

    @abstractmethod
    def has(self, local: str) -> bool:
        """Tell whether an element is declared; not for those declared as ``unique``."""

    # ---- elements ---------------------------------------------------------------------------

    @abstractmethod
    def entity(
        self,
        local: str,
        types: tuple[str, ...] = (),
        attributes: Attributes = (),
        *,
        unique: bool = False,
    ) -> str:
        """Declare an entity and return its local name.

        ``unique`` says that nothing else will declare it, so that nobody need remember it.
        """

    @abstractmethod
    def entity_of(
        self,
        form: Form,
        local: str,
        values: tuple[Any, ...],
        notes: Any = None,
        *,
        unique: bool = False,
    ) -> str:
        """Declare an entity of a form by the values of its attributes; return its local name.

        ``notes`` are prepared attributes with other names; ``unique`` is as for `entity`.
        """

    @abstractmethod
    def activity(
        self,
        local: str,
        start: datetime | None,
        end: datetime | None,
        types: tuple[str, ...] = (),
        attributes: Attributes = (),
        notes: Any = None,
    ) -> str:
        """Declare an activity and return its local name.

        ``notes`` are prepared attributes with other names than ``attributes``.
        """

    @abstractmethod
    def agent(self, local: str, types: tuple[str, ...] = (), attributes: Attributes = ()) -> str:
        """Declare an agent and return its local name."""

    # ---- relations --------------------------------------------------------------------------

    @abstractmethod
    def used(
        self,
        activity: str,
        entity: str,
        role: str,
        time: datetime | None,
        notes: Any = None,
        again: int | None = None,
    ) -> str:
        """Say that an activity used an entity in a role; return the name of the usage.

        ``notes`` are prepared attributes. A number that is new, ``again``, tells apart several
        usages in one role.
        """

    @abstractmethod
    def usage(self, entity: str, role: str, notes: Any = None) -> Any:
        """Return a usage in a form that can be given to `used_all` again and again."""

    @abstractmethod
    def used_all(self, activity: str, usages: Iterable[Any], time: datetime | None) -> None:
        """Say that an activity used entities, each in a role of its own."""

    @abstractmethod
    def generated(self, entity: str, activity: str, role: str, time: datetime | None) -> str:
        """Say that an activity made an entity, once; return the name of the generation."""

    @abstractmethod
    def logged(self, log: str, activity: str) -> None:
        """Say that an activity, declared earlier, made its log, which nothing else says."""

    @abstractmethod
    def invalidated(self, entity: str, activity: str, time: datetime | None) -> None:
        """Say that an entity ended with an activity."""

    @abstractmethod
    def derived(
        self,
        new: str,
        old: str,
        activity: str | None = None,
        generation: str | None = None,
        usage: str | None = None,
    ) -> None:
        """Say that an entity was made from another one, by which activity and how."""

    @abstractmethod
    def started(self, activity: str, starter: str, time: datetime | None) -> None:
        """Say that an activity was started by another one; the time is the start of the first."""

    @abstractmethod
    def informed(self, informed: str, informant: str) -> None:
        """Say that an activity used something that another one made."""

    @abstractmethod
    def associated(self, activity: str, agent: str, plan: str) -> None:
        """Say that an agent was responsible for an activity and followed a plan."""

    @abstractmethod
    def on_behalf(self, delegate: str, responsible: str, activity: str) -> None:
        """Say that an agent acted for another one in an activity."""

    @abstractmethod
    def specialises(self, specific: str, general: str) -> None:
        """Say that an entity, just declared for the first time, is an aspect of another one."""

    @abstractmethod
    def member(self, collection: str, entity: str) -> None:
        """Say that an entity belongs to a collection, just declared for the first time."""
