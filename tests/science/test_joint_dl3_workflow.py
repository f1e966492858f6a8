"""``workflows/joint-crab-dl3.gpwf.yaml``: five instruments from events, against gammapy by hand.

References
----------
Nigro et al. 2019, A&A 625, A10; the numbers of table 2 are those of results/summary/results.md in
the repository that belongs to it (open-gamma-ray-astro/joint-crab).
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

import gpwf
from gpwf.steps.healpix import ring_weights

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

for _name in ("GAMMAPY_DATA", "GPWF_JOINT_CRAB"):
    if not os.environ.get(_name):
        pytest.skip(f"{_name} is not set", allow_module_level=True)

WORKFLOW = Path(__file__).parents[2] / "workflows" / "joint-crab-dl3.gpwf.yaml"
RTOL = 1e-3
# files below the folder, radius in deg, containment correction, lowest energy in TeV
TELESCOPES = {
    "magic": ("magic", 0.1414, False, 0.08),
    "veritas": ("veritas", 0.1, False, 0.15),
    "fact": ("fact", 0.1732, False, 0.4),
    "hess": ("hess", 0.11, True, 0.5),
}
# of the paper: amplitude in 1e-12 TeV-1 s-1 cm-2, alpha, beta of the decadic logarithm; errors
PUBLISHED = {
    "fermi": ((40.43823, 10.08627), (2.37153, 0.23895), (0.13653, 0.12744)),
    "magic": ((41.45452, 2.97146), (2.60044, 0.09503), (0.44250, 0.11161)),
    "veritas": ((37.60056, 3.62557), (2.44098, 0.09486), (0.25865, 0.16857)),
    "fact": ((34.91398, 3.04501), (2.54163, 0.22473), (0.42492, 0.31274)),
    "hess": ((44.74407, 2.86987), (2.39290, 0.18277), (0.37193, 0.22401)),
    "joint": ((38.49128, 1.14352), (2.50537, 0.02550), (0.23621, 0.02451)),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("joint-dl3")
    sets = [("params.contour_points", 8), ("params.fact", "20131103_*_dl3.fits")]  # one night
    found = gpwf.read(WORKFLOW, sets=sets).run(
        store=folder / "store", run_dir=folder / "run", jobs=2
    )
    assert str(found.state) == "ok"
    return found


def center() -> Any:
    from astropy.coordinates import SkyCoord

    return SkyCoord("83.6329 deg", "22.0145 deg", frame="icrs")


def from_the_ground(name: str) -> Any:
    """Return the spectra of a telescope; its index is read here, and not in the workflow."""
    from astropy import units as u
    from gammapy.data import DataStore
    from gammapy.datasets import Datasets, SpectrumDataset
    from gammapy.makers import ReflectedRegionsBackgroundMaker, SpectrumDatasetMaker
    from gammapy.maps import MapAxis, RegionGeom, WcsNDMap
    from regions import CircleSkyRegion

    folder, radius, containment, lowest = TELESCOPES[name]
    store = DataStore.from_dir(Path(os.environ["GPWF_JOINT_CRAB"]) / "data" / folder)
    obs_ids = [int(item) for item in store.obs_table["OBS_ID"]]
    if name == "fact":
        obs_ids = [item for item in obs_ids if item // 1000 == 20131103]
    observations = store.get_observations(obs_ids, required_irf="point-like")
    data = Path(os.environ["GAMMAPY_DATA"]) / "joint-crab" / "exclusion"
    exclusion = WcsNDMap.read(data / "exclusion_mask_crab.fits.gz")
    exclusion.data = exclusion.data.astype(bool)
    energy = MapAxis.from_energy_bounds(lowest * u.TeV, 30 * u.TeV, 20, per_decade=True)
    true = MapAxis.from_energy_bounds(
        "0.01 TeV", "100 TeV", 20, per_decade=True, name="energy_true"
    )
    geom = RegionGeom.create(CircleSkyRegion(center(), radius * u.deg), axes=[energy])
    empty = SpectrumDataset.create(geom, energy_axis_true=true)
    counts = SpectrumDatasetMaker(
        selection=["counts", "exposure", "edisp"], containment_correction=containment
    )
    background = ReflectedRegionsBackgroundMaker(exclusion_mask=exclusion)
    datasets = Datasets()
    for observation in sorted(observations, key=lambda item: int(item.obs_id)):
        dataset = counts.run(empty.copy(name=f"{name}-{observation.obs_id}"), observation)
        datasets.append(background.run(dataset, observation))
    return Datasets([datasets.stack_reduce(name="fact")]) if name == "fact" else datasets


def from_space() -> Any:
    """Return the spectrum of Fermi-LAT, events counted by their distance."""
    from astropy import units as u
    from astropy.io import fits
    from gammapy.data import EventList
    from gammapy.datasets import Datasets, SpectrumDatasetOnOff
    from gammapy.irf import EDispKernelMap, PSFMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap
    from regions import CircleSkyRegion

    folder = Path(os.environ["GPWF_JOINT_CRAB"]) / "data" / "fermi"
    events = EventList.read(folder / "events.fits.gz")
    distance = events.radec.separation(center()).deg
    energy = MapAxis.from_energy_bounds("0.03 TeV", "2 TeV", 20, per_decade=True)
    true = MapAxis.from_energy_bounds("0.02 TeV", "3 TeV", 20, per_decade=True, name="energy_true")
    geom = RegionGeom.create(CircleSkyRegion(center(), 0.3 * u.deg), axes=[energy])
    geom_true = geom.to_image().to_cube([true])
    counts = [
        np.histogram(events.energy[cut], energy.edges)[0].reshape(geom.data_shape)
        for cut in (distance < 0.3, (distance > 1) & (distance < 2))
    ]
    with fits.open(folder / "exposure_cube.fits.gz") as hdulist:
        table, nodes = hdulist[1].data, hdulist[2].data["Energy"]
        galactic = center().galactic
        cube = np.array([table[name] for name in table.names])
        weights = ring_weights(32, galactic.l.deg, galactic.b.deg)
        values = sum(cube[:, pixel] * weight for pixel, weight in weights.items())
    middle = true.center.to_value("MeV")
    exposure = np.interp(np.log(middle), np.log(nodes), values)
    psf = PSFMap.read(folder / "psf.fits.gz", format="gtpsf")
    exposure *= psf.containment(0.3 * u.deg, energy_true=true.center).ravel()
    dataset = SpectrumDatasetOnOff(
        name="fermi",
        counts=RegionNDMap.from_geom(geom, data=counts[0]),
        counts_off=RegionNDMap.from_geom(geom, data=counts[1]),
        acceptance=RegionNDMap.from_geom(geom, data=1.0),
        acceptance_off=RegionNDMap.from_geom(geom, data=3 / 0.09),
        exposure=RegionNDMap.from_geom(geom_true, data=exposure, unit="cm2 s"),
        edisp=EDispKernelMap.from_gauss(
            energy, true, sigma=0.05, bias=0, geom=geom_true.to_image()
        ),
        mask_safe=RegionNDMap.from_geom(geom, data=True, dtype=bool),
    )
    return Datasets([dataset])


@pytest.fixture(scope="module")
def by_hand() -> dict[str, Any]:
    """Return the datasets of each instrument, with gammapy's API and nothing else."""
    return {"fermi": from_space()} | {name: from_the_ground(name) for name in TELESCOPES}


def fitted(datasets: Any) -> tuple[Any, Any]:
    from gammapy.modeling import Fit
    from gammapy.modeling.models import LogParabolaSpectralModel, SkyModel

    spectrum = LogParabolaSpectralModel(
        amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.4, beta=0.1
    )
    datasets.models = SkyModel(spectrum, name="crab")
    return spectrum, Fit().run(datasets)


def ours(done: Any, name: str) -> Any:
    if name == "fermi":
        return done["fermi"].datasets.read()
    return done["spectra"].at(instrument=name).datasets.read()


@pytest.mark.parametrize("name", ["fermi", *TELESCOPES])
def test_counts_and_response_are_those_of_gammapy(name: str, done: Any, by_hand: Any) -> None:
    """MAGIC, VERITAS, FACT: one ON radius, point-like; H.E.S.S.: the PSF is corrected for."""
    found = {item.name: item for item in ours(done, name)}
    assert len(found) == len(by_hand[name])
    for one, two in zip(found.values(), by_hand[name], strict=True):
        np.testing.assert_array_equal(one.counts.data, two.counts.data)
        np.testing.assert_array_equal(one.counts_off.data, two.counts_off.data)
        np.testing.assert_allclose(one.alpha.data, two.alpha.data, rtol=RTOL)
        exposure = [item.exposure.quantity.to_value("m2 s") for item in (one, two)]
        np.testing.assert_allclose(*exposure, rtol=1e-6)
        np.testing.assert_allclose(
            one.edisp.get_edisp_kernel().data, two.edisp.get_edisp_kernel().data, atol=1e-9
        )


def test_every_fit_is_that_of_gammapy_and_near_the_paper(done: Any, by_hand: Any) -> None:
    from gammapy.datasets import Datasets

    table = done["results"].table.read()
    assert list(table["item"]) == ["fermi", "magic", "veritas", "fact", "hess", "joint"]
    groups = by_hand | {"joint": Datasets([item for part in by_hand.values() for item in part])}
    for row in table:
        name = str(row["item"])
        spectrum, result = fitted(groups[name])
        assert row["amplitude"] == pytest.approx(spectrum.amplitude.value, rel=RTOL), name
        assert row["alpha"] == pytest.approx(spectrum.alpha.value, rel=RTOL), name
        assert row["beta"] == pytest.approx(spectrum.beta.value, rel=RTOL, abs=1e-4), name
        assert row["alpha_err"] == pytest.approx(spectrum.alpha.error, rel=0.01), name
        assert row["total_stat"] == pytest.approx(result.total_stat, rel=1e-5), name
        assert row["beta_log10"] == pytest.approx(row["beta"] * math.log(10))
        values = (row["amplitude"] * 1e12, row["alpha"], row["beta_log10"])
        pulls = [
            (value - mean) / error
            for value, (mean, error) in zip(values, PUBLISHED[name], strict=True)
        ]
        # the paper has three nights of FACT
        assert np.abs(pulls).max() < {"fact": 3, "joint": 2}.get(name, 1), (name, pulls)


def test_the_joint_errors_are_the_published_ones(done: Any) -> None:
    row = done["results"].table.read()[-1]
    errors = (row["amplitude_err"] * 1e12, row["alpha_err"], row["beta_log10_err"])
    for found, (_, published) in zip(errors, PUBLISHED["joint"], strict=True):
        assert found == pytest.approx(published, rel=0.1)


def test_the_joint_contour_goes_around_all_that_the_errors_say(done: Any) -> None:
    table = done["contours-together"].contours.read()
    row = done["results"].table.read()[-1]
    for pair, name in ((1, "amplitude"), (2, "alpha"), (2, "beta")):
        points = table[f"crab.{name}"][table["pair"] == pair]
        half = np.ptp(np.asarray(points)) / 2
        assert half == pytest.approx(math.sqrt(2.2957) * row[f"{name}_err"], rel=0.05)
    figure = Path(done["contour-plot"].figure.folder) / "figure.png"
    assert figure.stat().st_size > 10_000


def test_flux_points_of_all_lie_on_the_joint_model(done: Any) -> None:
    """Of their own instrument, with the joint model as their shape."""
    spectrum = done["together"].models.read()["crab"].spectral_model
    found = [done["fermi-points"].flux_points.read()]
    found += [done["points"].at(instrument=name).flux_points.read() for name in TELESCOPES]
    assert [len(item.energy_ref) for item in found] == [6, 8, 6, 6, 6]
    pulls = []
    for flux in found:
        model = spectrum(flux.energy_ref).to_value("TeV-1 cm-2 s-1")
        use = ~flux.is_ul.data.ravel()
        value, error = (
            getattr(flux, name).quantity.to_value("TeV-1 cm-2 s-1").ravel()
            for name in ("dnde", "dnde_err")
        )
        pulls += list(((value - model) / error)[use])
    assert len(pulls) > 20
    assert np.mean(np.square(pulls)) < 2
    figure = Path(done["spectrum"].figure.folder) / "figure.png"
    assert figure.stat().st_size > 10_000
