"""Colours and shapes of the pictures.

Hues of Okabe and Ito (2008, Color Universal Design), told apart with every common kind of colour
blindness; the state is written in the node as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpwf.prov.graph import Node

__all__ = ["STATES", "Style", "style_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a node looks: fill, border, border style (``solid`` or ``dashed``)."""

    fill: str
    border: str
    line: str = "solid"


_GREEN, _BLUE, _RED = "#009e73", "#0072b2", "#d55e00"
_PURPLE, _YELLOW, _GREY = "#a8557f", "#b58900", "#6b7280"

#: State of an activity → style.
STATES: Mapping[str, Style] = {
    "ok": Style(fill="#d9f2e9", border=_GREEN),
    "cached": Style(fill="#dcedf9", border=_BLUE),
    "running": Style(fill="#fdf3c7", border=_YELLOW),
    "waiting": Style(fill="#ffffff", border=_GREY, line="dashed"),
    "failed": Style(fill="#fbe0d0", border=_RED),
    "timeout": Style(fill="#f3dfea", border=_PURPLE),
    "oom": Style(fill="#f3dfea", border=_PURPLE),
    "lost": Style(fill="#f3dfea", border=_PURPLE),
    "interrupted": Style(fill="#f3dfea", border=_PURPLE),
    "cancelled": Style(fill="#e9eaec", border=_GREY),
    "blocked": Style(fill="#ffffff", border=_RED, line="dashed"),
    "skipped": Style(fill="#ffffff", border=_GREY, line="dashed"),
}

_KINDS: Mapping[str, Style] = {
    "activity": Style(fill="#eef0f3", border=_GREY),
    "product": Style(fill="#ffffff", border="#374151"),
    "input": Style(fill="#fdf8e8", border="#8a7a3d"),
    "setting": Style(fill="#ffffff", border="#b6bcc6"),
    "plan": Style(fill="#f2effa", border="#6d5fa8"),
    "agent": Style(fill="#fdeedd", border="#b06f1b"),
    "environment": Style(fill="#eef3f6", border="#5b7c8d"),
    "other": Style(fill="#ffffff", border="#9aa1ac"),
}


def style_of(node: Node) -> Style:
    """Return how a node looks."""
    if node.kind == "activity" and node.state in STATES:
        return STATES[node.state]
    return _KINDS.get(node.kind, _KINDS["other"])
