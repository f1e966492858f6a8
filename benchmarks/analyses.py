"""Compare an analysis written by hand, in serial gammapy, with the first run of its workflow.

    python benchmarks/analyses.py [crab-1d | crab-3d | five-targets ...] [--repeat 5] [--jobs 2]

In one sitting, one after the other and again: the script of `benchmarks/by_hand` in a process of
its own, `gpwf run` of the workflow with a fresh store, and the same run again with everything in
the store. Prints medians and ratios of wall times (and the processor time of all processes), and
compares the numbers: fitted parameters and flux points have to agree. Needs GAMMAPY_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BENCHMARKS = Path(__file__).parent
GPWF = [sys.executable, "-c", "import sys; from gpwf.cli import main; sys.exit(main())"]
# in units of the error: a minimiser stops a little elsewhere where positions are bound
TOLERANCE = 0.02
FIRST = "first run"
AGAIN = "again"
BY_HAND = "by hand"


@dataclass(frozen=True)
class Analysis:
    """A workflow and the script that does the same.

    ``target`` is the largest ratio of the first run to the work by hand that is wanted.
    """

    workflow: Path
    script: Path
    target: float


ANALYSES: Mapping[str, Analysis] = {
    "crab-1d": Analysis(
        ROOT / "workflows" / "crab-1d.gpwf.yaml", BENCHMARKS / "by_hand" / "crab_1d.py", 0.61
    ),
    "crab-3d": Analysis(
        BENCHMARKS / "workflows" / "crab-3d.gpwf.yaml",
        BENCHMARKS / "by_hand" / "crab_3d.py",
        0.70,
    ),
    "five-targets": Analysis(
        BENCHMARKS / "workflows" / "five-targets.gpwf.yaml",
        BENCHMARKS / "by_hand" / "five_targets.py",
        0.58,
    ),
}


@dataclass
class Times:
    """Wall and processor times of one way, in seconds."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def measure(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Run a command and keep its times; end where it fails."""
        used, start = _children_cpu_s(), time.perf_counter()
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "MPLBACKEND": "Agg", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self.wall_s.append(time.perf_counter() - start)
        self.cpu_s.append(_children_cpu_s() - used)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("analyses", nargs="*", help=f"any of {', '.join(ANALYSES)} (all)")
    parser.add_argument("--repeat", type=int, default=5, help="times for each way (5)")
    parser.add_argument("--jobs", type=int, default=2, help="workers (2)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    unknown = sorted(set(options.analyses) - set(ANALYSES))
    if unknown:
        parser.error(f"no analysis {', '.join(unknown)}; there are {', '.join(ANALYSES)}")
    if "GAMMAPY_DATA" not in os.environ:
        parser.error("set GAMMAPY_DATA to the folder of `gammapy download datasets`")
    figures = {}
    print(
        f"{'':<14}{BY_HAND:>10}{FIRST:>11}{'ratio':>8}{'wanted':>8}{AGAIN:>8}   numbers differ by"
    )
    for name in options.analyses or ANALYSES:
        figures[name] = found = run(ANALYSES[name], options.repeat, options.jobs)
        print(
            f"{name:<14}{found[BY_HAND]['wall_s']:>8.2f} s{found[FIRST]['wall_s']:>9.2f} s"
            f"{found['ratio']:>8.2f}{found['wanted']:>8.2f}{found[AGAIN]['wall_s']:>6.2f} s"
            f"   {found['difference']:.1e}",
            flush=True,
        )
        print(
            f"{'  processor':<14}{found[BY_HAND]['cpu_s']:>8.2f} s{found[FIRST]['cpu_s']:>9.2f} s"
            f"{found['cpu_ratio']:>8.2f}{'':>8}{found[AGAIN]['cpu_s']:>6.2f} s",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    else:
        print(json.dumps(figures))
    if any(found["difference"] > TOLERANCE for found in figures.values()):
        sys.exit("the numbers of the two ways are not the same")


def run(analysis: Analysis, repeat: int, jobs: int) -> dict[str, Any]:
    """Return the medians of an analysis, ratios, and how much the numbers differ."""
    times = {BY_HAND: Times(), FIRST: Times(), AGAIN: Times()}
    workflow = [*GPWF, "run", str(analysis.workflow), "-j", str(jobs)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        by_hand, place = folder / "by-hand", {"GPWF_STORE": str(folder / "store")}
        for _ in range(repeat):
            for made in (by_hand, folder / "store", folder / "runs"):
                shutil.rmtree(made, ignore_errors=True)
            times[BY_HAND].measure(
                [sys.executable, "-W", "ignore", str(analysis.script), str(by_hand)], folder, {}
            )
            times[FIRST].measure(workflow, folder, place)
            first = next(path.resolve() for path in folder.glob("runs/*/latest"))
            times[AGAIN].measure(workflow, folder, place)
        difference = largest_difference(by_hand, first / "products")
    found: dict[str, Any] = {
        way: {
            "wall_s": statistics.median(item.wall_s),
            "cpu_s": statistics.median(item.cpu_s),
            "all_wall_s": [round(value, 3) for value in item.wall_s],
        }
        for way, item in times.items()
    }
    return {
        **found,
        "ratio": found[FIRST]["wall_s"] / found[BY_HAND]["wall_s"],
        "cpu_ratio": found[FIRST]["cpu_s"] / found[BY_HAND]["cpu_s"],
        "wanted": analysis.target,
        "repeat": repeat,
        "jobs": jobs,
        "difference": difference,
    }


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def largest_difference(by_hand: Path, products: Path) -> float:
    """Return the largest difference of a fitted parameter or a flux point, relative or in sigma.

    Of parameters it is in units of the error, of norms of flux points in units of theirs.
    """
    pairs = [(by_hand, products)]
    if not (by_hand / "models.yaml").is_file():  # a folder per target
        pairs = [(folder, products) for folder in sorted(by_hand.iterdir())]
    return max(_difference(ours, theirs, len(pairs) > 1) for ours, theirs in pairs)


def _difference(by_hand: Path, products: Path, is_scattered: bool) -> float:
    import numpy as np
    from gammapy.estimators import FluxPoints
    from gammapy.modeling.models import Models

    def product(name: str) -> Path:
        """Return a file of the workflow, of this target where there are several."""
        found = [
            path
            for path in products.rglob(name)
            if not is_scattered or any(by_hand.name in part for part in path.parts)
        ]
        return next(path for path in found if path.parts[-3] != "models" or len(found) == 1)

    differences = []
    fitted = json.loads(product("fit_result.json").read_text())
    hand = {
        (model.name, parameter.name): parameter
        for model in Models.read(by_hand / "models.yaml")
        for parameter in model.parameters
    }
    for item in fitted["parameters"]:
        theirs = hand.get((item["model"], item["name"]))
        if theirs is not None and not item["frozen"]:
            differences.append(abs(item["value"] - theirs.value) / item["error"])
    models = next(iter(Models.read(by_hand / "models.yaml")))
    one, two = (
        FluxPoints.read(path, sed_type="likelihood", reference_model=models)
        for path in (by_hand / "flux_points.fits", product("flux_points.fits"))
    )
    away = np.abs(one.norm.data - two.norm.data) / one.norm_err.data
    differences.append(float(np.nanmax(away)))
    return float(max(differences))


if __name__ == "__main__":
    main()
