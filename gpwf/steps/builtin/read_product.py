"""The step ``read-product``: a product of an earlier run, or of somebody else, from its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.map_headers import guard_geometry
from gpwf.core.products import WrittenProduct
from gpwf.core.spec import Port
from gpwf.errors import StepError, StepInputError
from gpwf.steps.base import Step, StepContext, input_file, missing_path
from gpwf.steps.callables.kinds import ANY, ProductKind
from gpwf.steps.commands.inputs import files_of_folder
from gpwf.steps.model_building import (
    build_models,
    component_problems,
    file_path,
    references_in,
)
from gpwf.steps.model_files import read_models
from gpwf.steps.settings import Field, InputPath, StepSettings

__all__ = ["ReadProductSettings", "ReadProductStep"]

# what files of another kind make a reader raise
_NOT_OF_THE_KIND = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
)
# gammapy writes the reference model of `maps.fits` to `maps.fits_model.yaml`
_MODEL = "_model.yaml"


class ReadProductSettings(StepSettings):
    """Settings of the step."""

    kind: ProductKind = Field(description="Kind of the product")
    path: InputPath = Field(
        examples=["runs/crab/latest/products/fit/models"],
        description="Folder of the product, or a file that gammapy wrote",
    )


class ReadProductStep(Step):
    """Read a product from the files that gpwf writes.

    `path` is the folder of a product as a run shows it, `runs/<workflow>/latest/products/<step>/
    <product>`, or a copy of it; then everything of the product is there. It may be a file as well
    that gammapy wrote: flux points, light curves, maps, models; a table that astropy reads; a
    file of any kind for `kind: file`. Files of datasets are read by `read-datasets`, those of
    events by `observations`.

    Files that models refer to, and the model that gammapy writes beside flux maps (`x.fits` and
    `x.fits_model.yaml`), are read and count, too.

    The files count by their content, not by where they lie. Observations refer to the files of
    events, which must have been read with this store before.
    """

    tag: ClassVar[str] = "read-product"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Read a product of an earlier run"
    group: ClassVar[str] = "generic"
    Settings: ClassVar[type[StepSettings]] = ReadProductSettings
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="product", kind=ANY, help="The product, of the kind that 'kind' says"),
    )

    def outputs(self, settings: ReadProductSettings) -> tuple[Port, ...]:
        """Return the port ``product``."""
        return (Port(name="product", kind=settings.kind, help="The product"),)

    def check(self, settings: ReadProductSettings) -> Sequence[SettingProblem]:
        """Check that the kind is one of products."""
        if settings.kind != ANY:
            return ()
        message = "'any' is a kind of input; a product has one of its own"
        return [SettingProblem(path=("kind",), message=message, code="GP304")]

    def external_files(self, settings: ReadProductSettings) -> tuple[ExternalFile, ...]:
        """Return the file and those that belong to it, or every file of the folder."""
        path = settings.path
        if path.path.is_file():
            return (input_file("path", path), *_more_files(str(settings.kind), path.path))
        if not path.path.is_dir():
            raise missing_path("path", path, "file or folder")
        found = tuple(files_of_folder("path", path))
        if not found:
            raise StepInputError(
                f"path: {path} is empty", setting="path", hint="give the folder of a product"
            )
        return found

    def run(
        self,
        settings: ReadProductSettings,
        inputs: Mapping[str, Any],  # noqa: ARG002  (the step has no inputs)
        ctx: StepContext,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Return ``product``: the folder for the engine to read, or what a file holds."""
        path = settings.path.path
        if path.is_dir():
            return {"product": WrittenProduct(folder=path)}
        if settings.kind == "file":
            return {"product": path}
        try:
            return {"product": _read(str(settings.kind), path)}
        except _NOT_OF_THE_KIND as error:
            raise StepError(
                f"{path} holds no product of kind {settings.kind!r}: "
                f"{str(error).partition(chr(10))[0] or type(error).__name__}",
                hint="give the file that gammapy wrote, or the folder of a product",
            ) from error


def _more_files(kind: str, path: Path) -> Iterator[ExternalFile]:
    """Yield the files that reading this one reads as well."""
    model = path.with_name(path.name + _MODEL)
    if kind == "flux-maps" and model.is_file():
        yield ExternalFile(setting="path", path=model, name=model.name)
        path, kind = model, "models"
    if kind == "models":
        texts = (text for _, _, text in references_in(read_models(path)[0]))
        for text in dict.fromkeys(texts):
            found = input_file("path", file_path(text, path.parent))
            yield ExternalFile(setting="path", path=found.path, name=text)


def _read(kind: str, path: Path) -> Any:
    """Return what gammapy, or astropy, reads from a file.

    Raises
    ------
    StepError
        For a kind that is more than one file.
    """
    from gammapy.maps import WcsGeom

    guard_geometry(WcsGeom)
    if kind in ("flux-points", "light-curve", "flux-profile"):
        from gammapy.estimators import FluxPoints

        form = {"flux-points": "gadf-sed", "light-curve": "lightcurve", "flux-profile": "profile"}
        return FluxPoints.read(path, format=form[kind])
    if kind == "flux-maps":
        return _read_flux_maps(path)
    if kind in ("map", "maps"):
        from gammapy.maps import Map, Maps

        return Map.read(path) if kind == "map" else Maps.read(path)
    if kind == "models":
        return _read_models(path)
    if kind == "table":
        from astropy.io.registry import IORegistryError
        from astropy.table import Table

        try:
            return Table.read(path)
        except IORegistryError:
            raise ValueError("astropy knows no format of tables like this") from None
    if kind == "fit-result":
        import json

        from gpwf.core.products import FitSummary

        return FitSummary.from_plain(json.loads(path.read_bytes()))
    raise StepError(
        f"a product of kind {kind!r} is a folder, and {path} is a file",
        hint="give the folder; the step `read-datasets` reads files of datasets, `observations` "
        "those of events",
    )


def _read_models(path: Path) -> Any:
    data, message = read_models(path)
    problems = [message] if message else [text for _, text in component_problems(data)]
    if problems:
        raise ValueError("; ".join(problems))
    return build_models(data, path.parent, path.name)


def _read_flux_maps(path: Path) -> Any:
    """Return flux maps with the model beside them.

    The header names it by its full path on the machine where gammapy wrote it: what lies there now,
    or on another machine, may be anything.
    """
    from astropy.io import fits
    from gammapy.data import GTI
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Maps

    model = path.with_name(path.name + _MODEL)
    with fits.open(path, memmap=False) as hdulist:
        maps = Maps.from_hdulist(hdulist, hdu_bands=None)
        sed_type = hdulist[0].header.get("SED_TYPE")
        gti = GTI.from_table_hdu(hdulist["GTI"]) if "GTI" in hdulist else None
    if not model.is_file():
        raise StepError(
            f"{path.name} has no reference model: there is no file {model.name} beside it",
            hint="gammapy writes both, `FluxMaps.write`; copy both",
        )
    reference = _read_models(model)[0]
    return FluxMaps.from_maps(maps, sed_type=sed_type, reference_model=reference, gti=gti)
