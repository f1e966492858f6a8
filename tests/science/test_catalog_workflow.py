"""``workflows/catalogs.gpwf.yaml``: the same models by hand, from ``gammapy.catalog``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [
    pytest.mark.science,
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning"),
]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

WORKFLOW = Path(__file__).parents[2] / "workflows" / "catalogs.gpwf.yaml"
CATALOGS = {
    "gamma-cat": "gamma-cat",
    "hgps": "hgps",
    "2hwc": "2hwc",
    "3hwc": "3hwc",
    "1lhaaso": "1LHAASO",
    "3fgl": "3fgl",
    "2fhl": "2fhl",
    "3fhl": "3fhl",
}
POSITION = ("lon_0", "lat_0")
SHAPE = ("sigma", "r_0", "radius", "width", "e", "phi", "edge_width")


def run(folder: Path, *sets: tuple[str, Any]) -> Any:
    return gpwf.read(WORKFLOW, sets=list(sets)).run(
        store=folder / "store", run_dir=folder / "run", jobs=2
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = run(tmp_path_factory.mktemp("catalogs"))
    assert str(found.state) == "ok"
    return found


def by_hand(name: str) -> Any:
    """Return the catalogue's models within 3 deg, and the names of its sources there."""
    from astropy.coordinates import SkyCoord
    from gammapy.catalog import CATALOG_REGISTRY

    catalog = CATALOG_REGISTRY.get_cls(CATALOGS[name])()
    center = SkyCoord(17.8, -0.7, unit="deg", frame="galactic")
    inside = catalog[catalog.positions.separation(center).deg < 3]
    models = inside.to_models()
    separations = inside.positions.separation(center).deg
    return models, [inside.source_name(row) for row in np.argsort(separations, kind="stable")]


@pytest.mark.parametrize("name", CATALOGS)
def test_every_model_is_that_of_gammapy(done: Any, name: str) -> None:
    from astropy import units as u

    ours = done["catalog"].at(name=name).models.read()
    theirs, sources = by_hand(name)
    assert sorted(ours.names) == sorted(theirs.names)
    for model in theirs:
        mine = ours[model.name]
        assert type(mine.spectral_model) is type(model.spectral_model)
        assert type(mine.spatial_model) is type(model.spatial_model)
        assert mine.parameters.names == model.parameters.names
        for one, two in zip(mine.parameters, model.parameters, strict=True):
            assert one.value == two.value
            assert one.unit == two.unit
            # errors that a catalogue does not have are NaN, or -inf in 3FGL
            known = np.isfinite(two.error)
            assert one.error == pytest.approx(two.error if known else 0.0, rel=1e-15)
            np.testing.assert_equal((one.min, one.max), (two.min, two.max))
            assert one.frozen == (two.frozen or two.name in (*POSITION, *SHAPE))
        if "template" in model.spatial_model.tag:
            np.testing.assert_array_equal(mine.spatial_model.map.data, model.spatial_model.map.data)
            assert mine.spatial_model.map.unit == model.spatial_model.map.unit
        energy = [1, 3, 30] * u.TeV
        np.testing.assert_array_equal(mine.spectral_model(energy), model.spectral_model(energy))
    # nearest first; a source of several components stands once per component
    table = done["catalog"].at(name=name).sources.read()
    assert list(dict.fromkeys(table["source"])) == sources
    assert list(table["model"]) == ours.names
    assert np.all(np.diff(table["separation"]) >= 0)
    assert table.meta["left_out"] == {}


def test_the_tables_have_all_of_them(done: Any) -> None:
    table = done["sources"].table.read()
    models = {name: by_hand(name)[0] for name in CATALOGS}
    assert len(table) == sum(len(item) for item in models.values())
    assert dict(zip(*np.unique(table["name"], return_counts=True), strict=True)) == {
        name: len(item) for name, item in models.items()
    }
    parameters = done["parameters"].table.read()
    assert len(parameters) == sum(len(item.parameters) for item in models.values())
    row = parameters[(parameters["model"] == "HGPSC 065") & (parameters["parameter"] == "index")]
    assert row["value"][0] == models["hgps"]["HGPSC 065"].spectral_model.index.value


def test_fluxes_are_those_of_the_models(done: Any) -> None:
    from astropy import units as u

    table = done["sources"].table.read()
    for name in ("gamma-cat", "hgps", "3fhl"):
        models, _ = by_hand(name)
        for row in table[table["name"] == name]:
            flux = models[row["model"]].spectral_model.integral(1 * u.TeV, 10 * u.TeV)
            assert row["flux"] == pytest.approx(flux.to_value("cm-2 s-1"), rel=1e-12)


def test_maps_have_the_flux_of_their_components() -> None:
    """A source that is stored as one map has the flux of its Gaussians, but for their tails."""
    from astropy import units as u
    from gammapy.catalog import SourceCatalogHGPS

    from gpwf.steps.catalog_sources import _flux

    source = SourceCatalogHGPS()["HESS J1825-137"]
    components = source.components_models()
    total = sum(item.spectral_model.integral(1 * u.TeV, 10 * u.TeV) for item in components)
    merged = _flux(source.sky_model(), 1 * u.TeV, 10 * u.TeV)
    assert merged == pytest.approx(total.to_value("cm-2 s-1"), rel=0.01)


def test_around_the_crab(tmp_path: Path) -> None:
    """The survey of the Galactic plane has nothing there: no data, and the others go on."""
    crab = {"frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg"}
    found = run(tmp_path, ("params.center", crab))
    states = {name: str(found["catalog"].at(name=name).state) for name in CATALOGS}
    assert states.pop("hgps") == "skipped"
    assert set(states.values()) == {"ok"}
    names = found["catalog"].at(name="3fgl").models.read().names
    assert {"3FGL J0534.5+2201", "3FGL J0534.5+2201i", "3FGL J0534.5+2201s"} <= set(names)
    assert found["catalog"].at(name="gamma-cat").models.read().names == ["Crab nebula"]


def test_components_stay_linked_under_another_name(tmp_path: Path) -> None:
    from gpwf.steps.base import StepContext
    from gpwf.steps.registry import load_catalog
    from gpwf.steps.settle import restore, settle

    step = load_catalog().step("catalog-models")
    config = {"catalog": "hgps", "names": ["HESS J1825-137"], "components": "linked"}
    settings = restore(step, settle(step, config | {"prefix": "x-"}, base=tmp_path).settings)
    found = step.run(settings, {}, StepContext(step="s", task_id="s", work_dir=tmp_path))["models"]
    assert found.names == ["x-HGPSC 065", "x-HGPSC 066", "x-HGPSC 067"]
    # three amplitudes, and index and cut-off that all of them share
    assert len(found.parameters.free_parameters.unique_parameters) == 5


@pytest.mark.parametrize(
    ("catalog", "which", "modelled", "left_out", "reason"),
    [
        ("gamma-cat", None, "Crab nebula", "KUV 00311-1938", "has no spectrum of it"),
        ("1lhaaso", "WCDA", "1LHAASO J0534+2200u", "1LHAASO J0007+5659u", "an upper limit|WCDA"),
        ("2hwc", "extended", "2HWC J1825-134", "2HWC J0534+220", "No extended source"),
        ("3fgl", None, "3FGL J0534.5+2201s", "3FGL J1713.5-3945e", "Templates/RXJ1713.fits"),
    ],
)
def test_sources_without_a_model_are_told(
    catalog: str, which: str | None, modelled: str, left_out: str, reason: str, tmp_path: Path
) -> None:
    """With the reason, which is the same on every machine."""
    from gpwf.steps.base import StepContext
    from gpwf.steps.registry import load_catalog
    from gpwf.steps.settle import restore, settle

    step = load_catalog().step("catalog-models")
    config = {"catalog": catalog, "which": which, "names": [modelled, left_out]}
    settings = restore(step, settle(step, config, base=tmp_path).settings)
    ctx = StepContext(step="sources", task_id="sources", work_dir=tmp_path)
    with pytest.warns(UserWarning, match=rf"without a model: {re.escape(left_out)}: .*{reason}"):
        found = step.run(settings, {}, ctx)
    assert found["models"].names == [modelled]
    assert list(found["sources"].meta["left_out"]) == [left_out]
    assert os.environ["GAMMAPY_DATA"] not in str(found["sources"].meta)
