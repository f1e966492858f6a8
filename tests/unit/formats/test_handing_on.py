"""What is handed on in memory equals what would be read, field by field and bit for bit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deep_equal import differences
from test_card_and_content import MAKERS
from test_data_formats import never
from test_fit_result import SUMMARY
from test_gammapy_formats import make_datasets, make_models, written
from test_map_formats import make_datasets as make_maps

from gpwf.errors import StoreError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

# they are paths, open files that a task has to watch, or are not read to be changed
READ_EACH_TIME = {"datastore", "observations", "file", "figure"}
HANDED = {name: item for name, item in MAKERS.items() if item[0] not in READ_EACH_TIME}


def stored(kind: str, value: Any, folder: Path) -> Path:
    folder.mkdir()
    formats.write(kind, value, folder, {"GPWFKEY": "0" * 64})
    return folder


def check(kind: str, value: Any, tmp_path: Path) -> Any:
    """Write a value and keep what is read; compare all that comes from it with what is read."""
    folder = stored(kind, value, tmp_path / "first")
    read = formats.read(kind, folder, never)
    kept = formats.keep(kind, read)
    assert kept is not None
    for number in range(2):
        handed = formats.handed(kind, kept)
        again = formats.read(kind, folder, never)
        assert differences(again, handed) == []
        one = stored(kind, handed, tmp_path / f"handed-{number}")
        two = stored(kind, again, tmp_path / f"read-{number}")
        assert written(one) == written(two)
    return kept


@pytest.mark.filterwarnings("ignore:divide by zero")  # gammapy, for an index of exactly 2,
@pytest.mark.filterwarnings("ignore:invalid value")  # where it takes another formula afterwards
@pytest.mark.parametrize("name", HANDED)
def test_what_was_read_is_handed_on_as_if_it_were_read(name: str, tmp_path: Path) -> None:
    kind, make = HANDED[name]
    check(kind, make(tmp_path / "value"), tmp_path)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", MAKERS)
def test_what_was_written_is_handed_on_as_if_it_were_read_or_not_at_all(
    name: str, tmp_path: Path
) -> None:
    kind, make = MAKERS[name]
    value = make(tmp_path / "value")
    before = formats.hand_on(kind, value)
    if kind in READ_EACH_TIME:
        assert formats.keep(kind, value) is None
    if before is None:
        assert kind != "fit-result"
        return
    folder = stored(kind, value, tmp_path / "product")
    after = formats.hand_on(kind, value)  # writing changes nothing that is handed on
    for kept in (before, after):
        assert differences(formats.read(kind, folder, never), formats.handed(kind, kept)) == []


@pytest.mark.parametrize("name", ["datasets", "models", "flux-points", "light-curve", "flux-maps"])
def test_what_gammapy_made_is_not_handed_on(name: str) -> None:
    """It is not what is read; see the next test."""
    assert formats.hand_on(name, object()) is None


@pytest.mark.parametrize("make", [make_datasets, make_maps])
def test_what_gammapy_makes_is_not_what_it_reads(make: Any, tmp_path: Path) -> None:
    """If this fails, datasets may be handed on as they are made."""
    made = make()
    read = formats.read("datasets", stored("datasets", made, tmp_path / "product"), never)
    assert any("_nodes" in text for text in differences(made, read))


def test_fit_results_with_numbers_of_numpy_are_handed_on_as_plain_ones(tmp_path: Path) -> None:
    value = replace(
        SUMMARY,
        success=np.bool_(True),
        total_stat=np.float64(1 / 3),
        nfev=np.int64(7),
        covariance=((np.float64(0.1), np.float64("nan")), (0, -0.0)),
    )
    folder = stored("fit-result", value, tmp_path / "product")
    kept = formats.hand_on("fit-result", value)
    handed = formats.handed("fit-result", kept)
    assert differences(formats.read("fit-result", folder, never), handed) == []
    assert type(handed.success) is bool
    assert differences(value, handed) != []


def test_tasks_do_not_see_what_others_do_to_their_inputs(tmp_path: Path) -> None:
    folder = stored("datasets", make_maps(), tmp_path / "product")
    value = formats.read("datasets", folder, never)
    kept = formats.keep("datasets", value)
    first = formats.handed("datasets", kept)
    for datasets in (value, first):
        datasets[0].counts.data[...] = -1
        datasets[0].counts.geom.wcs.wcs.crval = [1, 2]
        datasets[0].counts.geom.axes[0]._nodes[:] = 3
        datasets[0].exposure.meta["livetime"] = None
        datasets[0].meta_table["OBS_ID"][0] = 9
        datasets.models = None
    again = formats.read("datasets", folder, never)
    assert differences(again, formats.handed("datasets", kept)) == []
    assert differences(again, first) != []


def test_links_between_parameters_are_handed_on(tmp_path: Path) -> None:
    models = formats.read("models", stored("models", make_models(), tmp_path / "product"), never)
    kept = formats.keep("models", models)
    one, two = (formats.handed("models", kept) for _ in range(2))
    for item in (one, two):
        first, second = (item[name].spectral_model for name in ("first", "second"))
        assert first.index is second.index
        assert first.reference is second.reference
    assert one["first"].spectral_model.index is not two["first"].spectral_model.index


def test_what_is_kept_knows_its_size(tmp_path: Path) -> None:
    datasets = formats.read("datasets", stored("datasets", make_maps(), tmp_path / "p"), never)
    small = formats.keep("datasets", datasets)
    datasets[0].counts.data = np.zeros(datasets[0].counts.data.shape)  # of eight bytes each, not 4
    large = formats.keep("datasets", datasets)
    assert large.size - small.size == pytest.approx(4 * datasets[0].counts.data.size, abs=100)
    assert small.size > sum(
        item.data.nbytes for dataset in datasets for item in (dataset.counts, dataset.background)
    )


def test_an_unknown_kind_is_told() -> None:
    kept = formats.hand_on("fit-result", SUMMARY)
    for call in (
        lambda: formats.keep("film", 1),
        lambda: formats.hand_on("film", 1),
        lambda: formats.handed("film", kept),
    ):
        with pytest.raises(StoreError, match="no format for products of kind 'film'"):
            call()


def test_the_comparison_finds_what_gammapy_does_not() -> None:
    """What all these tests rely on."""
    one, two = make_datasets(), make_datasets()
    assert differences(one, two) == []
    cases: list[Callable[[Any], Any]] = [
        lambda d: setattr(d.counts, "data", d.counts.data.astype("float32")),
        lambda d: d.counts.data.__setitem__((0, 0, 0), np.nextafter(d.counts.data[0, 0, 0], 1)),
        lambda d: d.counts.geom.axes[0]._nodes.__setitem__(1, 0.2),
        lambda d: setattr(d.counts, "_unit", d.exposure.unit),
        lambda d: d.exposure.meta.update(livetime=1),
        lambda d: d.meta_table.meta.update(x=1),
        lambda d: setattr(d.gti.table["START"], "format", "jd"),
        lambda d: setattr(d.counts.geom.region, "radius", 1.1 * d.counts.geom.region.radius),
        lambda d: setattr(d, "mask_fit", None),
        lambda d: setattr(d, "edisp", d.edisp.edisp_map),
    ]
    for number, case in enumerate(cases):
        changed = make_datasets()
        case(changed[0])
        assert differences(one, changed), number


@pytest.fixture(scope="module")
def hess() -> Any:
    """Return two runs on the Crab Nebula."""
    from gammapy.data import DataStore

    place = Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"
    if not place.is_dir():
        pytest.skip("needs gammapy's data of H.E.S.S. DL3 DR1")
    return DataStore.from_dir(place).get_observations([23523, 23526])


@pytest.mark.science
@pytest.mark.parametrize("stacked", [False, True])
def test_spectra_of_real_runs_are_handed_on(stacked: bool, hess: Any, tmp_path: Path) -> None:
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import Datasets, SpectrumDataset
    from gammapy.makers import ReflectedRegionsBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker
    from gammapy.maps import MapAxis, RegionGeom
    from regions import CircleSkyRegion

    place = SkyCoord(83.63, 22.01, unit="deg")
    energy = MapAxis.from_energy_bounds("0.3 TeV", "40 TeV", 9)
    true = MapAxis.from_energy_bounds("0.2 TeV", "60 TeV", 15, name="energy_true")
    geom = RegionGeom.create(CircleSkyRegion(place, 0.11 * u.deg), axes=[energy])
    empty = SpectrumDataset.create(geom=geom, energy_axis_true=true)
    makers = [
        SpectrumDatasetMaker(selection=["counts", "exposure", "edisp"]),
        ReflectedRegionsBackgroundMaker(),
        SafeMaskMaker(methods=["aeff-max"], aeff_percent=10),
    ]
    datasets = Datasets()
    for observation in hess:
        dataset = empty.copy(name=str(observation.obs_id))
        for maker in makers:
            dataset = maker.run(dataset, observation)
        datasets.append(dataset)
    if stacked:
        datasets = Datasets([datasets.stack_reduce(name="all")])
    check("datasets", datasets, tmp_path)


@pytest.mark.science
@pytest.mark.parametrize("stacked", [False, True])
def test_maps_of_real_runs_are_handed_on(stacked: bool, hess: Any, tmp_path: Path) -> None:
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.makers import MapDatasetMaker, SafeMaskMaker
    from gammapy.maps import MapAxis, WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel, Models

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 6, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), binsz=0.1, width=(3, 3), axes=[energy])
    empty = MapDataset.create(geom, energy_axis_true=true, name="all")
    datasets = Datasets()
    for observation in hess:
        dataset = MapDatasetMaker().run(empty.copy(name=str(observation.obs_id)), observation)
        datasets.append(SafeMaskMaker(methods=["offset-max"]).run(dataset, observation))
    if stacked:
        for dataset in datasets:
            empty.stack(dataset)
        datasets = Datasets([empty])
    datasets.models = Models([FoVBackgroundModel(dataset_name=name) for name in datasets.names])
    check("datasets", datasets, tmp_path)
