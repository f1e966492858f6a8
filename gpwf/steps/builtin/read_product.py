"""The step ``read-product``: a product of an earlier run, or of somebody else, from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.products import WrittenProduct
from gpwf.core.spec import Port
from gpwf.errors import StepError, StepInputError
from gpwf.steps.base import Step, StepContext, input_file, missing_path
from gpwf.steps.callables.kinds import ANY, ProductKind
from gpwf.steps.commands.inputs import files_of_folder
from gpwf.steps.settings import Field, InputPath, StepSettings

__all__ = ["ReadProductSettings", "ReadProductStep"]

# what files of another kind make a reader raise
_NOT_OF_THE_KIND = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)


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
        """Return the file, or every file of the folder."""
        path = settings.path
        if path.path.is_file():
            return (input_file("path", path),)
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


def _read(kind: str, path: Path) -> Any:
    """Return what gammapy, or astropy, reads from a file.

    Raises
    ------
    StepError
        For a kind that is more than one file.
    """
    if kind in ("flux-points", "light-curve", "flux-profile"):
        from gammapy.estimators import FluxPoints

        form = {"flux-points": "gadf-sed", "light-curve": "lightcurve", "flux-profile": "profile"}
        return FluxPoints.read(path, format=form[kind])
    if kind == "flux-maps":
        from gammapy.estimators import FluxMaps

        return FluxMaps.read(path)
    if kind in ("map", "maps"):
        from gammapy.maps import Map, Maps

        return Map.read(path) if kind == "map" else Maps.read(path)
    if kind == "models":
        from gammapy.modeling.models import Models

        return Models.read(path)
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
