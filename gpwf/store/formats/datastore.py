"""Datastores: GADF DL3 files with their index, copied as they are.

The value in memory is the folder that holds them.
``gammapy.data.DataStore.from_dir(folder)`` works on the product.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from gpwf.core.digests import Digest
from gpwf.core.gzipped import stored_gzip
from gpwf.errors import StoreError

__all__ = ["read", "write"]

_INDEX = ("hdu-index.fits.gz", "hdu-index.fits")
_GZIP = b"\x1f\x8b"


def write(value: Path, directory: Path, card: Mapping[str, str]) -> Mapping[str, int]:
    """Copy the files of a datastore, see `gpwf.store.formats.write`.

    Parameters
    ----------
    value : Path
        Folder with the index and the data files.
    """
    n_bytes = n_files = 0
    for path in sorted(item for item in value.rglob("*") if item.is_file()):
        target = directory / path.relative_to(value)
        target.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        target.write_bytes(_with_card(data, card) if ".fits" in path.name else data)
        n_files, n_bytes = n_files + 1, n_bytes + len(data)
    _check(directory)
    return {"n_files": n_files, "n_bytes": n_bytes}


def read(directory: Path, locate: Callable[[Digest], Path]) -> Path:  # noqa: ARG001
    """Return the folder, see `gpwf.store.formats.read`."""
    _check(directory)
    return directory


def _check(directory: Path) -> None:
    if not any((directory / name).is_file() for name in _INDEX):
        raise StoreError(f"{directory} is no datastore: it has no {_INDEX[0]}")


def _with_card(data: bytes, card: Mapping[str, str]) -> bytes:
    """Return a FITS file with the card in its primary header, all the rest as it was."""
    if not card:
        return data
    from astropy.io import fits

    zipped = data.startswith(_GZIP)
    content = gzip.decompress(data) if zipped else data
    stream = io.BytesIO()
    with fits.open(io.BytesIO(content), memmap=False) as hdulist:
        hdulist[0].header.update(card)
        hdulist.writeto(stream)
    return stored_gzip(stream.getvalue()) if zipped else stream.getvalue()
