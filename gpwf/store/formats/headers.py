"""Cards of FITS headers, whatever the file holds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

__all__ = ["header_cards"]

_MOST_HDUS = 50
_MOST_CARDS = 2000


def header_cards(path: Path, wanted: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Return the cards of a FITS file that are wanted, keyword and value as text, each once.

    Parameters
    ----------
    path : Path
        The file, compressed or not.
    wanted : callable
        Is given a keyword; ``HISTORY`` comes once per line.

    Raises
    ------
    OSError, ValueError
        Where it is no FITS file, or a damaged one.
    """
    from astropy.io import fits

    found: dict[tuple[str, str], None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, lazy_load_hdus=True, ignore_missing_simple=False) as hdus:
            for number, hdu in enumerate(hdus):
                if number >= _MOST_HDUS or len(found) >= _MOST_CARDS:
                    break
                for card in hdu.header.cards:
                    key = str(card.keyword).upper()
                    if wanted(key):
                        found[key, str(card.value).strip()] = None
    return [item for item in found if item[1]]
