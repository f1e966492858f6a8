"""Collect the problems of a document, so that all of them are reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from gpwf.core.diagnostics import Diagnostic, Severity, Span
from gpwf.core.redact import Redactor, without_secrets
from gpwf.lang.builder import StopReading
from gpwf.lang.codes import Code
from gpwf.lang.document import Document
from gpwf.lang.tree import Node, Place

__all__ = ["Report", "listed", "near_miss"]

_MAX_PROBLEMS = 500
_LONGEST_TEXT = 500


@dataclass(slots=True, kw_only=True)
class Report:
    """The problems found so far, and the documents that they lie in."""

    items: list[Diagnostic] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    secrets: Callable[[], Iterable[str]] = tuple  # what no message may say

    def add(
        self,
        code: Code | str,
        message: str,
        place: Place | Node | None = None,
        *,
        hint: str | None = None,
        step: str | None = None,
        severity: Severity = Severity.ERROR,
        related: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        """Keep a problem; a `Node` as place stands for its value.

        Raises
        ------
        StopReading
            Where there are more problems than anybody would read.
        """
        made = self.make(
            code, message, place, hint=hint, step=step, severity=severity, related=related
        )
        self.extend([made])

    @staticmethod
    def make(
        code: Code | str,
        message: str,
        place: Place | Node | None = None,
        *,
        hint: str | None = None,
        step: str | None = None,
        severity: Severity = Severity.ERROR,
        related: tuple[tuple[Span, str], ...] = (),
    ) -> Diagnostic:
        """Return a diagnostic without keeping it."""
        where = Place.of_value(place) if isinstance(place, Node) else place or Place(span=None)
        return Diagnostic(
            code=str(code),
            message=where.prefix + message,
            span=where.span,
            severity=severity,
            hint=hint,
            step=step,
            related=tuple(dict.fromkeys((*related, *where.related))),
        )

    def extend(self, items: Iterable[Diagnostic]) -> None:
        """Keep problems that were made elsewhere.

        Raises
        ------
        StopReading
            Where there are more problems than anybody would read.
        """
        for item in items:
            self.items.append(_bounded(item))
            if len(self.items) > _MAX_PROBLEMS:
                raise StopReading

    def tells_of(self, node: Node) -> bool:
        """Return True where a problem lies at a value: a further one there would be an echo."""
        prefix = Place.of_value(node).prefix
        if node.span is None and not prefix:
            return False
        return any(
            item.span == node.span and item.message.startswith(prefix) for item in self.items
        )

    @property
    def has_errors(self) -> bool:
        """True where a problem is more than a warning."""
        return any(item.severity is Severity.ERROR for item in self.items)

    def finished(self) -> list[Diagnostic]:
        """Return every problem once, in the order of the text, with its line of text."""
        clean = Redactor(self.secrets())
        if clean:
            self.items = [without_secrets(item, clean) for item in self.items]
        once = {(item.code, item.span, item.message): item for item in reversed(self.items)}
        found = sorted(once.values(), key=lambda item: (item.sort_key, item.message))
        for document in self.documents:
            found = document.with_source_lines(found)
        return found


def _bounded(item: Diagnostic) -> Diagnostic:
    """Return a diagnostic whose texts can be read: a name in the document may have megabytes."""
    texts = (item.message, item.hint or "", item.step or "")
    if max(map(len, texts)) <= _LONGEST_TEXT:
        return item
    message, hint, step = (
        text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..." for text in texts
    )
    return replace(item, message=message, hint=hint or None, step=step or None)


# what others call our keys: workflow languages, CI systems, gammapy's configuration
_ELSEWHERE = {
    "scatter": "foreach",
    "matrix": "foreach",
    "loop": "foreach",
    "with-items": "foreach",
    "reduce": "gather",
    "needs": "after",
    "depends": "after",
    "depends-on": "after",
    "if": "when",
    "condition": "when",
    "in": "required_products",
    "inputs": "required_products",
    "out": "products",
    "parameters": "config",
    "settings": "config",
    "options": "config",
    "type": "tag",
    "uses": "tag",
    "id": "name",
}


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """Return ``did you mean ...?`` where a known word is spelt like ``word``, else None."""
    folded = {name.lower().replace("_", "-"): name for name in islice(known, 500)}
    ours = _ELSEWHERE.get(word.lower().replace("_", "-"))
    if ours in folded.values():
        return f"did you mean {ours!r}?"
    # a bound on the names: a comparison is slow, and a document may have thousands
    close = difflib.get_close_matches(word[:60].lower().replace("_", "-"), folded, n=1, cutoff=0.6)
    return f"did you mean {folded[close[0]]!r}?" if close else None


def listed(names: Sequence[str], *, limit: int = 12) -> str:
    """Return names as words: ``a, b and c``."""
    shown = [*names[:limit], *([f"{len(names) - limit} more"] if len(names) > limit else [])]
    if len(shown) < 2:
        return "".join(shown)
    return ", ".join(shown[:-1]) + " and " + shown[-1]
