"""``workflows/crab-3d.gpwf.yaml`` and ``workflows/two-reductions.gpwf.yaml`` as one types them.

The first one coarse, with its profile ``quick``; as it is see ``test_crab_fine_maps.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def run(folder: Path, name: str, *options: str) -> Any:
    """Run a workflow in a process of its own, with a store of its own."""
    place = folder / name
    workflow = str(WORKFLOWS / f"{name}.gpwf.yaml")
    command = [sys.executable, "-m", "gpwf", "run", workflow, "-j", "2"]
    done = subprocess.run(
        [*command, *options, "--run-dir", str(place), "--store", str(folder / f"store-{name}")],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONHASHSEED": str(len(str(folder)))},
    )
    assert done.returncode == 0, done.stderr
    return gpwf.open_run(place)


def digests(done: Any) -> dict[str, str]:
    return {f"{item.step}.{item.port}": item.product.digest for item in done.products()}


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("first"), "crab-3d", "--profile", "quick")


def test_the_crab_is_found_where_it_is(maps: Any) -> None:
    """Numbers of gammapy 2.1 by hand with these settings."""
    fitted = maps["fit"].fit_result.read()
    assert fitted.parameter("crab", "lon_0").value == pytest.approx(83.616, abs=2e-3)
    assert fitted.parameter("crab", "lat_0").value == pytest.approx(22.028, abs=2e-3)
    assert fitted.parameter("crab", "index").value == pytest.approx(2.506, rel=1e-3)
    assert fitted.parameter("crab", "amplitude").value == pytest.approx(4.042e-11, rel=1e-3)
    assert maps["fit"].models.read().names == ["crab", "hess-stacked-bkg"]
    assert maps["datasets"].datasets.read().models.names == ["hess-stacked-bkg"]


def test_another_process_gives_the_same_bytes(maps: Any, tmp_path: Path) -> None:
    again = run(tmp_path, "crab-3d", "--profile", "quick")
    assert digests(again) == digests(maps)
    assert len(digests(again)) == 8


def test_two_reductions_make_one_map(maps: Any, tmp_path: Path) -> None:
    """The same observations as in the other workflow, reduced one by one."""
    done = run(tmp_path, "two-reductions")
    steps = {item.step for item in done.products()}
    assert steps == {"hess1", "hess1u", "hess-excess-map"}
    both = done["hess-excess-map"].flux_maps.read()
    counts = sum(done[name].datasets.read()[0].counts.data.sum() for name in ("hess1", "hess1u"))
    assert maps["datasets"].datasets.read()[0].counts.data.sum() == counts
    together = maps["excess-map"].flux_maps.read()
    np.testing.assert_array_equal(both.counts.data, together.counts.data)
