"""Colours of the pictures.

Hues of Okabe and Ito (2008, Color Universal Design), told apart with every common kind of colour
blindness; the state is written in the node as well. A test holds them to the contrast that WCAG
2.2 asks for (text 7:1, outlines 3:1), on white and on dark paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpwf.prov.graph import Node

__all__ = ["DARK_INK", "DARK_PAPER", "INK", "KINDS", "PAPER", "STATES", "Style", "style_of"]

INK, PAPER = "#1f2937", "#ffffff"
DARK_INK, DARK_PAPER = "#e8ebf0", "#14171c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a node looks: fill, border, line (``solid dashed dotted``), and both at night."""

    fill: str
    border: str
    dark_fill: str
    dark_border: str
    line: str = "solid"


def _style(fill: str, border: str, dark_fill: str, dark_border: str, line: str = "solid") -> Style:
    return Style(fill=fill, border=border, dark_fill=dark_fill, dark_border=dark_border, line=line)


_LOST = _style("#f3dfea", "#a8557f", "#41253a", "#cc79a7")

#: State of an activity → style.
STATES: Mapping[str, Style] = {
    "ok": _style("#d9f2e9", "#008a64", "#0d3a2e", "#1fb98d"),
    "cached": _style("#dcedf9", "#0072b2", "#10314a", "#56b4e9"),
    "running": _style("#fdf3c7", "#8f6c00", "#453a08", "#f0c93c"),
    "waiting": _style("#ffffff", "#6b7280", "#14171c", "#9aa3b2", "dotted"),
    "failed": _style("#fbe0d0", "#c24e00", "#54270a", "#f08444"),
    "timeout": _LOST,
    "oom": _LOST,
    "lost": _LOST,
    "interrupted": _LOST,
    "cancelled": _style("#dcdfe4", "#6b7280", "#3a404a", "#9aa3b2", "dotted"),
    "blocked": _style("#ffffff", "#c24e00", "#14171c", "#f08444", "dashed"),
    "skipped": _style("#ffffff", "#6b7280", "#14171c", "#9aa3b2", "dashed"),
}

#: Kind of a node → style; of an activity: in a state that nobody knows.
KINDS: Mapping[str, Style] = {
    "activity": _style("#eef0f3", "#6b7280", "#2b3038", "#9aa3b2"),
    "product": _style("#ffffff", "#374151", "#1b1f26", "#aab2bf"),
    "input": _style("#fdf8e8", "#857435", "#332d17", "#c9b458"),
    "file": _style("#fdf8e8", "#857435", "#332d17", "#c9b458"),
    "setting": _style("#ffffff", "#80868f", "#1b1f26", "#7f8794"),
    "plan": _style("#f2effa", "#6d5fa8", "#2a2542", "#a496e0"),
    "agent": _style("#fdeedd", "#a66414", "#3f2a10", "#dd9a47"),
    "environment": _style("#eef3f6", "#5b7c8d", "#1f2d34", "#8fb3c4"),
    "other": _style("#ffffff", "#7d8591", "#1b1f26", "#9aa3b2"),
}


def style_of(node: Node) -> Style:
    """Return how a node looks."""
    if node.kind == "activity" and node.state in STATES:
        return STATES[node.state]
    return KINDS.get(node.kind, KINDS["other"])
