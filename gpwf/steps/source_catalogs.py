"""Catalogues of gamma-ray sources: where their files are, and which sources are asked for."""

from __future__ import annotations

import difflib
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.errors import StepError

__all__ = [
    "CATALOGS",
    "CatalogFile",
    "open_catalog",
    "quiet_units",
    "rows_by_name",
    "rows_by_value",
    "table_column",
]

_FERMI = "https://fermi.gsfc.nasa.gov/ssc/data/access/lat"
_GAMMAPY = "`gammapy download datasets` brings it"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFile:
    """Where a catalogue is.

    Parameters
    ----------
    tag : str
        gammapy's name in ``gammapy.catalog.CATALOG_REGISTRY``.
    file : str
        Its file below ``$GAMMAPY_DATA``.
    source : str
        How to get the file.
    templates : tuple of str
        Folders below ``$GAMMAPY_DATA`` with maps of extended sources.
    """

    tag: str
    file: str
    source: str = _GAMMAPY
    templates: tuple[str, ...] = ()


def _fermi(tag: str, file: str, page: str, *archives: str) -> CatalogFile:
    return CatalogFile(
        tag=tag,
        file=f"catalogs/fermi/{file}",
        source=f"{_GAMMAPY}, or get it from {_FERMI}/{page}",
        templates=tuple(f"catalogs/fermi/{name}/Templates" for name in archives),
    )


# gammapy's own default files and folders
CATALOGS: Mapping[str, CatalogFile] = {
    "gamma-cat": CatalogFile(tag="gamma-cat", file="catalogs/gammacat/gammacat.fits.gz"),
    "hgps": CatalogFile(tag="hgps", file="catalogs/hgps_catalog_v1.fits.gz"),
    "2hwc": CatalogFile(tag="2hwc", file="catalogs/2HWC.ecsv"),
    "3hwc": CatalogFile(tag="3hwc", file="catalogs/3HWC.ecsv"),
    "1lhaaso": CatalogFile(tag="1LHAASO", file="catalogs/1LHAASO_catalog.fits"),
    "3fgl": _fermi("3fgl", "gll_psc_v16.fit.gz", "4yr_catalog", "Extended_archive_v15"),
    "4fgl": _fermi(
        "4fgl",
        "gll_psc_v32.fit.gz",
        "14yr_catalog",
        "Extended_14years",
        "Extended_12years",
        "LAT_extended_sources_8years",
    ),
    "2fhl": _fermi("2fhl", "gll_psch_v09.fit.gz", "2FHL", "Extended_archive_v15"),
    "3fhl": _fermi("3fhl", "gll_psch_v13.fit.gz", "3FHL", "Extended_archive_v18"),
}
"""Catalogues by the name that people write."""


@contextmanager
def quiet_units() -> Iterator[None]:
    """Ignore complaints on units and headers, which the files of catalogues are full of."""
    from astropy.io.fits.verify import VerifyWarning
    from astropy.units import UnitsWarning
    from astropy.wcs import FITSFixedWarning

    with warnings.catch_warnings():
        for kind in (UnitsWarning, VerifyWarning, FITSFixedWarning):
            warnings.simplefilter("ignore", kind)
        # numbers that a source does not have
        warnings.filterwarnings("ignore", message=".*converting a masked element to nan")
        yield


def open_catalog(name: str, path: Path, step: str) -> Any:
    """Return a catalogue.

    Parameters
    ----------
    name : str
        Key of `CATALOGS`.
    path : Path
        Its file.
    step : str
        For the message.

    Returns
    -------
    catalog : `gammapy.catalog.SourceCatalog`

    Raises
    ------
    StepError
        Where the file is not that catalogue.
    """
    from astropy.io.registry import IORegistryError
    from gammapy.catalog import CATALOG_REGISTRY

    kind = CATALOG_REGISTRY.get_cls(CATALOGS[name].tag)
    try:
        with quiet_units():
            catalog = kind(path)
            missing = _missing_columns(catalog)
            if not missing:
                len(catalog.positions)
            # time bins of light curves, from which gammapy would make an axis for every source
            for attribute in {"hist_table", "hist2_table"} & set(vars(catalog)):
                setattr(catalog, attribute, None)
    except (*_READ_ERRORS, IORegistryError) as error:
        text = next(iter(str(error).splitlines()), "")
        raise _not_that(name, path, step, f"{type(error).__name__}: {text}") from error
    if missing:
        raise _not_that(name, path, step, f"it has no column {', '.join(missing)}")
    return catalog


# what a file that is torn, or something else, makes astropy and gammapy raise
_READ_ERRORS = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    zlib.error,
)

# columns that nothing but the catalogue has, or that its models need
_OWN_COLUMNS = {
    "gamma-cat": ("common_name", "spec_type", "morph_type"),
    "hgps": ("Spatial_Model", "Spectral_Model"),
    "2hwc": ("source_name", "spec1_dnde"),
    "3hwc": ("source_name", "spec0_dnde_errn"),
    "1LHAASO": ("Model_a", "r39"),
    "3fgl": ("Flux_Density", "Cutoff", "Conf_95_SemiMajor"),
    "4fgl": ("PL_Flux_Density", "LP_Index"),
    "2fhl": ("Flux50", "Pos_err_68"),
    "3fhl": ("Flux_Density", "PowerLaw_Index", "Flux_Band"),
}


def _missing_columns(catalog: Any) -> list[str]:
    """Return the columns that a table of this catalogue would have."""
    wanted = (*_OWN_COLUMNS[catalog.tag], catalog._source_name_key, *catalog._source_name_alias)
    return [name for name in dict.fromkeys(wanted) if name not in catalog.table.colnames]


def _not_that(name: str, path: Path, step: str, reason: str) -> StepError:
    return StepError(
        f"{step}: {path} is not the catalogue '{name}': {reason}",
        hint=f"give 'file' as {Path(CATALOGS[name].file).name} has it, or another 'catalog'",
    )


def rows_by_name(catalog: Any, names: Sequence[str], step: str, setting: str) -> list[list[int]]:
    """Return the rows of sources by their names or by other names that the catalogue has for them.

    Parameters
    ----------
    catalog : `gammapy.catalog.SourceCatalog`
    names : sequence of str
    step, setting : str
        For the message.

    Returns
    -------
    rows : list of list of int
        For each name at least one; several where another name is that of several sources, as
        ``Crab`` is of pulsar and nebula in 3FGL.

    Raises
    ------
    StepError
        Where no source has a name, with the nearest ones.
    """
    known = _rows_of_names(catalog) if names else {}
    folded: dict[str, list[int]] = {}
    for key, numbers in known.items():
        folded.setdefault(key.casefold(), []).extend(numbers)
    rows = [known.get(name.strip()) or folded.get(name.strip().casefold(), []) for name in names]
    unknown = [name for name, found in zip(names, rows, strict=True) if not found]
    if unknown:
        near = list(dict.fromkeys(item for name in unknown for item in _near(name, known)))
        hint = f"did you mean {' or '.join(repr(item) for item in near)}?" if near else ""
        raise StepError(
            f"{step}: '{setting}': the catalogue '{catalog.tag}' has no source "
            f"{', '.join(repr(item) for item in unknown)}",
            hint=hint or "leave 'names' out and set 'cone' to see the sources around a position",
        )
    return [sorted(set(found)) for found in rows]


def _rows_of_names(catalog: Any) -> dict[str, list[int]]:
    """Return the rows that each name stands for: the source's own name stands for it alone.

    gammapy's table of names has the last source of a name, and names for what is masked.
    """
    import numpy as np

    found: dict[str, list[int]] = {}
    for column in catalog._source_name_alias:
        values = catalog.table[column]
        masks = np.broadcast_to(getattr(values, "mask", False), len(values))
        for row, (value, is_masked) in enumerate(zip(values, masks, strict=True)):
            texts = [] if is_masked else [text.strip() for text in str(value).split(",")]
            for text in dict.fromkeys(filter(None, texts)):
                rows = found.setdefault(text, [])
                if row not in rows:
                    rows.append(row)
    own = [str(value).strip() for value in catalog.table[catalog._source_name_key]]
    for text in own:
        found.pop(text, None)
    for row, text in enumerate(own):
        found.setdefault(text, []).append(row)
    return found


def _near(name: str, known: Mapping[str, Any]) -> list[str]:
    """Return names like one: spelt nearly so, or with more words."""
    inside = [item for item in known if name.strip() and name.strip().casefold() in item.casefold()]
    return [*difflib.get_close_matches(name, known, n=2), *sorted(inside, key=len)[:2]]


def rows_by_value(catalog: Any, cut: Any, number: int, step: str) -> Any:
    """Return which sources pass a cut on a column.

    Parameters
    ----------
    catalog : `gammapy.catalog.SourceCatalog`
    cut : object
        With ``column``, ``min``, ``max`` and ``equals``.
    number : int
        Its place in the setting ``cuts``, for the message.
    step : str
        For the message.

    Returns
    -------
    passed : `numpy.ndarray`
        Boolean, one per source. What is not a number passes no bound.

    Raises
    ------
    StepError
        Where there is no such column, or a value is none of it.
    """
    import numpy as np

    where = f"{step}: 'cuts.{number}'"
    column = table_column(catalog, cut.column, where)
    passed = np.ones(len(catalog.table), dtype=bool)
    if cut.equals:
        texts = np.array([str(item).strip() for item in column])
        passed &= np.isin(texts, [str(item) for item in cut.equals])
    for word, bound in (("min", cut.min), ("max", cut.max)):
        if bound is None:
            continue
        values = _numbers(column, where)
        limit = _in_unit_of(column, bound, f"{where}, '{word}'")
        passed &= (values >= limit) if word == "min" else (values <= limit)
    return passed


def table_column(catalog: Any, name: str, where: str) -> Any:
    """Return a column with one value per source.

    Raises
    ------
    StepError
        Where there is none, with the nearest names.
    """
    table = catalog.table
    plain = [item for item in table.colnames if table[item].ndim == 1]
    if name not in plain:
        near = difflib.get_close_matches(name, plain, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(repr(item) for item in near)}?" if near else ""
        raise StepError(
            f"{where}: the catalogue '{catalog.tag}' has no column '{name}' with one value per "
            "source",
            hint=hint or f"its columns are {', '.join(plain)}",
        )
    return table[name]


def _numbers(column: Any, where: str) -> Any:
    """Return the values of a column as floats; NaN where there is none."""
    import numpy as np

    if column.dtype.kind not in "biuf":
        raise StepError(
            f"{where}: the column '{column.name}' holds texts, which have no 'min' and 'max'",
            hint="use 'equals'",
        )
    data = np.ma.asarray(column.data if hasattr(column, "data") else column)
    return np.ma.filled(data.astype(float), np.nan)


def _in_unit_of(column: Any, bound: Any, where: str) -> float:
    """Return a bound as a number in the column's unit."""
    from astropy import units as u

    unit = column.unit or u.dimensionless_unscaled
    quantity = u.Quantity(bound)
    if not quantity.unit.is_equivalent(unit):
        has = f"is in {unit}" if column.unit else "has no unit"
        raise StepError(
            f"{where}: {bound} is no value of the column '{column.name}', which {has}",
            hint=f"write a number with a unit such as {unit}" if column.unit else "write a number",
        )
    return float(quantity.to_value(unit))
