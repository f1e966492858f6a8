"""Files that models refer to: found, kept in the product, and in the key of the task."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from spectra import run
from test_model_sources import POWER_LAW, files, models, wrong

from gpwf.errors import StepError, StepInputError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def isotropic(path: Path) -> None:
    energy = np.geomspace(30, 1e6, 12)
    np.savetxt(path, np.c_[energy, 1e-7 * energy**-2.4, 0.1 * energy])


def test_isotropic_emission_is_that_of_gammapy(tmp_path: Path) -> None:
    from astropy import units as u
    from gammapy.modeling.models import create_fermi_isotropic_diffuse_model

    isotropic(tmp_path / "iso.txt")
    source = {
        "spectral": {"type": "template", "norm": {"value": 1.1, "min": 0}},
        "spectral_template": "iso.txt",
        "spatial": {"type": "const"},
        "apply_irf": {"psf": False, "edisp": False},
    }
    ours = models(source, base=tmp_path)["crab"]
    theirs = create_fermi_isotropic_diffuse_model(tmp_path / "iso.txt")
    theirs.spectral_model.model2.norm.value = 1.1
    energy = np.geomspace(1e-6, 10, 30) * u.TeV  # also outside the file
    np.testing.assert_array_equal(ours.spectral_model(energy), theirs.spectral_model(energy))
    assert ours.apply_irf == theirs.apply_irf
    assert ours.parameters.names == theirs.parameters.names
    config = {"sources": {"crab": source}}
    assert [item.name for item in files(config, base=tmp_path)] == ["iso.txt"]
    (tmp_path / "iso.txt").unlink()
    with pytest.raises(StepInputError, match="no such file"):
        files(config, base=tmp_path)
    misspelt = source | {"spectral": {"type": "template", "nrm": 1}}
    assert wrong(misspelt) == {"spectral.nrm": "GP304"}


def test_a_position_in_another_frame_than_the_map_is_refused(tmp_path: Path) -> None:
    from gammapy.maps import Map

    image = Map.create(skydir=(184.5, -5.8), frame="galactic", npix=(20, 20), binsz=0.1)
    image.data[8:12, 8:12] = 1
    image.write(tmp_path / "map.fits")
    source = {"spectral": POWER_LAW, "spatial_template": "map.fits"}
    there = {"frame": "galactic", "lon": "184.56 deg", "lat": "-5.78 deg"}
    spatial = models(source | {"position": there}, base=tmp_path)["crab"].spatial_model
    assert (spatial.lon_0.value, spatial.lat_0.value) == (184.56, -5.78)
    assert models(source, base=tmp_path)["crab"].spatial_model.lon_0.value == 184.5
    # gammapy would put it at 83.6 deg, 22 deg of the Galaxy
    with pytest.raises(StepError, match="its position is icrs, and its map is galactic") as caught:
        models(source | {"position": {"lon": "83.633 deg", "lat": "22.014 deg"}}, base=tmp_path)
    assert "lon: 184.558 deg, lat: -5.78469 deg" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text", ["", "1 2\n", "no numbers\n", "2 1\n1 1\n", "1 0\n2 1\n", "1\n2\n"]
)
def test_a_spectral_template_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "iso.txt").write_text(text)
    source = {"spectral": {"type": "template"}, "spectral_template": "iso.txt"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numpy's, of a file without rows
        with pytest.raises(StepError, match=r"iso\.txt is no spectral template"):
            models(source, base=tmp_path)


def template(path: Path, value: float = 1.0) -> None:
    from gammapy.maps import MapAxis, WcsNDMap

    axis = MapAxis.from_nodes([0.1, 1.0, 10.0], name="energy_true", unit="TeV", interp="log")
    galactic = WcsNDMap.create(
        width=20, binsz=2, axes=[axis], frame="galactic", proj="CAR", skydir=(0, 50), unit="sr-1"
    )
    galactic.data[...] = np.random.default_rng(2).uniform(1, 2, galactic.data.shape) * value
    galactic.write(path, overwrite=True)


def test_maps_are_found_kept_and_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to the file of models, or in the data; as gammapy has them, also when copied."""
    from gammapy.modeling.models import Models, TemplateSpatialModel

    monkeypatch.setenv("GAMMAPY_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    template(tmp_path / "galactic.fits")
    template(tmp_path / "data" / "other.fits")
    text = """
components:
- {name: near, type: SkyModel, spectral: {type: pl}, spatial: {type: template, filename: %s}}
- {name: far, type: SkyModel, spectral: {type: pl-norm},
   spatial: {type: template, filename: $GAMMAPY_DATA/other.fits, normalize: false}}
"""
    text = text.replace("pl-norm", "pl")
    (tmp_path / "models.yaml").write_text(text % "galactic.fits")
    config = {"file": str(tmp_path / "models.yaml")}
    assert [item.name for item in files(config)] == [
        "models.yaml",
        "galactic.fits",
        "$GAMMAPY_DATA/other.fits",
    ]
    found = run("models", config, {})["models"]
    by_hand = TemplateSpatialModel.read(tmp_path / "galactic.fits")
    np.testing.assert_array_equal(found["near"].spatial_model.map.data, by_hand.map.data)
    far = TemplateSpatialModel.read(tmp_path / "data" / "other.fits", normalize=False)
    np.testing.assert_array_equal(found["far"].spatial_model.map.data, far.map.data)
    product = tmp_path / "product"
    product.mkdir()
    formats.write("models", found, product, {})
    (tmp_path / "galactic.fits").unlink()
    again = formats.read("models", product, lambda digest: Path(digest)).copy()
    np.testing.assert_array_equal(again["near"].spatial_model.map.data, by_hand.map.data)
    theirs = Models.read(product / "models.yaml")
    np.testing.assert_array_equal(theirs["near"].spatial_model.map.data, by_hand.map.data)


def test_a_map_in_the_short_form(tmp_path: Path) -> None:
    template(tmp_path / "galactic.fits")
    source = {"spectral": POWER_LAW, "spatial_template": "galactic.fits"}
    found = models(source, base=tmp_path)["crab"]
    assert found.spatial_model.is_energy_dependent
    assert found.spatial_model.frame == "galactic"
    assert not found.spatial_model.parameters.free_parameters


def test_a_file_with_links_keeps_its_covariance(tmp_path: Path) -> None:
    """gammapy clears what lies off the diagonal when it reads links."""
    from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel

    written = Models([SkyModel(PowerLawSpectralModel(), name=name) for name in ("one", "two")])
    written[1].spectral_model.index = written[0].spectral_model.index
    size = len(written.parameters)
    random = np.random.default_rng(1).normal(size=(size, size)) * 1e-3
    rows = [0, 1, 2, 0, 4, 5]
    written.covariance = (random @ random.T)[np.ix_(rows, rows)]
    written.write(tmp_path / "models.yaml")
    config = {"file": str(tmp_path / "models.yaml")}
    assert [item.name for item in files(config)] == ["models.yaml", "models_covariance.dat"]
    found = run("models", config, {})["models"]
    assert found[1].spectral_model.index is found[0].spectral_model.index
    np.testing.assert_allclose(found.covariance.data, written.covariance.data, rtol=1e-12)


def test_counts_light_curves_and_phases_are_read_from_files(tmp_path: Path) -> None:
    """With the parameters that gammapy's reader of light curves ignores."""
    import yaml
    from astropy.table import Table
    from gammapy.maps import MapAxis, WcsNDMap

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    WcsNDMap.create(npix=3, axes=[axis]).copy(data=np.full((2, 3, 3), 7.0)).write(
        tmp_path / "counts.fits"
    )
    curve = Table({"TIME": [0.0, 1.0, 2.0], "NORM": [1.0, 3.0, 2.0]})
    curve["TIME"].unit = "d"
    curve.meta |= {"MJDREFI": 59000, "MJDREFF": 0.25, "TIMESYS": "utc", "TIMEUNIT": "d"}
    curve.write(tmp_path / "curve.fits")
    phase = Table({"PHASE": [0.0, 0.5, 1.0], "NORM": [1.0, 3.0, 1.0]})
    phase.write(tmp_path / "phase.fits")
    f0 = {"name": "f0", "value": 30.0, "unit": "s-1", "frozen": False, "error": 0.1}
    light = {"type": "LightCurveTemplateTemporalModel", "filename": "curve.fits"}
    turning = {"type": "TemplatePhaseCurveTemporalModel", "filename": "phase.fits"}
    spectral = {"type": "pl", "parameters": []}
    components = [
        {
            "name": "background",
            "type": "TemplateNPredModel",
            "filename": "counts.fits",
            "datasets_names": ["one"],
            "spectral": {"type": "pl-norm", "parameters": []},
        },
        {"name": "flare", "type": "SkyModel", "spectral": spectral, "temporal": light},
        {
            "name": "pulsar",
            "type": "SkyModel",
            "spectral": spectral,
            "temporal": turning | {"parameters": [f0]},
        },
    ]
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"components": components}))
    config = {"file": str(tmp_path / "models.yaml")}
    names = ["models.yaml", "counts.fits", "curve.fits", "phase.fits"]
    assert [item.name for item in files(config)] == names
    found = run("models", config, {})["models"]
    assert found["background"].map.data.sum() == 7 * 18
    assert found["flare"].temporal_model.t_ref.value == pytest.approx(59000.25)
    pulsar = found["pulsar"].temporal_model
    assert (pulsar.f0.value, pulsar.f0.frozen, pulsar.f0.error) == (30, False, 0.1)
    product = tmp_path / "product"
    product.mkdir()
    formats.write("models", found, product, {})
    for name in names:
        (tmp_path / name).unlink()
    again = formats.read("models", product, lambda digest: Path(digest))
    np.testing.assert_array_equal(again["background"].map.data, found["background"].map.data)
    np.testing.assert_array_equal(
        again["pulsar"].temporal_model.table["NORM"], pulsar.table["NORM"]
    )
    np.testing.assert_array_equal(
        again["flare"].temporal_model.map.data, found["flare"].temporal_model.map.data
    )
