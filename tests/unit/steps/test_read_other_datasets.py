"""The step read-datasets on what is no spectrum: fermipy, flux points, masks that a file has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spectra import make_datasets, run

from gpwf.errors import StepError, StepInputError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CONFIG = """
data: {evfile: ft1.fits}
binning: {roiwidth: 4.0, binsz: 0.5, binsperdec: 4}
selection: {emin: 10000, emax: 1000000}
fileio: {outdir: out}
model: {isodiff: iso_P8R3_SOURCE_V3_v1.txt}
"""
TWO = CONFIG + "components:\n- model: {isodiff: iso_P8R3_A_v1.txt}\n- {}\n"


def settings_of(**config: Any) -> tuple[Any, Any]:
    step = load_catalog().step("read-datasets")
    settled = settle(step, config, base=Path("/nowhere"))
    assert not settled.problems, settled.problems
    return step, restore(step, settled.settings)


def read(*files: Path, **config: Any) -> Any:
    return run("read-datasets", {"files": [str(path) for path in files], **config}, {})


# ---- fermipy -------------------------------------------------------------------------------------


def write_component(folder: Path, number: int) -> None:
    """Write small files as fermipy and the Fermi tools make them, for gammapy's reader."""
    from astropy.io import fits
    from gammapy.maps import Map, MapAxis

    edges = np.geomspace(1e4, 1e6, 9)  # MeV
    low, high, middle = edges[:-1], edges[1:], np.sqrt(edges[:-1] * edges[1:])
    energy = MapAxis.from_edges(edges, unit="MeV", interp="log", name="energy")
    counts = Map.create(skydir=(83.63, 22.01), binsz=0.5, width=4, frame="icrs", axes=[energy])
    counts.data += 1 + np.arange(8)[:, None, None]
    counts.write(folder / f"ccube_0{number}.fits")
    true = MapAxis.from_nodes(edges, unit="MeV", interp="log", name="energy_true")
    exposure = Map.create(
        skydir=(83.63, 22.01), binsz=1, width=8, frame="icrs", axes=[true], unit="cm2 s"
    )
    exposure.data += 3e11
    exposure.write(folder / f"bexpmap_0{number}.fits")
    theta = np.linspace(0, 5, 60)
    sigma = 0.1 * np.ones((9, 1))
    psf = np.exp(-0.5 * (theta / sigma) ** 2) / (2 * np.pi * np.radians(sigma) ** 2)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("Energy", "D", unit="MeV", array=edges),
            fits.Column("Exposure", "D", unit="cm2 s", array=np.full(9, 3e11)),
            fits.Column("Psf", "60D", unit="sr-1", array=psf),
        ],
        name="PSF",
    )
    angle = fits.Column("Theta", "D", unit="deg", array=theta)
    rad = fits.BinTableHDU.from_columns([angle], name="THETA")
    fits.HDUList([fits.PrimaryHDU(), table, rad]).writeto(folder / f"psf_0{number}.fits")
    matrix = np.eye(8) * 0.8 + np.eye(8, k=1) * 0.1 + np.eye(8, k=-1) * 0.1
    columns = [
        fits.Column("ENERG_LO", "D", array=low),
        fits.Column("ENERG_HI", "D", array=high),
        fits.Column("MATRIX", "8D", array=matrix),
    ]
    drm = fits.BinTableHDU.from_columns(columns, name="DRM")
    drm.header["DETCHANS"] = 8
    bounds = fits.BinTableHDU.from_columns(
        [fits.Column("E_MIN", "D", array=low), fits.Column("E_MAX", "D", array=high)],
        name="EBOUNDS",
    )
    fits.HDUList([fits.PrimaryHDU(), drm, bounds]).writeto(folder / f"drm_0{number}.fits")
    np.savetxt(folder.parent / f"iso_{number}.txt", np.c_[middle, middle**-2.3])


@pytest.fixture
def fermi(tmp_path: Path) -> Path:
    """Return the configuration of an analysis with two components."""
    (tmp_path / "out").mkdir()
    for number in (0, 1):
        write_component(tmp_path / "out", number)
    (tmp_path / "iso_0.txt").rename(tmp_path / "iso_P8R3_A_v1.txt")
    (tmp_path / "iso_1.txt").rename(tmp_path / "iso_P8R3_SOURCE_V3_v1.txt")
    (tmp_path / "config.yaml").write_text(TWO)
    return tmp_path / "config.yaml"


def test_fermipy_is_read_as_gammapy_reads_it(fermi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gammapy.datasets import FermipyDatasetsReader

    monkeypatch.chdir(fermi.parent)
    ours = read(fermi, edisp_bins=1)["datasets"]
    assert ours.names == ["P8R3_A_v1", "P8R3_SOURCE_V3_v1"]
    parts = {"counts_file": "ccube", "exposure_file": "bexpmap"}
    parts |= {"psf_file": "psf", "edisp_file": "drm"}
    files = {key: f"out/{name}_01.fits" for key, name in parts.items()}
    theirs = FermipyDatasetsReader.create_dataset(**files, edisp_bins=1, name="theirs")
    one = ours[1]
    assert one.models is None
    assert one.counts.data.sum() == theirs.counts.data.sum() == 64 * sum(range(2, 8))
    for name in ("counts", "exposure", "mask_safe", "background"):
        np.testing.assert_array_equal(getattr(one, name).data, getattr(theirs, name).data)
    np.testing.assert_array_equal(one.edisp.edisp_map.data, theirs.edisp.edisp_map.data)
    np.testing.assert_array_equal(one.psf.psf_map.data, theirs.psf.psf_map.data)


def test_the_isotropic_emission_of_fermipy_is_models(fermi: Path) -> None:
    found = read(fermi, isotropic=True, prefix="lat")
    assert found["datasets"].names == ["lat-P8R3_A_v1", "lat-P8R3_SOURCE_V3_v1"]
    models = found["models"]
    assert models.names == ["isotropic_lat-P8R3_A_v1", "isotropic_lat-P8R3_SOURCE_V3_v1"]
    assert models[1].datasets_names == ["lat-P8R3_SOURCE_V3_v1"]
    step, settings = settings_of(files=[str(fermi)], isotropic=True)
    assert [port.name for port in step.outputs(settings)] == ["datasets", "models"]
    names = [item.name for item in step.external_files(settings)]
    assert names[0] == "config.yaml"
    assert {"out/ccube_00.fits", "out/drm_01.fits", "iso_P8R3_A_v1.txt"} < set(names)
    assert len(names) == 1 + 2 * 4 + 2


def test_what_fermipy_left_behind_is_told(fermi: Path) -> None:
    step, settings = settings_of(files=[str(fermi)], isotropic=True)
    fermi.write_text(TWO.replace("P8R3_A", "gone"))
    with pytest.raises(StepInputError, match=r"no such file .isodiff of fermipy.: .*iso_gone_v1"):
        step.external_files(settings)
    fermi.write_text(CONFIG.replace("isodiff", "galdiff"))
    with pytest.raises(StepInputError, match="names no 'isodiff'"):
        step.external_files(settings)
    (fermi.parent / "out" / "psf_00.fits").unlink()
    with pytest.raises(StepInputError, match=r"psf_00\.fits \(component 0 of config\.yaml\)"):
        step.external_files(settings)


def test_one_component_needs_no_list(fermi: Path) -> None:
    fermi.write_text("binning: {binsz: 0.5}\nfileio: {outdir: out}\ncomponents: null\n")
    assert read(fermi)["datasets"].names == ["config"]


def test_damaged_files_of_fermipy_are_an_error(fermi: Path) -> None:
    path = fermi.parent / "out" / "drm_00.fits"
    path.write_bytes(path.read_bytes()[:2880])
    with pytest.raises(StepError, match=r"cannot read config\.yaml as a MapDataset"):
        read(fermi)


# ---- flux points ---------------------------------------------------------------------------------


def make_flux(n_points: int = 6, index: float = 2.5) -> Any:
    from astropy import units as u
    from astropy.table import Table
    from gammapy.estimators import FluxPoints
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    edges = np.geomspace(0.5, 32, n_points + 1) * u.TeV
    table = Table({"e_min": edges[:-1], "e_max": edges[1:]})
    table["e_ref"] = np.sqrt(edges[:-1] * edges[1:])
    table["dnde"] = 3e-11 * table["e_ref"].value ** -index * u.Unit("cm-2 s-1 TeV-1")
    table["dnde_err"] = 0.1 * table["dnde"]
    reference = SkyModel(PowerLawSpectralModel(index=2), name="reference")
    return FluxPoints.from_table(
        table, sed_type="dnde", format="gadf-sed", reference_model=reference
    )


def power_law() -> Any:
    from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel

    spectrum = PowerLawSpectralModel(index=2, amplitude="1e-11 cm-2 s-1 TeV-1")
    return Models([SkyModel(spectrum, name="crab")])


@pytest.mark.parametrize("ending", ["fits", "ecsv"])
def test_tables_of_flux_points_are_fitted(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"crab.{ending}"
    make_flux().write(path, sed_type="dnde")
    datasets = read(path)["datasets"]
    assert datasets.names == ["crab"]
    assert datasets[0].tag == "FluxPointsDataset"
    fitted = run("fit", {}, {"datasets": datasets, "models": power_law()})
    assert fitted["models"]["crab"].spectral_model.index.value == pytest.approx(2.5, rel=1e-4)
    stat = fitted["fit_result"].datasets[0]
    assert (stat.name, stat.n_bins, stat.counts) == ("crab", 6, 0)
    assert stat.stat == pytest.approx(0, abs=1e-4)
    inside = run(
        "fit",
        {"fit_range": {"min": "1 TeV", "max": "8 TeV"}},
        {"datasets": datasets, "models": power_law()},
    )
    assert inside["fit_result"].datasets[0].n_bins == 3


def test_products_of_flux_points_are_datasets(tmp_path: Path) -> None:
    step, settings = settings_of(energy={"min": "1 TeV"}, prefix="sed")
    assert [port.name for port in step.inputs(settings)] == ["flux_points"]
    labels = {"flux_points": ({"instrument": "H.E.S.S."}, {"instrument": "MAGIC"})}
    context = StepContext(step="read", task_id="read", work_dir=tmp_path, labels=labels)
    inputs = {"flux_points": [make_flux(), make_flux(12)]}
    datasets = step.run(settings, inputs, context)["datasets"]
    assert datasets.names == ["sed-h-e-s-s", "sed-magic"]
    assert [int(item.mask_safe.sum()) for item in datasets] == [5, 10]
    (tmp_path / "kept").mkdir()
    formats.write("datasets", datasets, tmp_path / "kept", {})
    back = formats.read("datasets", tmp_path / "kept", lambda digest: Path(digest))
    assert [int(item.mask_safe.sum()) for item in back] == [5, 10]


def test_flux_points_and_counts_are_fitted_together() -> None:
    """The parameters lie between those of the two; errors are smaller than of each."""
    from gammapy.datasets import Datasets, FluxPointsDataset

    counts = make_datasets(0, 1)
    points = Datasets([FluxPointsDataset(data=make_flux(index=2.6), name="sed")])
    fits = {}
    for name, datasets in {
        "counts": [counts],
        "points": [points],
        "both": [counts, points],
    }.items():
        fits[name] = run("fit", {}, {"datasets": datasets, "models": power_law()})["fit_result"]
    index = {name: fit.parameter("crab", "index") for name, fit in fits.items()}
    values = sorted((index["counts"].value, index["points"].value))
    assert values[0] < index["both"].value < values[1]
    assert index["both"].error < min(index["counts"].error, index["points"].error)
    assert [item.name for item in fits["both"].datasets][-1] == "sed"


def test_steps_that_need_counts_say_so() -> None:
    from gammapy.datasets import Datasets, FluxPointsDataset

    points = Datasets([FluxPointsDataset(data=make_flux(), name="sed")])
    inputs = {"datasets": points, "models": power_law()}
    with pytest.raises(StepError, match="sed is of flux points, and this step works on counts"):
        run("flux-points", {"source": "crab"}, inputs)
    with pytest.raises(StepError, match="works on counts"):
        run("plot", {"kind": "counts"}, inputs)
    with pytest.raises(StepError, match="works on counts"):
        run("excess-map", {"correlation_radius": "0.1 deg"}, {"datasets": [points]})
    with pytest.raises(StepError, match="works on counts"):
        run("simulate", {"seed": 1}, inputs)
    with pytest.raises(StepError, match="works on counts"):
        run("goodness-of-fit", {}, {"datasets": [points], "models": power_law()})
    table = run("collect", {}, {"items": [points]})["table"]
    assert list(table["name"]) == ["sed"]


def test_counts_beside_flux_points_are_collected() -> None:
    from gammapy.datasets import Datasets, FluxPointsDataset

    counts = make_datasets(0, 1)
    points = FluxPointsDataset(data=make_flux(), name="sed")
    for mixed in ([*counts, points], [points, *counts]):
        table = run("collect", {}, {"items": [Datasets(mixed)]})["table"]
        found = {str(row["name"]): row for row in table}
        for dataset in counts:
            assert found[dataset.name]["counts"] == int(dataset.counts.data.sum())
        assert np.isnan(found["sed"]["counts"])
        assert np.isnan(found["sed"]["livetime"])


def test_a_wrong_statistic_and_a_wrong_table_are_told(tmp_path: Path) -> None:
    path = tmp_path / "crab.ecsv"
    make_flux().write(path, sed_type="dnde")
    with pytest.raises(StepError, match=r"needs profiles of the likelihood"):
        read(path, stat_type="profile")
    step, settings = settings_of(files=[str(path)])
    lines = path.read_text()
    path.write_text(lines.replace(" dnde ", " other "))
    with pytest.raises(
        StepInputError, match=r"no table of flux points: it has the columns dnde_err"
    ):
        step.external_files(settings)
    path.write_text(lines.replace("e_max", "time"))
    with pytest.raises(StepInputError, match="is a light curve"):
        step.external_files(settings)
    path.write_text("")
    with pytest.raises(StepInputError, match="it has the columns none"):
        step.external_files(settings)


# ---- masks ---------------------------------------------------------------------------------------


def test_masks_of_gammapy_files_are_kept(tmp_path: Path) -> None:
    """`gammapy.datasets.Datasets.read` drops the fit mask."""
    from astropy import units as u

    datasets = make_datasets(0, 1)
    for dataset in datasets:
        dataset.mask_fit = dataset.counts.geom.energy_mask(2 * u.TeV, 10 * u.TeV)
    datasets.write(tmp_path / "list.yaml")
    for one, two in zip(read(tmp_path / "list.yaml")["datasets"], datasets, strict=True):
        np.testing.assert_array_equal(one.mask_fit.data, two.mask_fit.data)
        np.testing.assert_array_equal(one.mask_safe.data, two.mask_safe.data)
        assert one.mask_fit.data.dtype == bool


# ---- several instruments that do not fit together ------------------------------------------------


def two_instruments() -> list[Any]:
    from gammapy.datasets import Datasets, FluxPointsDataset

    return [make_datasets(0), Datasets([FluxPointsDataset(data=make_flux(), name="magic-sed")])]


@pytest.mark.filterwarnings("ignore:.*energies of 'fit_range' moved")
def test_a_range_that_one_instrument_lacks_is_a_warning_that_names_it() -> None:
    datasets = two_instruments()
    low = datasets[1][0].data.energy_ref.value < 1
    datasets[1][0].mask_safe = low.reshape(-1, 1, 1)
    inputs = {"datasets": datasets, "models": power_law()}
    with pytest.warns(UserWarning, match=r"magic-sed takes no part: no bin is both in the safe"):
        fitted = run("fit", {"fit_range": {"min": "2 TeV", "max": "10 TeV"}}, inputs)
    assert [item.n_bins > 0 for item in fitted["fit_result"].datasets] == [True, False]
    with pytest.raises(StepError, match="no bin is both in the safe range and in the fit range"):
        run("fit", {"fit_range": {"min": "200 TeV", "max": "300 TeV"}}, inputs)


def test_files_without_a_bin_in_the_range_are_named(tmp_path: Path) -> None:
    for name, n_points in (("low", 6), ("high", 7)):
        make_flux(n_points).write(tmp_path / f"{name}.ecsv", sed_type="dnde")
    files = [tmp_path / "low.ecsv", tmp_path / "high.ecsv"]
    first = make_flux(6).geom.axes["energy"].edges.to_value("TeV")
    energy = {"min": f"{first[2]} TeV", "max": f"{first[3]} TeV"}
    with pytest.warns(UserWarning, match="no energy bin is left in high: a fit will not use it"):
        read(*files, energy=energy)
    with pytest.raises(StepError, match="no energy bin is left in any dataset"):
        read(*files, energy={"min": "50 TeV"})


def test_names_of_datasets_are_checked_both_ways() -> None:
    datasets = two_instruments()
    models = power_law()
    models[0].datasets_names = ["hess-1"]
    with pytest.raises(StepError, match="no model is for the datasets magic-sed"):
        run("fit", {}, {"datasets": datasets, "models": models})
    models[0].datasets_names = ["hess-1", "magik-sed"]
    with pytest.raises(StepError, match="datasets that are not there: magik-sed") as caught:
        run("fit", {}, {"datasets": datasets, "models": models})
    assert "did you mean 'magic-sed'?" in (caught.value.hint or "")
    with pytest.raises(StepError, match="several inputs have datasets of the name hess-1"):
        run("fit", {}, {"datasets": [make_datasets(0), make_datasets(0)], "models": power_law()})
