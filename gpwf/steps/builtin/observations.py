"""Observations selected from a datastore."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError, StepInputError
from gpwf.steps.base import Step, StepContext, input_file, missing_path
from gpwf.steps.dl3_index import DatastoreIndex, find_index, has_index, read_index
from gpwf.steps.dl3_scan import event_files, scan_files
from gpwf.steps.settings import Field, InputPath, SkyCircle, StepSettings

__all__ = ["ObservationsSettings", "ObservationsStep"]

log = logging.getLogger(__name__)

_DATASTORE = Port(name="datastore", kind="datastore", help="Datastore made by another step")
_SHORT_FORMS = {
    "full-enclosure": {"aeff", "edisp", "psf", "bkg"},
    "point-like": {"aeff", "edisp"},
    "all-optional": set(),
}
_SHOWN = 8  # ids in a message


class ObservationsSettings(StepSettings):
    """Settings of observations."""

    datastore: InputPath | None = Field(
        None,
        description="Folder of a DL3 datastore; one without index tables is indexed from the "
        "headers of its FITS files; left out, with 'files': the product 'datastore' is read",
    )
    files: tuple[InputPath, ...] | None = Field(
        None,
        min_length=1,
        description="Files of events instead of a datastore: paths, or patterns such as "
        "`data/*_dl3.fits`",
    )
    irfs: InputPath | None = Field(
        None,
        description="File with the response of all observations whose files have none, for "
        "'files' and for a folder without index tables",
    )
    obs_ids: tuple[int, ...] | None = Field(
        None, min_length=1, description="Ids of the observations, in the order wanted"
    )
    obs_file: InputPath | None = Field(
        None, description="File with ids, instead of 'obs_ids': one per line, CSV or ECSV"
    )
    obs_cone: SkyCircle | None = Field(
        None, description="Keep the observations that point into this circle"
    )
    required_irf: (
        Literal["full-enclosure", "point-like", "all-optional"]
        | tuple[Literal["aeff", "edisp", "psf", "bkg", "rad_max"], ...]
    ) = Field("full-enclosure", description="Response that every observation must have")


class ObservationsStep(Step):
    """Selects observations from a DL3 datastore, or from files.

    A datastore is read through its index tables (`gammapy.data.DataStore`). Files without an index
    are indexed from their headers, with the class of the response that stands there (HDUCLAS4);
    a file that has response and no events, as FACT has, serves all observations. Files of
    several telescopes are an error.

    Without `obs_ids`, `obs_file` and `obs_cone` every observation is taken; `obs_cone` together
    with ids keeps what fulfils both. An observation that is named but lacks a required response
    is an error; one that a cone finds is left out with a warning, as gammapy does.
    """

    tag = "observations"
    version = "1"
    title = "Select observations"
    group = "data"
    Settings = ObservationsSettings
    input_ports = (_DATASTORE,)
    output_ports = (
        Port(name="observations", kind="observations", help="The selected observations"),
    )
    packages = ("gammapy", "numpy", "astropy")

    def inputs(self, settings: ObservationsSettings) -> tuple[Port, ...]:
        """Return the port ``datastore``, unless the settings name a folder or files."""
        return (_DATASTORE,) if settings.datastore is None and settings.files is None else ()

    def check(self, settings: ObservationsSettings) -> Sequence[SettingProblem]:
        """Check that ids are given in one way, each once."""
        problems = []
        if settings.datastore is not None and settings.files is not None:
            message = "give either 'datastore' or 'files', not both"
            problems.append(SettingProblem(path=("files",), message=message, code="GP306"))
        if settings.irfs is not None and settings.datastore is None and settings.files is None:
            message = "'irfs' has no meaning for the product 'datastore', which has an index"
            problems.append(SettingProblem(path=("irfs",), message=message, code="GP306"))
        if settings.obs_ids is not None and settings.obs_file is not None:
            problems.append(
                SettingProblem(
                    path=("obs_file",),
                    message="give either 'obs_ids' or 'obs_file', not both",
                    code="GP306",
                )
            )
        ids = settings.obs_ids or ()
        problems += [
            SettingProblem(
                path=("obs_ids", number),
                message=f"observation {obs_id} is listed twice",
                code="GP306",
            )
            for number, obs_id in enumerate(ids)
            if obs_id in ids[:number]
        ]
        return problems

    def index_files(self, settings: ObservationsSettings) -> tuple[ExternalFile, ...]:
        """Return what decides which files are read: index tables, or all files that are listed."""
        files = []
        if _has_tables(settings):
            for path in find_index("datastore", str(settings.datastore)):
                files.append(ExternalFile(setting="datastore", path=path, name=path.name))
        elif settings.datastore is not None or settings.files is not None:
            setting, found = _listed_files(settings)
            files += [ExternalFile(setting=setting, path=path, name=path.name) for path in found]
            if settings.irfs is not None:
                files.append(input_file("irfs", settings.irfs))
        if settings.obs_file is not None:
            files.append(input_file("obs_file", settings.obs_file))
        return tuple(files)

    def external_files(self, settings: ObservationsSettings) -> tuple[ExternalFile, ...]:
        """Return the index tables and the data files of the selected observations."""
        if settings.datastore is None and settings.files is None:
            return self.index_files(settings)
        files: list[ExternalFile] = []
        if _has_tables(settings):
            files += self.index_files(settings)
        elif settings.obs_file is not None:
            files.append(input_file("obs_file", settings.obs_file))
        index = _read(settings, settings.datastore)
        setting = "datastore" if settings.files is None else "files"
        found: dict[str, ExternalFile] = {}
        for obs_id in _select(settings, index):
            for item in index.files[obs_id]:
                if not item.path.is_file():
                    raise StepInputError(
                        f"datastore: observation {obs_id}: no such file: {item.path}",
                        setting="datastore",
                        hint="the index names it; was the download complete?",
                    )
                place = "irfs" if item.path == _path(settings.irfs) else setting
                found[item.name] = ExternalFile(setting=place, path=item.path, name=item.name)
        return (*files, *found.values())

    def run(
        self,
        settings: ObservationsSettings,
        inputs: Mapping[str, Any],
        ctx: StepContext,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Open the datastore and take the observations."""
        directory = settings.datastore
        if directory is None and settings.files is None:
            directory = inputs["datastore"]
        index = _read(settings, directory)
        obs_ids = _select(settings, index)
        if not obs_ids:
            raise NoDataError(f"no observation of {_named(settings)} fits the selection")
        store = _open(index, directory)
        # what is required was checked against the index; gammapy would leave out silently
        observations = store.get_observations(list(obs_ids), required_irf="all-optional")
        return {"observations": observations}


def _named(settings: ObservationsSettings) -> str:
    if settings.files is not None:
        return "the files"
    return "the input datastore" if settings.datastore is None else str(settings.datastore)


def _path(path: InputPath | None) -> Path | None:
    return None if path is None else path.path


def _has_tables(settings: ObservationsSettings) -> bool:
    """Tell whether the settings name a folder with index tables."""
    if settings.datastore is None or not has_index(settings.datastore):
        return False
    if settings.irfs is not None:
        raise StepInputError(
            f"irfs: {settings.datastore} has an index, which names the response",
            setting="irfs",
            hint="leave 'irfs' out, or give the files of events with 'files'",
        )
    return True


def _listed_files(settings: ObservationsSettings) -> tuple[str, list[Path]]:
    """Return the setting that names files without an index, and the files."""
    if settings.files is not None:
        return "files", event_files("files", settings.files)
    return "datastore", event_files("datastore", str(settings.datastore))


def _read(settings: ObservationsSettings, directory: Any) -> DatastoreIndex:
    """Return the index of a datastore, or of files that have none."""
    if settings.files is None and (settings.datastore is None or _has_tables(settings)):
        return read_index("datastore", str(directory))
    setting, files = _listed_files(settings)
    return scan_files(setting, files, _path(settings.irfs))


def _open(index: DatastoreIndex, directory: Any) -> Any:
    """Return the `gammapy.data.DataStore` of an index."""
    from gammapy.data import DataStore, HDUIndexTable

    if not index.hdus:
        hdu_index, obs_index = find_index("datastore", str(directory))
        return DataStore.from_dir(directory, hdu_index.name, obs_index.name)
    names = [item.path.relative_to(index.directory) for item in index.hdus]
    columns = {
        "OBS_ID": [item.obs_id for item in index.hdus],
        "HDU_TYPE": [item.hdu_type for item in index.hdus],
        "HDU_CLASS": [item.hdu_class for item in index.hdus],
        "FILE_DIR": ["" if len(name.parts) == 1 else name.parent.as_posix() for name in names],
        "FILE_NAME": [name.name for name in names],
        "HDU_NAME": [item.hdu_name for item in index.hdus],
    }
    meta = {"BASE_DIR": index.directory.as_posix()}
    return DataStore(hdu_table=HDUIndexTable(columns, meta=meta))


def _select(settings: ObservationsSettings, index: DatastoreIndex) -> tuple[int, ...]:
    """Return the ids of the observations that the settings ask for.

    Raises
    ------
    StepInputError
        Where an observation that is named is not there, or lacks a response.
    """
    setting, named = _named_ids(settings)
    obs_ids = index.obs_ids if named is None else named
    unknown = [obs_id for obs_id in obs_ids if obs_id not in index.files]
    if unknown:
        raise _unknown_ids(settings, setting, unknown, index)
    if settings.obs_cone is not None:
        obs_ids = _within(settings.obs_cone, obs_ids, index)
    required = _required(settings) | {"events", "gti"}
    complete = tuple(item for item in obs_ids if required <= index.hdu_types(item))
    lacking = [item for item in obs_ids if item not in complete]
    if lacking and (named is not None or (index.hdus and not complete)):
        missing = ", ".join(sorted(required - index.hdu_types(lacking[0])))
        lend = ", or give the file of the response with 'irfs'" if index.hdus else ""
        raise StepInputError(
            f"required_irf: observation {lacking[0]} of {_named(settings)} has no {missing}",
            setting="required_irf",
            hint=f"require less, or leave the observation out{lend}",
        )
    if lacking:
        log.warning("left out for lack of events or response: %s", _listed(lacking))
    return complete


def _required(settings: ObservationsSettings) -> set[str]:
    if isinstance(settings.required_irf, str):
        return set(_SHORT_FORMS[settings.required_irf])
    return set(settings.required_irf)


def _named_ids(settings: ObservationsSettings) -> tuple[str, tuple[int, ...] | None]:
    """Return the setting that names ids, and the ids; None where none are named."""
    if settings.obs_file is not None:
        return "obs_file", _read_ids(settings.obs_file)
    return "obs_ids", settings.obs_ids


def _read_ids(path: InputPath) -> tuple[int, ...]:
    """Return the ids in a file: one per line, or a column OBS_ID of a CSV or ECSV table."""
    try:
        text = path.path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise missing_path("obs_file", path, "file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StepInputError(
            f"obs_file: cannot read {path}: {error}", setting="obs_file"
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    rows = [
        line.replace(",", " ").replace(";", " ").split()
        for line in lines
        if line and not line.startswith("#")
    ]
    column = 0
    if rows and not rows[0][0].strip('"').isdigit():
        names = [name.strip('"').upper() for name in rows.pop(0)]
        column = names.index("OBS_ID") if "OBS_ID" in names else 0
    try:
        return tuple(dict.fromkeys(int(row[column].strip('"')) for row in rows))
    except (ValueError, IndexError):
        raise StepInputError(
            f"obs_file: {path} is no list of observation ids",
            setting="obs_file",
            hint="write one id per line, or a table with a column OBS_ID",
        ) from None


def _unknown_ids(
    settings: ObservationsSettings, setting: str, unknown: list[int], index: DatastoreIndex
) -> StepError:
    near = sorted(index.obs_ids, key=lambda obs_id: abs(obs_id - unknown[0]))[:4]
    hint = f"near it: {_listed(sorted(near))}" if near else "the datastore is empty"
    word = "observation" if len(unknown) == 1 else "observations"
    if setting == "obs_ids" and settings.obs_ids is not None:
        setting = f"obs_ids.{settings.obs_ids.index(unknown[0])}"
    return StepInputError(
        f"obs_ids: no {word} {_listed(unknown)} in {_named(settings)}", setting=setting, hint=hint
    )


def _listed(obs_ids: Sequence[int]) -> str:
    shown = ", ".join(str(item) for item in obs_ids[:_SHOWN])
    return shown if len(obs_ids) <= _SHOWN else f"{shown} … ({len(obs_ids)} in all)"


def _within(circle: SkyCircle, obs_ids: Sequence[int], index: DatastoreIndex) -> tuple[int, ...]:
    """Return the observations whose pointing lies in the circle.

    The separation is computed with the formula of Vincenty, exact at all distances.
    """
    center = circle.center.skycoord.icrs if circle.center.frame != "icrs" else None
    lon0 = circle.center.lon.value if center is None else float(center.ra.deg)
    lat0 = circle.center.lat.value if center is None else float(center.dec.deg)
    return tuple(
        obs_id
        for obs_id in obs_ids
        if obs_id in index.pointings
        and _separation_deg(lon0, lat0, *index.pointings[obs_id]) < circle.radius.value
    )


def _separation_deg(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    a, b = math.radians(lat1), math.radians(lat2)
    d = math.radians(lon2 - lon1)
    x = math.cos(b) * math.sin(d)
    y = math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(d)
    z = math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(d)
    return math.degrees(math.atan2(math.hypot(x, y), z))
