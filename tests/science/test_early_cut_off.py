"""A change that leaves the data as they are makes nothing below run again; files still lead back.

On H.E.S.S. DL3 DR1: the example of the language for spectra, and that for maps.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

EXAMPLES = Path(__file__).parents[1] / "editor" / "examples"
# settings whose limit no observation comes near: another task with the same data
REGIONS = ("steps.datasets.config.background.parameters.max_region_number", 9999)
COUNTS = ("steps.hess1.config.background.parameters.min_counts", 1)
SPECTRA = [("params.obs_ids", [23523, 23526])]
# of the two reductions each has its own runs: the same would be the same data twice
MAPS = [
    (f"steps.{step}.config.{setting}", value)
    for step, runs in (("hess1", [23523, 23526]), ("hess1u", [23559, 23592]))
    for setting, value in (
        ("observations.obs_ids", runs),
        (
            "geom.wcs",
            {
                "skydir": {"lon": "83.633 deg", "lat": "22.014 deg"},
                "binsize": "0.05 deg",
                "width": {"width": "3 deg", "height": "3 deg"},
            },
        ),
    )
]


def run(name: str, folder: Path, number: int, sets: list[tuple[str, Any]]) -> Any:
    """Run an example on the store of the folder."""
    done = gpwf.read(EXAMPLES / name, sets=sets).run(
        run_dir=folder / f"run-{number}", store=folder / "store", jobs=2
    )
    assert str(done.state) == "ok"
    return done


def states(done: Any) -> dict[str, str]:
    return {name: str(item.state) for name, item in done.view.tasks.items()}


def products(done: Any) -> dict[str, Any]:
    return {f"{item.step}.{item.port}": item for item in done.products()}


@pytest.mark.parametrize(
    ("name", "sets", "change", "cached"),
    [
        ("crab-1d.yaml", SPECTRA, REGIONS, {"observations", "models", "fit", "flux-points"}),
        ("two-reductions.gpwf.yaml", MAPS, COUNTS, {"hess1u", "hess-excess-map"}),
    ],
)
def test_the_same_data_of_another_task_are_the_same(
    name: str,
    sets: list[tuple[str, Any]],
    change: tuple[str, Any],
    cached: set[str],
    tmp_path: Path,
) -> None:
    changed = change[0].split(".")[1]
    first = run(name, tmp_path, 1, sets)
    assert set(states(first).values()) == {"ok"}
    second = run(name, tmp_path, 2, [*sets, change])
    # another task, so it did run; nothing else did
    assert states(second) == {changed: "ok"} | dict.fromkeys(cached, "cached")

    one, two = (products(item)[f"{changed}.datasets"] for item in (first, second))
    assert one.key != two.key
    assert one.product.digest == two.product.digest
    for item in (one, two):
        assert f"# GPWFKEY: {item.key}" in (item.folder / "datasets.yaml").read_text()
    for file, other in zip(one.product.files, two.product.files, strict=True):
        assert (file.digest != other.digest) == bool(file.data_digest)  # a covariance has no card


def test_a_change_of_the_data_is_none_that_is_cut_off(tmp_path: Path) -> None:
    """The same with a setting that counts."""
    run("crab-1d.yaml", tmp_path, 1, SPECTRA)
    counts = ("steps.datasets.config.safe_mask.parameters.aeff_percent", 30)
    found = states(run("crab-1d.yaml", tmp_path, 2, [*SPECTRA, counts]))
    assert {step for step, state in found.items() if state == "ok"} == {
        "datasets",
        "fit",
        "flux-points",
    }


def test_a_yaml_product_leads_back_to_its_task(tmp_path: Path) -> None:
    """`gpwf prov show FILE` draws what the file came from; the file names the task's key."""
    done = run("crab-1d.yaml", tmp_path, 1, SPECTRA)
    found = products(done)
    for product, name in (("datasets.datasets", "datasets.yaml"), ("fit.models", "models.yaml")):
        file = found[product].folder / name
        drawn = tmp_path / f"{product}.dot"
        shown = subprocess.run(
            [sys.executable, "-m", "gpwf", "prov", "show", str(file), "--up", "-o", str(drawn)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert shown.returncode == 0, shown.stderr
        assert "observations" in drawn.read_text()
        assert ("flux-points" in drawn.read_text()) is False
        assert f"# GPWFKEY: {found[product].key}\n" in file.read_text()
