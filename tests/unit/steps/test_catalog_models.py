"""The step catalog-models, on a catalogue of four sources that is written here."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from spectra import problems, run

from gpwf.errors import NoDataError, StepError, StepInputError
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CONE = {"frame": "icrs", "lon": "83.6 deg", "lat": "22.0 deg", "radius": "3 deg"}
NAMES = ("3HWC J0534+220", "3HWC J0540+228", "3HWC J0543+231", "3HWC J1825-134")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a catalogue like 3HWC; the last source has no spectrum."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    ra, dec = [83.63, 85.1, 85.8, 276.4] * u.deg, [22.02, 22.9, 23.1, -13.4] * u.deg
    galactic = SkyCoord(ra, dec).galactic
    flux = u.Unit("TeV-1 s-1 cm-2")
    table = Table({"source_name": NAMES, "ra": ra, "dec": dec})
    table["glon"], table["glat"] = galactic.l.to("deg"), galactic.b.to("deg")
    table["pos_err"] = [0.06, 0.11, 0.13, np.nan] * u.deg
    table["ts"] = [35736.5, 28.8, 34.2, 2212.5]
    table["search_radius"] = [0.0, 0.0, 0.5, 0.0] * u.deg
    table["spec0_dnde"] = [2.34e-13, 4.8e-15, 4.2e-15, np.nan] * flux
    table["spec0_index"] = [-2.58, -2.84, -2.13, -2.35]
    table["spec0_radius"] = [0.0, 0.0, 0.5, 0.0] * u.deg
    for name, unit in (("dnde", flux), ("index", u.one)):
        scale = 1e-15 if name == "dnde" else 0.1
        table[f"spec0_{name}_errn"] = [-scale] * 4 * unit
        table[f"spec0_{name}_errp"] = [2 * scale] * 4 * unit
    path = tmp_path_factory.mktemp("catalog") / "3HWC.ecsv"
    table.write(path)
    return path


def made(file: Path, **config: Any) -> Any:
    return run("catalog-models", {"catalog": "3hwc", "file": str(file), **config}, {})


def test_sources_in_a_cone_nearest_first(file: Path) -> None:
    from astropy import units as u

    found = made(file, cone=CONE)
    assert found["models"].names == list(NAMES[:3])
    table = found["sources"]
    assert list(table["spatial"]) == ["point", "point", "disk"]
    assert table["separation"][0] == pytest.approx(0.0344, abs=1e-3)
    assert list(table["n_free"]) == [2, 2, 2]
    index = found["models"][0].spectral_model.index
    assert (index.value, index.error) == (2.58, pytest.approx(0.15))
    flux = found["models"][0].spectral_model.integral(1 * u.TeV, 10 * u.TeV)
    assert table["flux"].quantity[0] == flux


def test_what_is_free(file: Path) -> None:
    def free(**rules: Any) -> list[list[str]]:
        models = made(file, cone=CONE, free=rules)["models"]
        return [list(model.parameters.free_parameters.names) for model in models]

    both, place = ["index", "amplitude"], ["lon_0", "lat_0"]
    assert free() == [both] * 3
    assert free(spectra="norm") == [["amplitude"]] * 3
    assert free(spectra="none") == [[]] * 3
    assert free(positions=True) == [both + place] * 3
    assert free(positions=True, shapes=True)[2] == [*both, *place, "r_0"]
    assert free(within="1 deg", positions=True) == [both + place, [], []]


def test_names_cuts_and_exclusions(file: Path) -> None:
    assert made(file, names=["3hwc j0540+228"])["models"].names == [NAMES[1]]
    assert made(file, cone=CONE, exclude=[NAMES[0]])["models"].names == list(NAMES[1:3])
    assert made(file, cone=CONE, cuts=[{"column": "ts", "min": 30}])["models"].names == [
        NAMES[0],
        NAMES[2],
    ]
    flux = {"column": "spec0_dnde", "max": "1e-20 cm-2 s-1 eV-1", "min": "4.5e-15 cm-2 s-1 TeV-1"}
    assert made(file, cuts=[flux])["models"].names == [NAMES[0], NAMES[1]]
    table = made(file, cone=CONE, prefix="hawc-", columns=["ts"])["sources"]
    assert list(table["model"]) == [f"hawc-{name}" for name in NAMES[:3]]
    assert list(table["source"]) == list(NAMES[:3])
    assert list(table["ts"]) == [35736.5, 28.8, 34.2]


def test_a_name_of_several_sources_takes_all_of_them(file: Path) -> None:
    from astropy.table import MaskedColumn

    from gpwf.steps.source_catalogs import open_catalog, rows_by_name

    catalog = open_catalog("3hwc", file, "step")
    shared = ["Crab, A", f"Crab,{NAMES[2]}", "", "Crab"]
    catalog.table["other"] = MaskedColumn(shared, mask=[False, False, False, True])
    catalog._source_name_alias = ("other",)
    names = ["Crab", "crab", "A", NAMES[2]]
    # a source's own name is not that of another one
    assert rows_by_name(catalog, names, "step", "names") == [[0, 1], [0, 1], [0], [2]]
    for name in ("--", ""):  # what is masked, or empty, is no name
        with pytest.raises(StepError, match="no source"):
            rows_by_name(catalog, [name], "step", "names")


def test_a_source_without_a_model_is_named(file: Path) -> None:
    with pytest.warns(UserWarning, match=r"sources without a model: 3HWC J1825-134: no value of"):
        found = made(file, names=[NAMES[0], NAMES[3]])
    assert found["models"].names == [NAMES[0]]
    assert list(found["sources"].meta["left_out"]) == [NAMES[3]]
    with pytest.warns(UserWarning, match="the other settings leave it out"):
        found = made(file, cone=CONE, names=[NAMES[0], NAMES[3]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(NoDataError, match=r"3HWC J1825-134.*no model"):
            made(file, names=[NAMES[3]])


def test_no_source_is_no_data(file: Path) -> None:
    with pytest.raises(NoDataError, match="'3hwc' has no source") as caught:
        made(file, cone={**CONE, "lon": "10 deg"})
    assert "cone" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"names": ["3HWC J0534+221"]}, "'names'.*no source '3HWC J0534", "3HWC J0534.220"),
        ({"names": ["J0540"]}, "'names'.*no source 'J0540'", "3HWC J0540.228"),
        ({"names": [" "]}, "'names'.*no source ' '", ""),
        ({"exclude": ["crab"], "cone": CONE}, "'exclude'.*'crab'", ""),
        ({"cuts": [{"column": "tss", "min": 1}]}, "'cuts.0'.*no column 'tss'", "'ts'"),
        ({"cuts": [{"column": "ts", "min": "1 TeV"}]}, "'cuts.0', 'min'.*no unit", "a number"),
        ({"cuts": [{"column": "spec0_dnde", "min": 1}]}, "'cuts.0', 'min'.*which is in", "unit"),
        ({"cuts": [{"column": "source_name", "min": 1}]}, "holds texts", "equals"),
        ({"cone": CONE, "columns": ["tss"]}, "'columns'.*no column 'tss'", "'ts'"),
    ],
)
def test_what_the_catalogue_does_not_have(
    file: Path, config: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(StepError, match=message) as caught:
        made(file, **config)
    import re

    assert re.search(hint, caught.value.hint or "")


@pytest.mark.parametrize("name", ["2hwc", "hgps", "gamma-cat", "3fgl", "1lhaaso"])
def test_another_catalogue_is_refused(file: Path, name: str) -> None:
    with pytest.raises(StepError, match=f"3HWC.ecsv is not the catalogue '{name}'"):
        run("catalog-models", {"catalog": name, "file": str(file), "cone": CONE}, {})


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"SIMPLE  =                    T", b"# %E"])
def test_a_torn_file_is_refused(tmp_path: Path, content: bytes) -> None:
    for name, ending in (("3hwc", "ecsv"), ("hgps", "fits"), ("3fhl", "fits.gz")):
        path = tmp_path / f"torn.{ending}"
        path.write_bytes(content)
        with pytest.raises(StepError, match="is not the catalogue"):
            run("catalog-models", {"catalog": name, "file": str(path), "cone": CONE}, {})


def files(config: dict[str, Any]) -> Any:
    step = load_catalog().step("catalog-models")
    settled = settle(step, config, base=Path("/nowhere"))
    return step.external_files(restore(step, settled.settings))


def test_files_are_those_of_gammapys_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of extended sources too: they are in the key of the task."""
    monkeypatch.setenv("GAMMAPY_DATA", str(tmp_path))
    with pytest.raises(
        StepInputError, match=r"'4fgl' is not there.*gll_psc_v32\.fit\.gz"
    ) as caught:
        files({"catalog": "4fgl", "cone": CONE})
    assert "14yr_catalog" in (caught.value.hint or "")
    folder = tmp_path / "catalogs" / "fermi"
    templates = folder / "Extended_14years" / "Templates"
    templates.mkdir(parents=True)
    (folder / "gll_psc_v32.fit.gz").write_bytes(b"")
    (templates / "RXJ1713.fits.gz").write_bytes(b"")
    assert [item.name for item in files({"catalog": "4fgl", "cone": CONE})] == [
        "gll_psc_v32.fit.gz",
        "catalogs/fermi/Extended_14years/Templates/RXJ1713.fits.gz",
    ]
    monkeypatch.delenv("GAMMAPY_DATA")
    with pytest.raises(StepInputError, match="GAMMAPY_DATA is not set"):
        files({"catalog": "hgps", "cone": CONE})


def fourth_fermi_catalogue(path: Path) -> None:
    """Write a file like 4FGL-DR4 with a source of every kind of spectrum, one of them extended."""
    from astropy import units as u
    from astropy.io import fits
    from astropy.table import Table

    names = ["4FGL J0534.5+2200", "4FGL J0534.5+2201i", "4FGL J0617.2+2234e"]
    table = Table({"Source_Name": names, "RAJ2000": [83.63, 83.62, 94.3] * u.deg})
    table["DEJ2000"] = [22.01, 22.02, 22.57] * u.deg
    for name in ("SemiMajor", "SemiMinor", "PosAng"):
        table[f"Conf_95_{name}"] = [0.01, 0.02, 0.03] * u.deg
    table["Extended_Source_Name"] = ["", "", "IC 443"]
    for name in ("ASSOC_FGL", "ASSOC_FHL", "ASSOC_GAM1", "ASSOC_GAM2", "ASSOC_GAM3", "ASSOC_TEV"):
        table[name] = ["", "", ""]
    table["ASSOC1"], table["ASSOC2"] = ["PSR J0534+2200", "Crab", ""], ["", "", ""]
    table["SpectrumType"] = ["PLSuperExpCutoff", "PowerLaw", "LogParabola"]
    table["Pivot_Energy"] = [1352.7, 10000.0, 4466.4] * u.MeV
    flux = u.Unit("MeV-1 s-1 cm-2")
    for name in ("PL_Flux_Density", "LP_Flux_Density", "PLEC_Flux_Density"):
        table[name] = [1e-11, 5e-13, 2e-12] * flux
        table[f"Unc_{name}"] = [1e-13, 1e-14, 2e-14] * flux
    for name in ("PL_Index", "LP_Index", "LP_beta", "PLEC_IndexS", "PLEC_ExpfactorS"):
        table[name], table[f"Unc_{name}"] = [2.1, 1.7, 2.3], [0.1, 0.1, 0.1]
    table["PLEC_Exp_Index"], table["Unc_PLEC_Exp_Index"] = [0.5, np.nan, np.nan], [np.nan] * 3
    extended = Table({"Source_Name": ["IC 443"], "Model_Form": ["2D Gaussian"]})
    extended["Model_SemiMajor"] = extended["Model_SemiMinor"] = [0.27] * u.deg
    extended["Model_PosAng"] = [0.0] * u.deg
    edges = Table({"LowerEnergy": [50.0, 100] * u.MeV, "UpperEnergy": [100.0, 300] * u.MeV})
    hdus = [fits.PrimaryHDU()]
    for name, item in (
        ("LAT_Point_Source_Catalog", table),
        ("ExtendedSources", extended),
        ("EnergyBounds", edges),
    ):
        hdu = fits.table_to_hdu(item)
        hdu.name = name
        hdus.append(hdu)
    hdus[1].header["VERSION"] = "v32"
    fits.HDUList(hdus).writeto(path)


def test_the_fourth_fermi_catalogue(tmp_path: Path) -> None:
    """It is not in every copy of gammapy's data; this is a file like it."""
    from gammapy.catalog import SourceCatalog4FGL

    path = tmp_path / "gll_psc_v32.fit"
    fourth_fermi_catalogue(path)
    config = {"catalog": "4fgl", "file": str(path), "cone": CONE | {"radius": "20 deg"}}
    found = run("catalog-models", config, {})
    assert list(found["sources"]["spectral"]) == ["pl", "secpl-4fgl-dr3", "lp"]
    assert list(found["sources"]["spatial"]) == ["point", "point", "gauss"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # cells that are masked
        theirs = SourceCatalog4FGL(path).to_models()
    for model in theirs:
        ours = found["models"][model.name].parameters
        assert ours.names == model.parameters.names
        np.testing.assert_array_equal(ours.value, model.parameters.value)
    named = run("catalog-models", {"catalog": "4fgl", "file": str(path), "names": ["Crab"]}, {})
    assert named["models"].names == ["4FGL J0534.5+2201i"]


def test_files_are_where_gammapy_looks_for_them() -> None:
    import inspect

    from gammapy.catalog import CATALOG_REGISTRY

    from gpwf.steps.source_catalogs import CATALOGS

    for catalog in CATALOGS.values():
        kind = CATALOG_REGISTRY.get_cls(catalog.tag)
        default = inspect.signature(kind.__init__).parameters["filename"].default
        assert default == f"$GAMMAPY_DATA/{catalog.file}"
        sources = inspect.getsource(kind.source_object_class)
        for folder in catalog.templates:
            assert f"$GAMMAPY_DATA/{folder}" in sources


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"": "GP306"}),
        ({"cone": CONE, "which": "pl"}, {"which": "GP306"}),
        ({"cone": CONE, "components": "merged"}, {"components": "GP306"}),
        ({"names": ["a"], "free": {"within": "1 deg"}}, {"free.within": "GP306"}),
        ({"names": ["a"], "flux_range": {"min": "1 TeV"}}, {"flux_range": "GP306"}),
        ({"cuts": [{"column": "ts"}]}, {"cuts.0": "GP306"}),
        ({"cuts": [{"column": "ts", "equals": []}]}, {"cuts.0.equals": "GP304"}),
    ],
)
def test_settings_that_do_not_fit(config: dict[str, Any], expected: dict[str, str]) -> None:
    assert problems("catalog-models", {"catalog": "3hwc", **config}) == expected
