"""The step read-datasets on tables of flux points that are not as gammapy's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spectra import run

from gpwf.errors import StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

N_POINTS = 6


def make_table() -> Any:
    """Return a table of a power law of index 2.5 and 3e-11 at 1 TeV."""
    from astropy import units as u
    from astropy.table import Table

    edges = np.geomspace(0.5, 32, N_POINTS + 1) * u.TeV
    table = Table({"e_min": edges[:-1], "e_max": edges[1:]})
    table["e_ref"] = np.sqrt(edges[:-1] * edges[1:])
    set_fluxes(table)
    table.meta["SED_TYPE"] = "dnde"
    return table


def set_fluxes(table: Any) -> None:
    from astropy import units as u

    table["dnde"] = 3e-11 * table["e_ref"].value ** -2.5 * u.Unit("cm-2 s-1 TeV-1")
    table["dnde_err"] = 0.1 * table["dnde"]


def read(table: Any, path: Path, **config: Any) -> Any:
    table.write(path, overwrite=True)
    return run("read-datasets", {"files": [str(path)], **config}, {})["datasets"]


def fitted(datasets: Any) -> Any:
    from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel

    spectrum = PowerLawSpectralModel(index=2, amplitude="1e-11 cm-2 s-1 TeV-1")
    models = Models([SkyModel(spectrum, name="crab")])
    return run("fit", {}, {"datasets": datasets, "models": models})["fit_result"]


def check(summary: Any) -> None:
    """Check that the fit finds what the table was made of; 1e-3 is what minuit leaves."""
    assert summary.total_stat == pytest.approx(0, abs=1e-3)
    assert summary.parameter("crab", "index").value == pytest.approx(2.5, rel=1e-3)
    assert summary.parameter("crab", "amplitude").value == pytest.approx(3e-11, rel=1e-3)


def shifted(table: Any) -> Any:
    """Return the table with energies that are 20% above the middle of their bins."""
    table["e_ref"] *= 1.2
    set_fluxes(table)
    return table


def with_gap(table: Any) -> Any:
    table.remove_rows([2, 3])
    return table


@pytest.mark.parametrize("ending", ["fits", "ecsv"])
@pytest.mark.parametrize(("change", "why"), [(shifted, "other centres"), (with_gap, "gaps")])
def test_a_flux_stays_at_its_energy(
    change: Callable[[Any], Any], why: str, ending: str, tmp_path: Path
) -> None:
    """gammapy takes the middle between the beginnings of bins, whatever 'e_ref' is."""
    table = change(make_table())
    with pytest.warns(UserWarning, match=f"'e_ref'; their bins are not used, .* {why}"):
        datasets = read(table, tmp_path / f"crab.{ending}")
    energies = datasets[0].data.energy_ref.to_value("TeV")
    np.testing.assert_allclose(energies, table["e_ref"].value, rtol=1e-12)
    check(fitted(datasets))


def test_integrals_over_bins_with_gaps_are_refused(tmp_path: Path) -> None:
    table = with_gap(make_table())
    for name in ("dnde", "dnde_err"):
        table[name.replace("dnde", "flux")] = table[name].quantity.value
        table[name.replace("dnde", "flux")].unit = "cm-2 s-1"
        table.remove_column(name)
    table.meta["SED_TYPE"] = "flux"
    with pytest.raises(StepError, match=r"crab\.ecsv: the energy bins leave gaps or overlap"):
        read(table, tmp_path / "crab.ecsv")


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    table = make_table()[::-1]
    table["mask_safe"] = np.arange(N_POINTS) > 0  # without the highest energy
    table["mask_fit"] = True
    dataset = read(table, tmp_path / "crab.ecsv")[0]
    assert (np.diff(dataset.data.energy_ref.value) > 0).all()
    assert dataset.mask_safe.ravel().tolist() == [True] * 5 + [False]


@pytest.mark.parametrize("error", [float("nan"), 0.0])
def test_a_flux_without_error_is_left_out(error: float, tmp_path: Path) -> None:
    table = make_table()
    table["dnde_err"][2] = error
    with pytest.warns(UserWarning, match="they have no error: the fluxes at 2.83 TeV"):
        datasets = read(table, tmp_path / "crab.ecsv")
    assert datasets[0].mask_safe.ravel().tolist() == [True, True, False, True, True, True]
    with np.errstate(divide="ignore"):  # gammapy divides by all of them
        check(fitted(datasets))


@pytest.mark.parametrize("names", [[], ["dnde_errn"]])
def test_fluxes_without_errors_are_refused(names: list[str], tmp_path: Path) -> None:
    table = make_table()
    for name in names:
        table[name] = table["dnde_err"]
    table.remove_column("dnde_err")
    with pytest.raises(StepError, match=r"crab\.ecsv: the fluxes have no errors") as caught:
        read(table, tmp_path / "crab.ecsv")
    assert caught.value.hint


def test_two_errors_are_as_good_as_one(tmp_path: Path) -> None:
    table = make_table()
    table["dnde_errn"] = table["dnde_errp"] = table["dnde_err"]
    table.remove_column("dnde_err")
    check(fitted(read(table, tmp_path / "crab.ecsv")))


def test_limits_are_told_apart_from_fluxes(tmp_path: Path) -> None:
    from astropy.table import MaskedColumn

    table = make_table()
    with pytest.raises(StepError, match="'stat_type: distrib' needs upper limits"):
        read(table, tmp_path / "crab.ecsv", stat_type="distrib")
    table["dnde_ul"] = 1.3 * table["dnde"]
    table["dnde_ul"][0] = np.nan
    with pytest.warns(UserWarning, match="5 of 6 fluxes are left out as upper limits"):
        datasets = read(table, tmp_path / "crab.ecsv")
    assert int(datasets[0].mask_safe.sum()) == 1
    for values in ([0, 0, 0, 0, 0, 1], [False] * 5 + [True]):
        table["is_ul"] = MaskedColumn(values, mask=[False, True, False, False, False, False])
        datasets = read(table, tmp_path / "crab.ecsv")
        assert datasets[0].mask_safe.dtype == bool
        assert datasets[0].mask_safe.ravel().tolist() == [True] * 5 + [False]
    check(fitted(datasets))
