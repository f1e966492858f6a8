"""Examples of the language run as they are written, on H.E.S.S. DL3 DR1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

EXAMPLES = Path(__file__).parents[1] / "editor" / "examples"


def run(name: str, folder: Path, **options: Any) -> Any:
    """Run an example with a store of its own."""
    workflow = gpwf.read(EXAMPLES / f"{name}.gpwf.yaml", **options)
    return workflow.run(run_dir=folder / "run", store=folder / "store", jobs=2)


def selected(**obs_ids: list[int]) -> list[tuple[str, Any]]:
    """Return the settings that select observations; the datastore has many targets."""
    return [
        (f"steps.{step}.config.observations.obs_ids", numbers) for step, numbers in obs_ids.items()
    ]


def test_two_reductions_find_the_crab_without_being_told_where(tmp_path: Path) -> None:
    """The map is around the mean of two pointings, 0.5 deg above and below the nebula."""
    sets = selected(hess1=[23523, 23526], hess1u=[23559, 23592])
    # the other two pointings lie east and west: their mean is not quite the nebula
    center = "{frame: icrs, lon: 83.633 deg, lat: 22.014 deg}"
    sets.append(("steps.hess1u.config.geom.wcs.skydir", center))
    done = run("two-reductions", tmp_path, sets=sets)
    assert str(done.state) == "ok"
    dataset = done["hess1"].datasets.read()[0]
    assert dataset.counts.geom.axes["energy"].nbin == 5
    assert dataset.exposure.geom.axes["energy_true"].nbin == 16
    center = dataset.counts.geom.center_skydir
    assert (center.ra.deg, center.dec.deg) == pytest.approx((83.633, 22.014), abs=1e-6)
    maps = done["hess-excess-map"].flux_maps.read()
    assert maps.geom.data_shape == (1, 250, 250)
    best = maps.geom.to_image().pix_to_coord(
        np.unravel_index(np.nanargmax(maps.sqrt_ts.data[0]), (250, 250))[::-1]
    )
    position = type(center)(*best, unit="deg", frame=maps.geom.frame)
    assert position.separation(center).deg < 0.05
    assert np.nanmax(maps.sqrt_ts.data) > 20


def test_all_observations_of_a_datastore_have_no_centre(tmp_path: Path) -> None:
    """The example is for a datastore of one target; the message says what to do."""
    failed = run("two-reductions", tmp_path, sets=selected(hess1u=[23523, 33787]))
    assert str(failed.state) != "ok"
    for step in ("hess1", "hess1u"):
        failure = failed.view.tasks[step].attempts[-1].finished_event.failure
        assert "observations of several targets" in failure.message
        assert "geom.wcs.skydir" in failure.hint


def test_many_targets_have_their_controls(tmp_path: Path) -> None:
    """Controls without a source have none, those with 1e-9 cm-2 s-1 above 0.1 TeV have it."""
    done = run("many-targets", tmp_path, params={"nsims": 2})
    assert str(done.state) == "ok"
    bands = [item for item in done.products() if item.step == "sim-bands"]
    assert len(bands) == 6
    for item in bands:
        first = item.read()[0]  # the safe range of the targets begins at 1 and at 1.6 TeV
        injected = 1e-9 * 1.6 / 0.1 * (first["e_ref"] / 0.1) ** -2.6
        assert first["dnde_n"] == 2
        expected = injected if item.coordinates["scenario"] == "pl2_1em9" else 0
        assert first["dnde_mean"] == pytest.approx(expected, abs=0.15 * injected)
        assert first["dnde_ul_mean"] > first["dnde_mean"]
