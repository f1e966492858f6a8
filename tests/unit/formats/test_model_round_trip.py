"""Every class of model that gammapy has: what is read is what was written, bytes never differ."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_gammapy_formats import CARD, never, store_twice, written

from gpwf.errors import StoreError
from gpwf.store import formats

pytestmark = [
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:.*:astropy.units.UnitsWarning"),
]

np = pytest.importorskip("numpy")
models_of = pytest.importorskip("gammapy.modeling.models")

UNREADABLE = {
    "NaimaSpectralModel": "gammapy cannot read it from YAML (and naima is no dependency)",
    "ScaleSpectralModel": "gammapy does not write the model that it scales",
}


def energy_map(name: str = "energy_true", **axes: Any) -> Any:
    from gammapy.maps import MapAxis, WcsNDMap

    energy = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 3, name=name)
    more = [MapAxis.from_nodes(nodes, name=key) for key, nodes in axes.items()]
    found = WcsNDMap.create(
        width=8, binsz=1, skydir=(83.6, 60.0), frame="icrs", axes=[*more, energy], proj="CAR"
    )
    found.data = np.random.default_rng(3).uniform(1, 2, found.data.shape)
    return found


def spectral(cls: Any) -> Any:
    from astropy import units as u
    from gammapy.maps import MapAxis, RegionNDMap

    energy = np.geomspace(0.1, 100, 5) * u.TeV
    flux = u.Unit("cm-2 s-1 TeV-1")
    plain = models_of.PowerLawSpectralModel()
    name = cls.__name__
    if name == "CompoundSpectralModel":
        return plain * models_of.PiecewiseNormSpectralModel(energy, interp="lin")
    if name == "PiecewiseNormSpectralModel":
        return cls(energy, norms=np.linspace(1, 2, 5) / 3)
    if name == "TemplateSpectralModel":
        values = (energy.value**-2 / 3).astype("float32") * flux
        return cls(energy, values, interp_kwargs={"values_scale": "lin", "method": "nearest"})
    if name == "TemplateNDSpectralModel":
        axes = [
            MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 4, name="energy_true"),
            MapAxis.from_nodes([0.1, 0.2, 0.5], name="field", unit="G"),
        ]
        data = np.random.default_rng(1).uniform(1, 2, (3, 4, 1, 1))
        found = cls(RegionNDMap.create(region=None, axes=axes, unit=flux, data=data))
        found.field.value, found.field.error = 0.3, 0.01
        return found
    if name == "EBLAbsorptionNormSpectralModel":
        param = np.linspace(0.01, 1, 4)
        data = np.exp(-np.outer(param, energy.value)).astype(">f4")
        found = cls(energy, param, data, redshift=0.116, alpha_norm=0.9)
        found.alpha_norm.frozen, found.alpha_norm.error, found.alpha_norm.max = False, 0.1, 3.0
        found.filename = "/elsewhere/ebl.fits.gz"
        return found
    return cls(index1=1.5) if name == "SmoothBrokenPowerLawSpectralModel" else cls()


def spatial(cls: Any) -> Any:
    from astropy import units as u
    from gammapy.maps import MapCoord

    name = cls.__name__
    if name == "TemplateSpatialModel":
        found = cls(energy_map(), normalize=True, filename="/elsewhere/map.fits")
        found.lon_0.frozen = False
        return found
    if name == "TemplateNDSpatialModel":
        template = energy_map(radius=[0.5, 1.0, 2.0])
        found = cls(template.copy(unit="sr-1"), interp_kwargs={"method": "nearest"})
        found.radius.value, found.radius.max = 0.7, 1.5
        return found
    if name == "PiecewiseNormSpatialModel":
        lon, lat = np.meshgrid([82.0, 84.0], [21.0, 22.0])
        coords = MapCoord.create((lon.ravel() * u.deg, lat.ravel() * u.deg), frame="icrs")
        return cls(coords, norms=np.array([1.0, 2.0, 3.0, 4.0]), interp="log", frame="icrs")
    return cls(frame="icrs") if "Constant" not in name else cls()


def temporal(cls: Any) -> Any:
    from astropy import units as u
    from astropy.table import Table
    from astropy.time import Time
    from gammapy.maps import MapAxis, RegionNDMap

    name = cls.__name__
    if name == "LightCurveTemplateTemporalModel":
        axis = MapAxis.from_nodes([0.1, 1 / 3, 5.0], name="time", unit="d")
        curve = RegionNDMap.create(region=None, axes=[axis], data=np.array([1.0, 2.0, 0.7]))
        found = cls(curve, t_ref=Time(59000.1, format="mjd"), method="nearest")
        found.filename = "/elsewhere/curve.fits"
        return found
    if name == "TemplatePhaseCurveTemporalModel":
        table = Table({"PHASE": np.linspace(0, 1, 5), "NORM": [1.0, 2.0, 5.0, 2.0, 1.0]})
        return cls(table, f0=29.9 / u.s, phi_ref=0.3, filename="/elsewhere/phase.fits")
    return cls(scale="tt")


def sky_model(**parts: Any) -> Any:
    parts.setdefault("spectral_model", models_of.PowerLawSpectralModel())
    return models_of.SkyModel(name="source", datasets_names=["a"], **parts)


def make_spectral(cls: Any) -> Any:
    part = spectral(cls)
    if part.is_norm_spectral_model or cls.__name__ == "EBLAbsorptionNormSpectralModel":
        part = models_of.PowerLawSpectralModel() * part
    return sky_model(spectral_model=part)


def component(cls: Any) -> Any:
    if cls.__name__ == "FoVBackgroundModel":
        return cls(dataset_name="a", spatial_model=spatial(models_of.PiecewiseNormSpatialModel))
    if cls.__name__ == "TemplateNPredModel":
        return cls(
            energy_map("energy"),
            name="background",
            datasets_names=["a"],
            spatial_model=spatial(models_of.PiecewiseNormSpatialModel),
        )
    return sky_model(apply_irf={"psf": False, "exposure": True, "edisp": False})


CASES: list[tuple[str, Callable[[], Any]]] = [
    *((cls.__name__, lambda cls=cls: component(cls)) for cls in models_of.MODEL_REGISTRY),
    *(
        (cls.__name__, lambda cls=cls: make_spectral(cls))
        for cls in models_of.SPECTRAL_MODEL_REGISTRY
        if cls.__name__ not in UNREADABLE
    ),
    *(
        (cls.__name__, lambda cls=cls: sky_model(spatial_model=spatial(cls)))
        for cls in models_of.SPATIAL_MODEL_REGISTRY
        if cls.__name__ != "PiecewiseNormSpatialModel"  # of backgrounds, and tested with them
    ),
    *(
        (cls.__name__, lambda cls=cls: sky_model(temporal_model=temporal(cls)))
        for cls in models_of.TEMPORAL_MODEL_REGISTRY
    ),
]


def make(build: Callable[[], Any]) -> Any:
    """Return models with a parameter each of its own: every attribute has something to lose."""
    model = build()
    for number, parameter in enumerate(model.parameters):
        parameter.error = (number + 1) / 30
        parameter.frozen = number % 2 == 0
    if len(model.parameters) > 1:
        model.parameters[1].error = float("nan")  # as in some catalogues
    return models_of.Models([model])


def parameters(model: Any) -> list[dict[str, Any]]:
    return [{**item.to_dict(), "link": None} for item in model.parameters]


def assert_same(one: Any, two: Any) -> None:
    np.testing.assert_equal(parameters(two), parameters(one))
    assert type(one) is type(two)
    for key in ("name", "datasets_names", "apply_irf", "frame", "scale", "method", "values_scale"):
        assert getattr(one, key, None) == getattr(two, key, None), key
    for key in ("_interp", "_interp_kwargs", "operator"):
        assert getattr(one, key, None) == getattr(two, key, None), key
    for key in ("energy", "values", "param", "data"):
        if isinstance(getattr(one, key, None), np.ndarray):
            np.testing.assert_array_equal(getattr(two, key), getattr(one, key))
    if hasattr(one, "map"):
        np.testing.assert_array_equal(two.map.data, one.map.data)
        assert two.map.unit == one.map.unit
    if hasattr(one, "table"):
        np.testing.assert_array_equal(two.table["NORM"], one.table["NORM"])
    for part in ("spectral_model", "spatial_model", "temporal_model", "model1", "model2"):
        if getattr(one, part, None) is not None:
            assert_same(getattr(one, part), getattr(two, part))


def evaluate(model: Any) -> Any:
    """Return what a model predicts somewhere."""
    from astropy import units as u
    from astropy.time import Time

    energy = np.geomspace(0.3, 30, 4) * u.TeV
    if model.tag == "TemplateNPredModel":
        return model.map.data
    found = [model.spectral_model(energy).value]
    spatial_model = model.spatial_model
    if hasattr(spatial_model, "evaluate") and "Piecewise" not in type(spatial_model).__name__:
        lon, lat = [83.1, 83.4] * u.deg, [60.1, 59.8] * u.deg
        more = {"energy": energy[:2]} if spatial_model.is_energy_dependent else {}
        found.append(spatial_model(lon, lat, **more).value)
    if getattr(model, "temporal_model", None) is not None:
        found.append(u.Quantity(model.temporal_model(Time(59000.4, format="mjd"))).value)
    return np.concatenate([np.ravel(item) for item in found])


@pytest.mark.parametrize(("name", "build"), CASES, ids=[name for name, _ in CASES])
def test_every_class_of_model_is_read_as_it_was_written(
    name: str, build: Callable[[], Any], tmp_path: Path
) -> None:
    again, folder = store_twice("models", lambda: make(build), tmp_path)
    first = make(build)
    assert_same(first[0], again[0])
    np.testing.assert_array_equal(evaluate(again[0]), evaluate(first[0]))
    assert b"elsewhere" not in b"".join(written(folder).values())
    place = tmp_path / "again"
    place.mkdir()
    formats.write("models", again, place, CARD)
    assert written(place) == written(folder)
    if hasattr(again[0], "spatial_model") and hasattr(again[0].spatial_model, "map"):
        # gammapy would normalise a map again whenever it is copied
        twice = again.copy().copy()[0].spatial_model.map
        np.testing.assert_array_equal(twice.data, first[0].spatial_model.map.data)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_back_is_refused(name: str, tmp_path: Path) -> None:
    part = models_of.PowerLawSpectralModel()
    part.__class__ = type(name, (models_of.PowerLawSpectralModel,), {})
    source = sky_model()
    source.spectral_model = part
    with pytest.raises(StoreError, match=f"'source' has a {name}"):
        formats.write("models", models_of.Models([source]), tmp_path, CARD)


def test_gammapy_reads_our_files(tmp_path: Path) -> None:
    """But for what its reader leaves out."""
    template = sky_model(spatial_model=spatial(models_of.TemplateSpatialModel))
    formats.write("models", models_of.Models([template]), tmp_path, CARD)
    again = models_of.Models.read(tmp_path / "models.yaml")
    np.testing.assert_array_equal(again[0].spatial_model.map.data, template.spatial_model.map.data)


def linked() -> Any:
    """Return three models with links, also between absorptions, and a full covariance."""
    found = []
    for name in ("one", "two", "three"):
        absorbed = models_of.PowerLawSpectralModel() * spectral(
            models_of.EBLAbsorptionNormSpectralModel
        )
        found.append(models_of.SkyModel(absorbed, name=name))
    first, second, third = (model.spectral_model for model in found)
    second.model1.index = first.model1.index
    third.model1.index = first.model1.index
    third.model2.alpha_norm = second.model2.alpha_norm
    models = models_of.Models(found)
    size = len(models.parameters)
    random = np.random.default_rng(1).normal(size=(size, size)) * 1e-3
    rows = [list(map(id, models.parameters)).index(id(item)) for item in models.parameters]
    models.covariance = (random @ random.T)[np.ix_(rows, rows)]
    return models


def test_links_and_their_covariance_are_read_back(tmp_path: Path) -> None:
    again, folder = store_twice("models", linked, tmp_path)
    one, two, three = (model.spectral_model for model in again)
    assert two.model1.index is one.model1.index
    assert three.model1.index is one.model1.index
    assert three.model2.alpha_norm is two.model2.alpha_norm
    assert two.model2.alpha_norm is not one.model2.alpha_norm
    np.testing.assert_array_equal(again.covariance.data, linked().covariance.data)
    text = (folder / "models.yaml").read_text()
    assert "index@link1" in text
    assert "alpha_norm@link2" in text


def test_a_link_that_is_no_more_links_nothing(tmp_path: Path) -> None:
    """Labels are alike in all products: two ends of two links must not meet."""
    again, _ = store_twice("models", linked, tmp_path)
    other = copy.deepcopy(again)
    other[2]._name = "four"
    apart = models_of.Models([again[0], other[2]]).copy()
    assert apart[0].spectral_model.model1.index is not apart[1].spectral_model.model1.index
    place = tmp_path / "apart"
    place.mkdir()
    formats.write("models", apart, place, CARD)
    assert b"@link" not in (place / "models.yaml").read_bytes()
    assert formats.read("models", place, never).names == ["one", "four"]


@pytest.mark.skipif(not os.environ.get("GAMMAPY_DATA"), reason="GAMMAPY_DATA is not set")
def test_the_absorption_of_gammapys_data_is_read_back(tmp_path: Path) -> None:
    def build() -> Any:
        ebl = models_of.EBLAbsorptionNormSpectralModel.read_builtin("dominguez", redshift=0.116)
        return models_of.Models([sky_model(spectral_model=models_of.PowerLawSpectralModel() * ebl)])

    again, folder = store_twice("models", build, tmp_path)
    assert_same(build()[0], again[0])
    theirs = models_of.Models.read(folder / "models.yaml")
    np.testing.assert_array_equal(evaluate(theirs[0]), evaluate(build()[0]))
    assert {path.name for path in folder.iterdir()} == {
        "models.yaml",
        "models_covariance.dat",
        "template-ebl-norm.fits",
    }
    np.testing.assert_array_equal(evaluate(again[0]), evaluate(build()[0]))
    assert os.environ["GAMMAPY_DATA"].encode() not in (folder / "models.yaml").read_bytes()


@pytest.mark.parametrize("name", ["/data/map.fits", "../map.fits", "sub/map.fits"])
def test_files_of_a_product_are_in_it(name: str, tmp_path: Path) -> None:
    """Others would be read without being counted, and belong to whoever reads it."""
    (tmp_path / "models.yaml").write_text(
        "components:\n- {name: x, type: SkyModel, spectral: {type: compound, model1: "
        f"{{type: TableModel, filename: {name}}}}}}}\n"
    )
    with pytest.raises(StoreError, match=f"refer to {name}, which is no file of the product"):
        formats.read("models", tmp_path, never)
    (tmp_path / "models.yaml").write_text(f"components: []\ncovariance: {name}\n")
    with pytest.raises(StoreError, match="no file of the product"):
        formats.read("models", tmp_path, never)
