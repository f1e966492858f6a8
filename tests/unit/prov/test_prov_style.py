"""Colours of the pictures: contrast on both papers, told apart with colour blindness."""

from __future__ import annotations

import itertools

import pytest

from gpwf.core.runs import TaskState
from gpwf.prov.style import DARK_INK, DARK_PAPER, INK, KINDS, PAPER, STATES, Style

#: Viénot, Brettel and Mollon (1999, Color Res. Appl. 24, 243): linear RGB as a dichromat sees it.
BLIND = {
    "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}
STYLES = {
    **{f"state {k}": v for k, v in STATES.items()},
    **{f"kind {k}": v for k, v in KINDS.items()},
}


def linear(colour: str) -> tuple[float, ...]:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    return tuple(p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)


def luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    bright, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def lab(rgb: tuple[float, ...]) -> tuple[float, float, float]:
    """Return linear RGB as CIELAB with the white D65."""
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    x, y, z = (
        max(sum(a * b for a, b in zip(row, rgb, strict=True)) / w, 0.0) ** (1 / 3)
        for row, w in zip(rows, white, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: str, two: str, sight: str) -> float:
    seen = []
    for colour in (one, two):
        rgb = linear(colour)
        if sight in BLIND:
            rgb = tuple(sum(a * b for a, b in zip(row, rgb, strict=True)) for row in BLIND[sight])
        seen.append(lab(rgb))
    return sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5


@pytest.mark.parametrize("name", STYLES)
def test_text_and_outlines_have_contrast(name: str) -> None:
    style = STYLES[name]
    assert contrast(INK, style.fill) >= 7
    assert contrast(style.border, PAPER) >= 3
    assert contrast(DARK_INK, style.dark_fill) >= 7
    assert contrast(style.dark_border, DARK_PAPER) >= 3


@pytest.mark.parametrize("sight", ["usual", *BLIND])
@pytest.mark.parametrize("dark", [False, True])
def test_states_are_told_apart(sight: str, dark: bool) -> None:
    """By the colour of the outline, or by its line or fill where the colour is the same."""

    def look(style: Style) -> tuple[str, str, str]:
        if dark:
            return style.dark_border, style.dark_fill, style.line
        return style.border, style.fill, style.line

    chosen = {
        name: look(STATES[name]) for name in STATES if name not in ("oom", "lost", "interrupted")
    }
    for (one, a), (two, b) in itertools.combinations(chosen.items(), 2):
        if a[2] != b[2]:
            continue
        apart = max(difference(a[0], b[0], sight), 1.5 * difference(a[1], b[1], sight))
        assert apart > 12, (one, two, apart)


def test_every_state_has_a_colour() -> None:
    assert {state.value for state in TaskState} <= set(STATES)
