"""The step read-datasets: what gammapy writes is read, and every file of it is part of the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spectra import make_datasets, problems, run

from gpwf.errors import StepError, StepInputError
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

ENDINGS = ("", "_arf", "_bkg", "_rmf")


def read(*files: Path | str, **config: Any) -> Any:
    return run("read-datasets", {"files": [str(path) for path in files], **config}, {})["datasets"]


def external(*files: Path | str) -> list[tuple[str, str]]:
    """Return setting and name of every external file."""
    step = load_catalog().step("read-datasets")
    settled = settle(step, {"files": [str(path) for path in files]}, base=Path("/nowhere"))
    settings = restore(step, settled.settings)
    found = step.external_files(settings)
    assert all(item.path.is_file() for item in found)
    index = [item.path for item in step.index_files(settings)]
    assert [str(path) for path in index] == [str(path) for path in files]
    return [(item.setting, item.name) for item in found]


@pytest.fixture
def spectra(tmp_path: Path) -> Path:
    """Return a folder with two OGIP spectra and a list of them, hess-1 and hess-2."""
    entries = []
    for dataset in make_datasets(0, 1):
        name = f"pha_obs{dataset.name}.fits"
        dataset.write(tmp_path / name, format="ogip")
        entries.append(f"{{name: {dataset.name}, type: SpectrumDatasetOnOff, filename: {name}}}")
    (tmp_path / "datasets.yaml").write_text(f"datasets: [{', '.join(entries)}]")
    return tmp_path


def edit(path: Path, **cards: Any) -> None:
    """Change cards of a spectrum; None removes one."""
    from astropy.io import fits

    with fits.open(path, mode="update") as hdulist:
        header = hdulist["SPECTRUM"].header
        for name, value in cards.items():
            if value is None:
                header.remove(name)
            else:
                header[name] = value


def assert_equal(one: Any, two: Any) -> None:
    for name in ("counts", "counts_off", "acceptance_off", "mask_safe"):
        np.testing.assert_allclose(
            getattr(one, name).data, getattr(two, name).data.astype(int), err_msg=name
        )
    exposures = (item.exposure.quantity.to_value("m2 s") for item in (one, two))
    np.testing.assert_allclose(*exposures, rtol=1e-6)
    kernels = one.edisp.get_edisp_kernel().data, two.edisp.get_edisp_kernel().data
    np.testing.assert_allclose(*kernels, atol=1e-6)


def test_a_list_of_spectra_is_read(spectra: Path) -> None:
    found = read(spectra / "datasets.yaml")
    assert found.names == ["hess-1", "hess-2"]
    for ours, theirs in zip(found, make_datasets(0, 1), strict=True):
        assert_equal(ours, theirs)
        assert ours.counts.data.dtype.isnative
        assert ours.models is None
    names = [f"pha_obshess-{n}{ending}.fits" for n in (1, 2) for ending in ENDINGS]
    assert external(spectra / "datasets.yaml") == [
        ("files.0", name) for name in ("datasets.yaml", *names)
    ]


def test_a_list_that_gammapy_writes_is_read(tmp_path: Path) -> None:
    make_datasets(0, 1).write(tmp_path / "list.yaml")
    found = read(tmp_path / "list.yaml")
    assert found.names == ["hess-1", "hess-2"]
    np.testing.assert_array_equal(found[1].counts.data, make_datasets(0, 1)[1].counts.data)
    assert len(external(tmp_path / "list.yaml")) == 3


def test_spectra_are_read_one_by_one_in_their_order(spectra: Path) -> None:
    files = [spectra / f"pha_obshess-{n}.fits" for n in (2, 1)]
    found = read(*files)
    assert found.names == ["hess-2", "hess-1"]
    assert_equal(found["hess-1"], make_datasets(0, 1)["hess-1"])
    assert external(*files)[:2] == [
        ("files.0", "pha_obshess-2.fits"),
        ("files.0", "pha_obshess-2_arf.fits"),
    ]
    assert external(*files)[-1] == ("files.1", "pha_obshess-1_rmf.fits")


def test_names_come_from_prefix_telescope_and_number(spectra: Path) -> None:
    one, two = (spectra / f"pha_obshess-{n}.fits" for n in (1, 2))
    assert read(one, two, prefix="crab").names == ["crab-hess-1", "crab-hess-2"]
    edit(one, OBS_ID=23523)
    edit(two, OBS_ID=23523, TELESCOP="H.E.S.S. 1")
    assert read(one, two).names == ["obs-23523", "h-e-s-s-1-23523"]
    assert read(one, two, prefix="hess").names == ["hess-23523", "hess-23523-2"]
    edit(one, OBS_ID=None)
    assert read(one).names == ["obshess-1"]


def test_a_response_elsewhere_is_not_taken(spectra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gammapy takes files of the current folder first, which the plan does not know."""
    elsewhere = spectra / "elsewhere"
    elsewhere.mkdir()
    for ending in ENDINGS:
        (elsewhere / f"pha_obshess-1{ending}.fits").write_bytes(b"something else")
    monkeypatch.chdir(elsewhere)
    assert_equal(read(spectra / "pha_obshess-1.fits")[0], make_datasets(0)[0])


def test_maps_and_single_files_are_read(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 4, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), width=0.5, binsz=0.1, axes=[energy])
    made = MapDataset.create(geom, energy_axis_true=true, name="cube")
    made.counts.data += 3
    made.mask_safe.data[...] = True
    Datasets([made]).write(tmp_path / "maps.yml")
    made.write(tmp_path / "single.fits.gz")
    listed, single = read(tmp_path / "maps.yml")[0], read(tmp_path / "single.fits.gz")[0]
    assert (listed.name, single.name) == ("cube", "cube")
    for found in (listed, single):
        np.testing.assert_array_equal(found.counts.data, made.counts.data)
        assert found.tag == "MapDataset"
        assert found.exposure.data.dtype.isnative
    assert external(tmp_path / "maps.yml") == [
        ("files.0", "maps.yml"),
        ("files.0", "maps_cube.fits" if (tmp_path / "maps_cube.fits").exists() else "cube.fits"),
    ]
    spectrum = make_datasets(0)[0]
    spectrum.write(tmp_path / "spectrum.fits", format="gadf")
    spectrum.to_spectrum_dataset().copy(name="plain").write(tmp_path / "plain.fits")
    found = read(tmp_path / "spectrum.fits", tmp_path / "plain.fits")
    assert [item.tag for item in found] == ["SpectrumDatasetOnOff", "SpectrumDataset"]
    np.testing.assert_allclose(found[0].counts_off.data, spectrum.counts_off.data)


def test_what_is_read_can_be_stored(spectra: Path, tmp_path: Path) -> None:
    folder = tmp_path / "product"
    folder.mkdir()
    found = read(spectra / "datasets.yaml")
    formats.write("datasets", found, folder, {})
    again = formats.read("datasets", folder, lambda digest: Path(digest))
    for one, two in zip(found, again, strict=True):
        for name in ("counts", "counts_off", "acceptance", "exposure", "mask_safe"):
            before, after = getattr(one, name), getattr(two, name)
            np.testing.assert_array_equal(before.data, after.data, err_msg=name)
            assert before.data.dtype == after.data.dtype


def test_the_range_cuts_the_safe_range(spectra: Path) -> None:
    path = spectra / "pha_obshess-1.fits"
    with pytest.warns(UserWarning, match=r"energies of 'energy' moved .* 1.2 became 1\.778 TeV"):
        found = read(path, energy={"min": "1.2 TeV", "max": "100 TeV"})[0]
    edges = found.counts.geom.axes["energy"].edges.to_value("TeV")
    assert edges[:-1][found.mask_safe.data.ravel()].min() == pytest.approx(1.778, rel=1e-3)
    with pytest.raises(StepError, match="no energy bin is left in any dataset"):
        read(path, energy={"min": "200 TeV"})


def test_files_that_are_not_there_are_named(spectra: Path) -> None:
    with pytest.raises(StepInputError, match=r"files\.0: no such file: .*gone"):
        external(spectra / "gone.fits")
    (spectra / "pha_obshess-1_arf.fits").unlink()
    for name in ("pha_obshess-1.fits", "datasets.yaml"):
        with pytest.raises(StepInputError, match=r"no such file \(ANCRFILE of pha_obs.*_arf"):
            external(spectra / name)


@pytest.mark.parametrize(("keyword", "value"), [("BACKFILE", "none"), ("ANCRFILE", None)])
def test_a_spectrum_without_response_or_background_is_refused(
    keyword: str, value: str | None, spectra: Path
) -> None:
    edit(spectra / "pha_obshess-1.fits", **{keyword: value})
    with pytest.raises(StepInputError, match=f"names no {keyword}"):
        external(spectra / "pha_obshess-1.fits")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.fits", "no FITS", "is not a FITS file"),
        ("a.yaml", "components: []", "is no list of datasets: it has no datasets"),
        ("b.yaml", "datasets: [{name: x}]", "dataset 1 of .* lacks 'name', 'type' or 'filename'"),
        (
            "c.yaml",
            "datasets: [{name: x, type: SherpaDataset, filename: y}]",
            "is a 'SherpaDataset'; those that can be read are",
        ),
        (
            "d.yaml",
            "datasets: [{name: x, type: MapDataset, filename: gone.fits}]",
            r"no such file: .*gone\.fits",
        ),
        ("e.yml", "datasets: [", "is no list of datasets: not a YAML file"),
    ],
)
def test_what_is_no_dataset_is_told_before_the_run(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(StepInputError, match=message):
        external(tmp_path / name)


def test_a_table_is_no_dataset_and_damage_is_told(spectra: Path) -> None:
    from astropy.table import Table

    Table({"x": [1]}).write(spectra / "table.fits")
    with pytest.raises(StepInputError, match="neither an OGIP spectrum, nor a dataset of gammapy"):
        external(spectra / "table.fits")
    (spectra / "table.fits").replace(spectra / "pha_obshess-1_rmf.fits")
    with pytest.raises(StepError, match=r"cannot read pha_obshess-1\.fits as a SpectrumDataset"):
        read(spectra / "pha_obshess-1.fits")


def test_settings_are_checked_before_the_run() -> None:
    assert problems("read-datasets", {}) == {}  # the flux points are an input then
    assert problems("read-datasets", {"isotropic": True}) == {"isotropic": "GP306"}
    assert problems("read-datasets", {"edisp_bins": 2}) == {"edisp_bins": "GP306"}
    assert problems("read-datasets", {"files": []}) == {"files": "GP304"}
    assert problems("read-datasets", {"files": ["a.fits", "a.fits"]}) == {"files.1": "GP306"}


def test_patterns_and_wrong_types_are_told_before_the_run(spectra: Path) -> None:
    with pytest.raises(StepInputError, match="no such file") as caught:
        external(spectra / "*.fits")
    assert "name each file" in (caught.value.hint or "")
    path = spectra / "datasets.yaml"
    text = path.read_text()
    assert "SpectrumDatasetOnOff" in text
    for kind in ("MapDataset", "FluxPointsDataset"):
        path.write_text(text.replace("SpectrumDatasetOnOff", kind))
        with pytest.raises(StepInputError, match=f"is a '{kind}', and its file .* 'SpectrumData"):
            external(path)


def test_a_spectrum_without_energy_dispersion_is_told(spectra: Path) -> None:
    path = spectra / "pha_obshess-1.fits"
    edit(path, RESPFILE="none")
    with pytest.warns(UserWarning, match=r"hess-1: .* names no RESPFILE: reconstructed energies"):
        dataset = read(path)[0]
    assert dataset.edisp is None
