"""The step read-product: folders for the engine to read, files as gammapy writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_figures import make_flux, make_source

from gpwf.core.products import WrittenProduct
from gpwf.errors import StepError, StepInputError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = [
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:divide by zero"),
    pytest.mark.filterwarnings("ignore:invalid value"),
]

np = pytest.importorskip("numpy")

STEP = load_catalog().step("read-product")


def read(kind: str, path: Path) -> Any:
    settled = settle(STEP, {"kind": kind, "path": str(path)}, base=path.parent)
    assert not settled.problems, settled.problems
    settings = restore(STEP, settled.settings)
    assert [port.kind for port in STEP.outputs(settings)] == [kind]
    assert [item.path for item in STEP.external_files(settings)]
    context = StepContext(step="r", task_id="r", work_dir=path.parent)
    return STEP.run(settings, {}, context)["product"]


@pytest.mark.parametrize("kind", ["flux-points", "light-curve"])
def test_fluxes_of_gammapy_can_be_stored(kind: str, tmp_path: Path) -> None:
    """Numbers from FITS are in another byte order, also those of gammapy's template."""
    from astropy.io import fits

    flux = make_flux(3, 2 if kind == "light-curve" else 0)
    form = "lightcurve" if kind == "light-curve" else "gadf-sed"
    table = flux.to_table(sed_type="likelihood", format=form)
    fits.BinTableHDU(table).writeto(tmp_path / "native.fits")
    value = read(kind, tmp_path / "native.fits")
    (tmp_path / "out").mkdir()
    formats.write(kind, value, tmp_path / "out")
    again = formats.read(kind, tmp_path / "out", lambda digest: tmp_path)
    np.testing.assert_allclose(again.norm.data, flux.norm.data)
    np.testing.assert_allclose(again.dnde.quantity.value, flux.dnde.quantity.value, rtol=1e-6)


def test_models_tables_and_maps_of_files(tmp_path: Path) -> None:
    from astropy.table import Table
    from gammapy.maps import Map

    make_source().write(tmp_path / "m.yaml", write_covariance=False)
    assert read("models", tmp_path / "m.yaml").names == ["crab"]
    Table({"a": [1, 2]}).write(tmp_path / "t.ecsv")
    assert list(read("table", tmp_path / "t.ecsv")["a"]) == [1, 2]
    Map.create(npix=3, unit="s").write(tmp_path / "map.fits")
    assert str(read("map", tmp_path / "map.fits").unit) == "s"
    (tmp_path / "notes.txt").write_text("x")
    assert read("file", tmp_path / "notes.txt") == tmp_path / "notes.txt"


def test_a_folder_is_read_by_the_engine(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "models.yaml").write_text("")
    assert read("models", tmp_path / "p") == WrittenProduct(folder=tmp_path / "p")


@pytest.mark.parametrize("kind", ["flux-points", "map", "models", "table", "fit-result"])
def test_a_file_of_something_else_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.fits").write_text("{}")
    with pytest.raises(StepError, match=rf"x\.fits holds no product of kind '{kind}'"):
        read(kind, tmp_path / "x.fits")


@pytest.mark.parametrize("kind", ["map", "maps", "flux-maps", "models"])
def test_headers_are_never_run(kind: str, tmp_path: Path) -> None:
    """gammapy evaluates a card of headers, of templates of models as well."""
    from astropy.io import fits
    from gammapy.maps import Map, MapAxis, Maps

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=1)
    item = Map.create(npix=3, unit="s", axes=[axis])
    (Maps(norm=item) if "maps" in kind else item).write(tmp_path / "map.fits")
    with fits.open(tmp_path / "map.fits") as hdulist:
        for hdu in hdulist:
            hdu.header["WCSSHAPE"] = f"open({str(tmp_path / 'ran')!r}, 'w')"
        hdulist.writeto(tmp_path / "x.fits")
    path = tmp_path / "x.fits"
    if kind == "models":
        path = tmp_path / "x.yaml"
        path.write_text(
            "components: [{name: x, type: SkyModel, spectral: {type: PowerLawSpectralModel}, "
            "spatial: {type: TemplateSpatialModel, filename: x.fits}}]"
        )
    with pytest.raises(StepError, match="WCSSHAPE"):
        read(kind, path)
    assert not (tmp_path / "ran").exists()


def test_what_models_refer_to_counts(tmp_path: Path) -> None:
    """A template that has changed makes another task, and one that is gone is told before."""
    (tmp_path / "x.yaml").write_text(
        "components: [{name: x, type: SkyModel, spatial: {filename: t.fits}}]"
    )
    settled = settle(STEP, {"kind": "models", "path": "x.yaml"}, base=tmp_path)
    settings = restore(STEP, settled.settings)
    with pytest.raises(StepInputError, match=r"no such file: .*t\.fits"):
        STEP.external_files(settings)
    (tmp_path / "t.fits").write_text("")
    assert [item.name for item in STEP.external_files(settings)] == ["x.yaml", "t.fits"]


def test_flux_maps_have_the_model_beside_them(tmp_path: Path) -> None:
    """Wherever they were written: the header has the full path of there."""
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Map, MapAxis

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=1)
    norm = Map.create(npix=3, axes=[axis])
    (tmp_path / "there").mkdir()
    made = FluxMaps.from_maps(
        {"norm": norm + 2.0}, sed_type="likelihood", reference_model=make_source()[0]
    )
    made.write(tmp_path / "there" / "f.fits")
    (tmp_path / "there").rename(tmp_path / "here")
    found = read("flux-maps", tmp_path / "here" / "f.fits")
    assert found.reference_model.name == "crab"
    np.testing.assert_array_equal(found.dnde.data, made.dnde.data)
    (tmp_path / "here" / "f.fits_model.yaml").unlink()
    with pytest.raises(StepError, match=r"no file f\.fits_model\.yaml beside it"):
        read("flux-maps", tmp_path / "here" / "f.fits")


def test_what_is_a_folder_needs_one(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text("")
    with pytest.raises(StepError, match="a product of kind 'datasets' is a folder") as caught:
        read("datasets", tmp_path / "datasets.yaml")
    assert "`read-datasets`" in str(caught.value.hint)


def test_nothing_there_is_told_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StepInputError, match="is empty"):
        read("models", tmp_path / "empty")
    with pytest.raises(StepInputError, match="no such file or folder"):
        read("models", tmp_path / "none")
    settled = settle(STEP, {"kind": "any", "path": "x"}, base=tmp_path)
    assert [item.path for item in settled.problems] == [("kind",)]
