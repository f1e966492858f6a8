"""Datasets of flux points among others: round trip field by field, bytes, and gammapy's reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deep_equal import differences
from test_gammapy_formats import CARD, make_dataset, never, store_twice, written

from gpwf.errors import StoreError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def make_flux(n_points: int = 5, **columns: Any) -> Any:
    from astropy import units as u
    from astropy.table import Table

    edges = np.geomspace(0.7, 30, n_points + 1) * u.TeV
    table = Table({"e_min": edges[:-1], "e_max": edges[1:]})
    table["e_ref"] = np.sqrt(edges[:-1] * edges[1:])
    table["dnde"] = 3.3e-11 * table["e_ref"].value ** -2.5 * u.Unit("cm-2 s-1 TeV-1")
    table["dnde_err"] = 0.2 * table["dnde"]
    table["dnde_ul"] = 1.5 * table["dnde"]
    table["is_ul"] = np.arange(n_points) == n_points - 1
    for name, value in columns.items():
        table[name] = value
    return to_flux(table)


def to_flux(table: Any) -> Any:
    from gammapy.estimators import FluxPoints
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    # without one, gammapy takes this one with a random name
    reference = SkyModel(PowerLawSpectralModel(index=2), name="reference")
    return FluxPoints.from_table(
        table, sed_type="dnde", format="gadf-sed", reference_model=reference
    )


def make_flux_dataset(name: str = "hess-sed", stat_type: str = "chi2") -> Any:
    from gammapy.datasets import FluxPointsDataset

    flux = make_flux()
    safe = np.ones(flux.dnde.data.shape, bool)
    safe[0] = False
    fit = np.ones_like(safe)
    fit[-1] = False
    return FluxPointsDataset(
        data=flux, name=name, mask_safe=safe, mask_fit=fit, stat_type=stat_type
    )


def make_mixed() -> Any:
    from gammapy.datasets import Datasets

    names = ("hess-sed", "hess-sed_points", "HESS-sed")
    points = [make_flux_dataset(names[0]), make_flux_dataset(names[2], "distrib")]
    return Datasets([points[0], make_dataset(names[1]), points[1]])


def test_the_round_trip_is_exact_and_deterministic(tmp_path: Path) -> None:
    back, folder = store_twice("datasets", make_mixed, tmp_path)
    assert back.names == make_mixed().names
    for one, two in zip(make_mixed(), back, strict=True):
        if one.tag != "FluxPointsDataset":
            continue
        # the axis went through FITS, its nodes are the same numbers
        assert one.data.geom.axes == two.data.geom.axes
        assert one.data.available_quantities == two.data.available_quantities
        for quantity in one.data.available_quantities:
            first, second = getattr(one.data, quantity), getattr(two.data, quantity)
            assert first.unit == second.unit
            assert first.data.dtype == second.data.dtype
            np.testing.assert_array_equal(first.data, second.data)
        assert not differences(one.data.meta, two.data.meta)
        for field in ("_mask_safe", "mask_fit", "stat_type", "stat_kwargs", "meta_table"):
            assert not differences(getattr(one, field), getattr(two, field)), field
    (tmp_path / "again").mkdir()
    summary = formats.write("datasets", back, tmp_path / "again", CARD)
    assert summary["n_flux_points"] == 7  # chi2 leaves the limit out, distrib does not
    assert {path.name for path in folder.iterdir()} == set(written(tmp_path / "again"))


def test_the_summary_does_not_depend_on_the_order_and_has_no_nan(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets, SpectrumDataset

    on_off = make_dataset()
    safe = on_off.mask_safe.data
    plain = SpectrumDataset(
        counts=on_off.counts, exposure=on_off.exposure, edisp=on_off.edisp, name="no-background"
    )
    for number, found in enumerate(([on_off, plain], [plain, on_off])):
        (tmp_path / str(number)).mkdir()
        summary = formats.write("datasets", Datasets(found), tmp_path / str(number), CARD)
        assert summary["counts_off"] == int(on_off.counts_off.data[safe].sum())
        assert "excess" not in summary


def test_gammapy_reads_it(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets

    formats.write("datasets", make_mixed(), tmp_path, CARD)
    found = Datasets.read(tmp_path / "datasets.yaml", lazy=False)
    ours = formats.read("datasets", tmp_path, never)
    for one, two in zip(found, ours, strict=True):
        if one.tag == "FluxPointsDataset":
            np.testing.assert_allclose(one.data.dnde.data, two.data.dnde.data, rtol=1e-12)
            assert np.ravel(one.mask_fit).tolist() == np.ravel(two.mask_fit).tolist()


@pytest.mark.parametrize("profiles", [False, True])
def test_points_without_bins_keep_their_energies(profiles: bool, tmp_path: Path) -> None:
    """Published points often have ``e_ref`` alone, at distances that no bins would give."""
    from gammapy.datasets import Datasets, FluxPointsDataset

    def make() -> Any:
        table = make_flux().to_table(sed_type="dnde", format="gadf-sed")
        table.remove_columns(["e_min", "e_max"])
        table["e_ref"] = [0.6, 1, 3, 20, 21]
        table["e_ref"].unit = "TeV"
        if profiles:
            table["norm_scan"] = np.tile(np.linspace(0.2, 5, 11), (5, 1))
            table["stat_scan"] = (table["norm_scan"] - 1) ** 2
            table["stat"] = np.zeros(5)
        kind = "profile" if profiles else "chi2"
        return Datasets([FluxPointsDataset(data=to_flux(table), name="sed", stat_type=kind)])

    back, folder = store_twice("datasets", make, tmp_path)
    one, two = make()[0].data, back[0].data
    assert one.geom.axes == two.geom.axes
    # gammapy takes the logarithm of nodes and back
    np.testing.assert_allclose(two.energy_ref.value, [0.6, 1, 3, 20, 21], rtol=1e-14)
    assert one.available_quantities == two.available_quantities
    for quantity in one.available_quantities:
        np.testing.assert_array_equal(getattr(one, quantity).data, getattr(two, quantity).data)
    found = Datasets.read(folder / "datasets.yaml", lazy=False)[0].data
    np.testing.assert_allclose(found.dnde.data, one.dnde.data, rtol=1e-12)
    np.testing.assert_allclose(found.energy_ref.value, one.energy_ref.value, rtol=1e-12)


def test_profiles_of_the_likelihood_are_kept(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets, FluxPointsDataset
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    def make() -> Any:
        norms = np.linspace(0.2, 5, 11)
        table = make_flux().to_table(sed_type="dnde", format="gadf-sed")
        table["norm_scan"] = np.tile(norms, (5, 1))
        table["stat_scan"] = (norms - 1) ** 2 * np.arange(1, 6)[:, None]
        table["stat"] = np.zeros(5)
        return Datasets([FluxPointsDataset(data=to_flux(table), name="a", stat_type="profile")])

    back, _ = store_twice("datasets", make, tmp_path)
    assert back[0].stat_type == "profile"
    assert back[0].stat_kwargs == {"interp_scale": "sqrt", "extrapolate": True}
    one, two = make(), back
    for item in (one, two):
        item.models = SkyModel(PowerLawSpectralModel(index=2.4, amplitude="3e-11 cm-2s-1TeV-1"))
    assert one.stat_sum() == two.stat_sum() > 0


def test_flux_points_in_time_are_refused(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets

    dataset = make_flux_dataset()
    dataset.meta_table = object()
    with pytest.raises(StoreError, match="meta_table of the flux points 'hess-sed'"):
        formats.write("datasets", Datasets([dataset]), tmp_path, CARD)
