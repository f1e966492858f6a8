"""From simulate-observations to the observations that an analysis reads, product by product."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gpwf.core.digests import digest_file
from gpwf.errors import NoDataError, StepError, StepInputError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

CARD = {"GPWFKEY": "0" * 64, "GPWFPORT": "datastore"}

INDEX, AMPLITUDE = 2.6, 3.8e-11

MODELS: dict[str, Any] = {
    "components": [
        {
            "name": "source",
            "type": "SkyModel",
            "spectral": {
                "type": "PowerLawSpectralModel",
                "parameters": [
                    {"name": "index", "value": INDEX},
                    {"name": "amplitude", "value": AMPLITUDE, "unit": "cm-2 s-1 TeV-1"},
                    {"name": "reference", "value": 1.0, "unit": "TeV"},
                ],
            },
            "spatial": {
                "type": "PointSpatialModel",
                "frame": "icrs",
                "parameters": [
                    {"name": "lon_0", "value": 83.633, "unit": "deg"},
                    {"name": "lat_0", "value": 22.014, "unit": "deg"},
                ],
            },
        }
    ]
}

CONFIG: dict[str, Any] = {
    "models": MODELS,
    "target": {"lon": "83.633 deg", "lat": "22.014 deg"},
    "n_obs": 2,
    "livetime": "10 min",
    "irfs": {"offset_max": "1.5 deg"},
}


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(tag: str, config: dict[str, Any], inputs: dict[str, Any], work_dir: Path) -> Any:
    catalog = load_catalog()
    settled = catalog.settle(tag, config, base=work_dir)
    assert settled.problems == ()
    work_dir.mkdir(parents=True)
    context = StepContext(step=tag, task_id=tag, work_dir=work_dir)
    step = catalog.step(tag)
    (value,) = step.run(catalog.restore(tag, settled.settings), inputs, context).values()
    return value


def simulate(work_dir: Path, **changes: Any) -> Path:
    folder = run("simulate-observations", CONFIG | changes, {}, work_dir)
    assert isinstance(folder, Path)
    return folder


@pytest.fixture(scope="module")
def datastore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("simulated") / "work")


@pytest.fixture
def product(datastore: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "datastore"
    folder.mkdir()
    summary = formats.write("datastore", datastore, folder, CARD)
    assert summary["n_files"] == 4
    return folder


def locator(folder: Path) -> Any:
    """Return what finds files by digest, under names that say nothing, as the store has them."""
    objects = folder.parent / "objects"
    objects.mkdir(exist_ok=True)
    for path in folder.rglob("*.fits*"):
        shutil.copy(path, objects / digest_file(path))
    return lambda digest: objects / digest


def test_the_same_seed_gives_the_same_bytes(datastore: Path, tmp_path: Path) -> None:
    again = simulate(tmp_path / "work")
    assert files(again) == files(datastore)
    other = simulate(tmp_path / "other", seed=1)
    assert files(other)["obs-000001.fits"] != files(datastore)["obs-000001.fits"]


def test_observations_have_streams_of_their_own(tmp_path: Path) -> None:
    from astropy.io import fits

    pointings = [{"lon": "83.633 deg", "lat": "22.014 deg"}]
    folder = simulate(tmp_path / "work", target=None, pointings=pointings)
    first, second = (
        fits.getdata(folder / f"obs-00000{number}.fits", "EVENTS")["ENERGY"] for number in (1, 2)
    )
    # gammapy's own ObservationsEventsSampler draws the same events for the same field
    assert first[:20].tolist() != second[:20].tolist()


def test_gammapy_reads_the_datastore(datastore: Path) -> None:
    import numpy as np
    from astropy import units as u
    from gammapy.data import DataStore

    store = DataStore.from_dir(datastore)
    assert store.obs_table["OBS_ID"].tolist() == [1, 2]
    observation = store.get_observations()[0]
    assert set(observation.available_irfs) == {"aeff", "edisp", "psf", "bkg"}
    assert observation.observation_live_time_duration.to_value("s") == pytest.approx(600)
    assert observation.get_pointing_icrs(observation.tmid).dec.deg == pytest.approx(22.514)
    area = observation.aeff.evaluate(energy_true=1 * u.TeV, offset=0.5 * u.deg)
    # Abramowski et al. (2010): 6.85e9 cm2 (E/MeV)^-0.0891 exp(-5e5 MeV / E)
    expected = 6.85e9 * 1e6**-0.0891 * np.exp(-0.5)
    assert area.to_value("cm2") == pytest.approx(expected, rel=0.01)
    radius = observation.psf.containment_radius(
        fraction=0.68, energy_true=1 * u.TeV, offset=0.5 * u.deg
    )
    assert radius.to_value("deg") == pytest.approx(0.1, abs=0.003)
    migra = np.linspace(0.4, 1.6, 2001)
    density = observation.edisp.evaluate(energy_true=1 * u.TeV, migra=migra, offset=0 * u.deg)
    mean = np.average(migra, weights=density.value.ravel())
    width = np.sqrt(np.average((migra - mean) ** 2, weights=density.value.ravel()))
    assert (mean, width) == (pytest.approx(1, abs=1e-3), pytest.approx(0.15, abs=3e-3))


def test_the_number_of_events_is_what_the_response_predicts(datastore: Path) -> None:
    import numpy as np
    from gammapy.data import DataStore

    for observation in DataStore.from_dir(datastore).get_observations():
        table = observation.events.table
        energy = observation.aeff.axes["energy_true"]
        flux = AMPLITUDE * energy.center.to_value("TeV") ** -INDEX
        area = observation.aeff.quantity[:, 0].to_value("cm2")
        # Gaussian energy dispersion: the part of each bin that is reconstructed above 0.5 TeV
        from scipy.stats import norm

        above = norm.cdf((1 - 0.5 / energy.center.to_value("TeV")) / 0.15)
        expected = np.sum(flux * area * above * energy.bin_width.to_value("TeV")) * 600
        found = np.count_nonzero(table["MC_ID"] == 1)
        assert abs(found - expected) < 5 * np.sqrt(expected) + 0.05 * expected
        background = np.count_nonzero(
            (table["MC_ID"] == 0)
            & (np.hypot(table["DETX"], table["DETY"]) < 1)
            & (table["ENERGY"] > 1)
        )
        assert abs(background - 0.12 * 600) < 5 * np.sqrt(0.12 * 600)


def test_a_product_carries_its_card_and_nothing_else_changes(
    datastore: Path, product: Path
) -> None:
    from astropy.io import fits

    assert set(files(product)) == set(files(datastore))
    for path in sorted(product.iterdir()):
        with fits.open(path) as mine, fits.open(datastore / path.name) as source:
            assert mine[0].header["GPWFKEY"] == CARD["GPWFKEY"]
            for one, other in zip(mine[1:], source[1:], strict=True):
                assert one.data.tobytes() == other.data.tobytes()
                assert not {"DATE", "CREATED", "CHECKSUM", "DATASUM"} & set(one.header)


def test_observations_are_stored_by_reference(product: Path, tmp_path: Path) -> None:
    observations = run("observations", {}, {"datastore": product}, tmp_path / "work")
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        summary = formats.write("observations", observations, folder, CARD)
        written.append(files(folder))
    assert summary["obs_ids"] == [1, 2]
    assert written[0] == written[1]
    for content in written[0].values():
        assert str(tmp_path).encode() not in content
    back = formats.read("observations", tmp_path / "one", locator(product))
    assert [item.obs_id for item in back] == [1, 2]
    for mine, theirs in zip(back, observations, strict=True):
        assert (mine.events.table["ENERGY"] == theirs.events.table["ENERGY"]).all()
        assert (mine.events.table["TIME"] == theirs.events.table["TIME"]).all()
        assert (mine.gti.table == theirs.gti.table).all()
        for name in ("aeff", "edisp", "bkg"):
            assert (getattr(mine, name).quantity == getattr(theirs, name).quantity).all()
        assert (mine.psf.data == theirs.psf.data).all()


def test_the_selection_says_what_is_wrong(product: Path, tmp_path: Path) -> None:
    config = {"datastore": str(product)}
    chosen = run("observations", config | {"obs_ids": [2]}, {}, tmp_path / "a")
    assert [item.obs_id for item in chosen] == [2]
    cone = {"lon": "83.633 deg", "lat": "22.514 deg", "radius": "0.1 deg"}
    near = run("observations", config | {"obs_cone": cone}, {}, tmp_path / "b")
    assert [item.obs_id for item in near] == [1]
    far = {"center": {"lon": "10 deg", "lat": "0 deg"}, "radius": "1 deg"}
    with pytest.raises(NoDataError, match="no observation"):
        run("observations", config | {"obs_cone": far}, {}, tmp_path / "c")
    with pytest.raises(StepInputError, match="no observation 7 in") as caught:
        run("observations", config | {"obs_ids": [1, 7]}, {}, tmp_path / "d")
    assert caught.value.setting == "obs_ids.1"
    with pytest.raises(StepInputError, match="has no rad_max"):
        run(
            "observations",
            config | {"obs_ids": [1], "required_irf": ["rad_max"]},
            {},
            tmp_path / "e",
        )


@pytest.mark.parametrize(
    ("text", "ids"),
    [("1\n# no\n2\n", [1, 2]), ("OBS_ID,X\n2,5\n", [2]), ("# %ECSV 1.0\nX OBS_ID\n9 1\n", [1])],
)
def test_ids_come_from_a_file(product: Path, tmp_path: Path, text: str, ids: list[int]) -> None:
    (tmp_path / "ids.txt").write_text(text)
    config = {"datastore": str(product), "obs_file": str(tmp_path / "ids.txt")}
    chosen = run("observations", config, {}, tmp_path / "work")
    assert [item.obs_id for item in chosen] == ids


def test_models_that_cannot_be_simulated(tmp_path: Path) -> None:
    spectral = {key: MODELS["components"][0][key] for key in ("name", "type", "spectral")}
    with pytest.raises(StepError, match="no spatial model"):
        simulate(tmp_path / "a", models={"components": [spectral]})
    broken = spectral | {"spectral": {"type": "NoSuchModel"}}
    config = CONFIG | {"models": {"components": [broken]}}
    (problem,) = load_catalog().settle("simulate-observations", config, base=tmp_path).problems
    assert problem.path == ("models", "components", 0, "spectral", "type")
    assert "NoSuchModel" in problem.message
