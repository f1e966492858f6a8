"""What standard output does with characters that it cannot show."""

from __future__ import annotations

import sys

__all__ = ["show_any_text"]


def show_any_text() -> None:
    """Let characters that standard output has no bytes for become escapes.

    Names and messages come from everywhere, and a terminal or a locale that is not UTF-8 is no
    fault of the run that is looked at. Standard error does so by itself.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and getattr(sys.stdout, "errors", "") == "strict":
        reconfigure(errors="backslashreplace")
