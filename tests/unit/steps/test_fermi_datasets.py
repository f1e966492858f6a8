"""The step fermi-datasets on small files in the formats of the Fermi tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spectra import problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CENTER = {"frame": "icrs", "lon": "83.63 deg", "lat": "22.01 deg"}
NODES = np.geomspace(1e4, 2e6, 12)  # MeV


def table(name: str, **columns: Any) -> Any:
    from astropy.io import fits

    return fits.BinTableHDU.from_columns(
        [
            fits.Column(
                key,
                f"{np.atleast_2d(array).shape[-1]}D" if array.ndim > 1 else "D",
                unit=unit,
                array=array,
            )
            for key, (array, unit) in columns.items()
        ],
        name=name,
    )


@pytest.fixture
def fermi(tmp_path: Path) -> Path:
    """Return a folder with events, exposure and PSF: 30 events in the region, 100 in the ring."""
    from astropy.io import fits

    generator = np.random.default_rng(1)
    radius = np.r_[0.29 * np.sqrt(generator.random(30)), 1.01 + 0.98 * generator.random(100)]
    angle = 2 * np.pi * generator.random(130)
    ra = 83.63 + radius * np.cos(angle) / np.cos(np.radians(22.01))
    energy = 4e4 * (1 - generator.random(130)) ** -0.8
    events = table(
        "EVENTS",
        ENERGY=(np.clip(energy, 4e4, 9e5), "MeV"),
        RA=(ra, "deg"),
        DEC=(22.01 + radius * np.sin(angle), "deg"),
        TIME=(np.sort(2.4e8 + 1e7 * generator.random(130)), "s"),
    )
    gti = table(
        "GTI", START=(np.array([2.4e8, 2.45e8]), "s"), STOP=(np.array([2.44e8, 2.5e8]), "s")
    )
    for hdu in (events, gti):
        hdu.header.update({"MJDREFI": 51910, "MJDREFF": 7.428703703703703e-4, "TIMESYS": "TT"})
    fits.HDUList([fits.PrimaryHDU(), events, gti]).writeto(tmp_path / "events.fits")
    columns = {f"ENERGY{n + 1}": (np.full(48, 3e11 + n * 1e10), "") for n in range(12)}
    cube = table("HPXEXPOSURES", **columns)
    cube.header.update({"PIXTYPE": "HEALPIX", "ORDERING": "RING", "NSIDE": 2})
    energies = table("ENERGIES", Energy=(NODES, "MeV"))
    fits.HDUList([fits.PrimaryHDU(), cube, energies]).writeto(tmp_path / "exposure.fits")
    theta = np.linspace(0, 3, 400)
    sigma = 0.15
    psf = np.exp(-0.5 * (theta / sigma) ** 2) / (2 * np.pi * np.radians(sigma) ** 2)
    matrix = table(
        "PSF",
        Energy=(NODES, "MeV"),
        Exposure=(np.full(12, 3e11), "cm2 s"),
        Psf=(np.tile(psf, (12, 1)), "sr-1"),
    )
    rad = table("THETA", Theta=(theta, "deg"))
    fits.HDUList([fits.PrimaryHDU(), matrix, rad]).writeto(tmp_path / "psf.fits")
    return tmp_path


def config(folder: Path, **changed: Any) -> dict[str, Any]:
    return {
        "events": str(folder / "events.fits"),
        "exposure": str(folder / "exposure.fits"),
        "psf": str(folder / "psf.fits"),
        "on_region": {"center": CENTER, "radius": "0.3 deg"},
        "axes": {"energy": {"min": "0.03 TeV", "max": "1 TeV", "nbins": 8}},
    } | changed


def test_counts_exposure_and_dispersion(fermi: Path, tmp_path: Path) -> None:
    dataset = run("fermi-datasets", config(fermi), {})["datasets"][0]
    assert dataset.name == "fermi"
    assert int(dataset.counts.data.sum()) == 30
    assert int(dataset.counts_off.data.sum()) == 100
    # the ring of 1 to 2 deg has 100/3 times the area of the region, on a flat sky
    assert dataset.acceptance_off.data.ravel()[0] == pytest.approx(100 / 3, rel=1e-3)
    energy = dataset.exposure.geom.axes["energy_true"].center.to_value("MeV")
    nodes = 3e11 + 1e10 * np.arange(12)
    containment = 1 - np.exp(-0.5 * (0.3 / 0.15) ** 2)
    expected = np.interp(np.log(energy), np.log(NODES), nodes) * containment
    np.testing.assert_allclose(
        dataset.exposure.quantity.to_value("cm2 s").ravel(), expected, rtol=0.01
    )
    matrix = dataset.edisp.get_edisp_kernel().data
    assert matrix.sum(axis=1).max() == pytest.approx(1)
    assert len(dataset.gti.table) == 1
    (tmp_path / "kept").mkdir()
    formats.write("datasets", _datasets(dataset), tmp_path / "kept", {})
    back = formats.read("datasets", tmp_path / "kept", Path)[0]
    np.testing.assert_array_equal(back.exposure.data, dataset.exposure.data)


def _datasets(*items: Any) -> Any:
    from gammapy.datasets import Datasets

    return Datasets(list(items))


def test_an_exposure_in_image_pixels_is_the_same(fermi: Path) -> None:
    from gammapy.maps import Map, MapAxis

    axis = MapAxis.from_nodes(NODES, unit="MeV", interp="log", name="energy")
    cube = Map.create(
        skydir=(83.63, 22.01), binsz=1, width=6, frame="icrs", axes=[axis], unit="cm2 s"
    )
    cube.data += (3e11 + 1e10 * np.arange(12))[:, None, None]
    cube.write(fermi / "map.fits", format="fgst-template")
    one, two = (
        run("fermi-datasets", config(fermi, exposure=str(fermi / name)), {})["datasets"][0]
        for name in ("exposure.fits", "map.fits")
    )
    np.testing.assert_allclose(one.exposure.data, two.exposure.data, rtol=1e-6)


def test_nothing_counted_is_no_data(fermi: Path) -> None:
    high = {"energy": {"min": "1 TeV", "max": "2 TeV", "nbins": 2}}
    with pytest.raises(NoDataError, match=r"no event of events\.fits in the ON region between 1"):
        run("fermi-datasets", config(fermi, axes=high), {})
    ring = {"r_in": "0.4 deg", "width": "0.1 deg"}
    with pytest.raises(StepError, match=r"in the ring from 0\.4 deg to 0\.5 deg"):
        run("fermi-datasets", config(fermi, background=ring), {})


@pytest.mark.parametrize("name", ["events", "exposure", "psf"])
def test_a_wrong_file_is_named(name: str, fermi: Path) -> None:
    other = {"events": "psf", "exposure": "events", "psf": "exposure"}[name]
    with pytest.raises(StepError, match=rf"cannot read {other}\.fits as") as caught:
        run("fermi-datasets", config(fermi, **{name: str(fermi / f"{other}.fits")}), {})
    assert caught.value.hint


@pytest.mark.filterwarnings("ignore:File may have been truncated")
@pytest.mark.filterwarnings("ignore:Error validating header")
@pytest.mark.parametrize("name", ["events", "exposure", "psf"])
def test_a_torn_file_is_named(name: str, fermi: Path) -> None:
    torn = fermi / "torn.fits"
    torn.write_bytes((fermi / f"{name}.fits").read_bytes()[:7000])
    with pytest.raises(StepError, match=r"cannot read torn\.fits as"):
        run("fermi-datasets", config(fermi, **{name: str(torn)}), {})


def test_nested_pixels_are_refused(fermi: Path) -> None:
    from astropy.io import fits

    fits.setval(fermi / "exposure.fits", "ORDERING", value="NESTED", ext=1)
    with pytest.raises(StepError, match="in the order NESTED, not RING"):
        run("fermi-datasets", config(fermi), {})


def test_a_ring_inside_the_region_is_told_before_the_run(fermi: Path) -> None:
    inside = config(fermi, background={"r_in": "0.2 deg", "width": "90 deg"})
    assert problems("fermi-datasets", inside) == {
        "background.r_in": "GP306",
        "background.width": "GP306",
    }


def test_a_position_beyond_the_map_of_the_exposure_is_refused(fermi: Path) -> None:
    """gammapy extrapolates there."""
    from gammapy.maps import Map, MapAxis

    axis = MapAxis.from_nodes(NODES, unit="MeV", interp="log", name="energy")
    cube = Map.create(skydir=(83.63, 32), binsz=1, width=6, frame="icrs", axes=[axis], unit="cm2 s")
    cube.data += 3e11
    cube.write(fermi / "map.fits", format="fgst-template")
    with pytest.raises(StepError, match=r"map\.fits has no exposure at the position"):
        run("fermi-datasets", config(fermi, exposure=str(fermi / "map.fits")), {})


def test_wide_rings_are_counted_on_the_sphere(fermi: Path) -> None:
    """A plane that touches the sphere at the source stretches 10 deg to 10.1 deg."""
    from astropy.coordinates import SkyCoord
    from astropy.io import fits

    center = SkyCoord("83.63 deg", "22.01 deg")
    places = center.directional_offset_by(
        np.linspace(0, 360, 40) * _deg(), np.repeat([9.95, 1.5], 20) * _deg()
    )
    with fits.open(fermi / "events.fits", mode="update") as hdulist:
        table = hdulist["EVENTS"].data
        ring = np.flatnonzero(np.abs(table["DEC"] - 22.01) > 0.35)[:40]
        table["RA"][ring], table["DEC"][ring] = places.ra.deg, places.dec.deg
    ring = {"r_in": "9 deg", "width": "1 deg"}
    for frame in ("icrs", "galactic"):
        found = getattr(center, frame).spherical
        place = {"frame": frame, "lon": f"{found.lon.deg} deg", "lat": f"{found.lat.deg} deg"}
        region = {"center": place, "radius": "0.3 deg"}
        dataset = run("fermi-datasets", config(fermi, on_region=region, background=ring), {})
        assert int(dataset["datasets"][0].counts.data.sum()) == 30
        assert int(dataset["datasets"][0].counts_off.data.sum()) == 20


def _deg() -> Any:
    from astropy import units as u

    return u.deg


def test_a_ring_beyond_the_events_is_refused(fermi: Path) -> None:
    """They reach to 2 deg."""
    near = {"r_in": "1 deg", "width": "1.05 deg"}
    run("fermi-datasets", config(fermi, background=near), {})
    far = {"r_in": "1 deg", "width": "2 deg"}
    with pytest.raises(StepError, match=r"the ring ends at 3 deg, and no event is farther than"):
        run("fermi-datasets", config(fermi, background=far), {})


def test_energies_beyond_the_selection_are_refused(fermi: Path) -> None:
    from astropy.io import fits

    cards = {"DSTYP1": "TIME", "DSVAL1": "TABLE", "DSTYP4": "ENERGY", "DSUNI4": "MeV"}
    with fits.open(fermi / "events.fits", mode="update") as hdulist:
        hdulist["EVENTS"].header.update(cards | {"DSVAL4": "30000:2000000"})
    run("fermi-datasets", config(fermi), {})
    low = {"energy": {"min": "0.02 TeV", "max": "1 TeV", "nbins": 8}}
    with pytest.raises(StepError, match=r"selected from 0\.03 to 2 TeV, .* from 0\.02 to 1"):
        run("fermi-datasets", config(fermi, axes=low), {})
