"""What the files of the products share: no dates, plain numbers, exact times."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "dump_yaml",
    "exact_gti",
    "gti_to_plain",
    "load_yaml",
    "native",
    "plain",
    "read_json",
    "stable_cards",
    "time_from_plain",
    "time_to_plain",
    "unique_names",
    "without_dates",
    "write_hdulist",
    "write_json",
]

_USUAL = re.compile(r"[A-Za-z0-9_.+/()@-]*(?: [A-Za-z0-9_.+/()@-]+)*")
_LONG = 64  # letters of a text that both of YAML's writers fold alike
# cards that differ between identical runs (dates, and sums over headers that hold dates)
_VOLATILE = ("CREATED", "DATE", "CHECKSUM", "DATASUM")


def write_hdulist(hdulist: Any, path: Path, card: Mapping[str, str]) -> None:
    """Write an HDU list without anything that differs between identical runs.

    Parameters
    ----------
    hdulist : `astropy.io.fits.HDUList`
        The first HDU is the primary one; headers are changed in place.
    path : Path
        New file.
    card : mapping of str to str
        Goes into the primary header.
    """
    without_dates(hdulist)
    for name, value in card.items():
        hdulist[0].header[name] = value
    hdulist.writeto(path, checksum=False)


def stable_cards(cards: Mapping[str, Any]) -> dict[str, Any]:
    """Return header cards without those that differ between identical runs."""
    return {name: value for name, value in cards.items() if name not in _VOLATILE}


def without_dates(hdulist: Any) -> None:
    """Remove the cards that differ between identical runs from all headers, in place."""
    for hdu in hdulist:
        for name in _VOLATILE:
            hdu.header.remove(name, ignore_missing=True, remove_all=True)


def write_json(data: Mapping[str, Any], path: Path, card: Mapping[str, str]) -> None:
    """Write plain data as indented JSON, the card under ``gpwf``.

    Floats are in their shortest form that reads back equal; NaN is written as ``NaN``, which
    Python reads.
    """
    document = {**data, "gpwf": dict(card)} if card else dict(data)
    path.write_text(json.dumps(plain(document), indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote, without the card."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    data.pop("gpwf", None)
    return data


def plain(value: Any) -> Any:
    """Return ``value`` with numpy scalars, arrays, tuples and paths as Python's own types."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def native(array: Any) -> Any:
    """Return an array in the byte order of the machine; FITS files are big-endian."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def time_to_plain(time: Any) -> dict[str, Any]:
    """Return an astropy Time as plain data with both of its doubles, so without any loss."""
    return {
        "scale": time.scale,
        "format": time.format,
        "jd1": plain(time.jd1),
        "jd2": plain(time.jd2),
    }


def time_from_plain(data: Mapping[str, Any]) -> Any:
    """Return the astropy Time of `time_to_plain`."""
    from astropy.time import Time

    time = Time(data["jd1"], data["jd2"], format="jd", scale=data["scale"])
    time.format = data["format"]
    return time


def gti_to_plain(gti: Any) -> dict[str, Any] | None:
    """Return good time intervals as plain data.

    A GTI table in FITS keeps its reference time as one double of days, about 1e-7 s; here nothing
    is lost.
    """
    if gti is None:
        return None
    return {
        "reference": time_to_plain(gti.time_ref),
        "start": time_to_plain(gti.time_start),
        "stop": time_to_plain(gti.time_stop),
    }


def exact_gti(data: Mapping[str, Any] | None) -> Any:
    """Return the `gammapy.data.GTI` of `gti_to_plain`."""
    if data is None:
        return None
    from astropy.table import Table
    from gammapy.data import GTI

    table = Table()
    table["START"] = time_from_plain(data["start"])
    table["STOP"] = time_from_plain(data["stop"])
    return GTI(table, reference_time=time_from_plain(data["reference"]))


def dump_yaml(data: Mapping[str, Any], card: Mapping[str, str]) -> str:
    """Return YAML as gammapy writes it: keys in the given order, no date, a checksum.

    The card is in comments at the head. In an entry of its own it would be part of gammapy's
    checksum, and the same content of another task would differ in more than the card.
    """
    import yaml
    from gammapy.utils.check import yaml_checksum
    from gammapy.utils.scripts import YAML_FORMAT

    content = plain(data)
    head = "".join(f"# {name}: {text}\n" for name, text in card.items())
    # libyaml is ten times as fast, and gives the same text where no word is unusual
    fast = yaml.__with_libyaml__ and _is_usual(content)
    dumper = yaml.CSafeDumper if fast else yaml.SafeDumper
    text: str = yaml.dump(
        content, Dumper=dumper, sort_keys=False, default_flow_style=None, width=1000
    )
    # gammapy's reader complains where there is none, and computes it from its own layout
    checked = yaml.dump(content, Dumper=yaml.CDumper if fast else yaml.Dumper, **YAML_FORMAT)
    return f"{head}{text}checksum: {yaml_checksum(checked)}\n"


def _is_usual(content: Any) -> bool:
    """Return whether all texts of plain data are words that need no care in YAML."""
    if isinstance(content, dict):
        return all(key and _is_usual(key) and _is_usual(item) for key, item in content.items())
    if isinstance(content, list):
        return all(_is_usual(item) for item in content)
    if isinstance(content, str):
        return len(content) <= _LONG and bool(_USUAL.fullmatch(content))
    return True


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that `dump_yaml` wrote.

    Those of older versions have the card under ``metadata``; nobody asks for it.
    """
    import yaml

    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    data: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return data


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names that are safe as file names, distinct even where letter case does not count."""
    result: list[str] = []
    taken: set[str] = set()
    for name in names:
        safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in name)
        safe = safe.lstrip(".") or "unnamed"
        candidate, number = safe, 2
        while candidate.lower() in taken:
            candidate, number = f"{safe}-{number}", number + 1
        taken.add(candidate.lower())
        result.append(candidate)
    return result
