"""Measure how long planning takes, and how much memory, against the number of tasks.

    python benchmarks/planning.py [--most 1000000] [--workload chain|controls|targets]

Each size is planned in a process of its own: reading, expanding, settling, joining and keying, no
run. `plan` is the wall time inside the process, `cpu` its processor time, `start` what Python and
its start take, `peak` the largest resident memory. Workloads:

- ``chain``: one scattered step with its own seed per task, and three that inherit the axis;
- ``controls``: targets times scenarios times seeds with fits and flux points, gathered at the end;
- ``targets``: every task has settings of its own, looked up in a table.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = """components:
  - name: crab
    type: SkyModel
    spatial:
      type: PointSpatialModel
      frame: icrs
      parameters: [{name: lon_0, value: 83.63, unit: deg}, {name: lat_0, value: 22.01, unit: deg}]
    spectral:
      type: PowerLawSpectralModel
      parameters:
        - {name: index, value: 2.6}
        - {name: amplitude, value: 3.5e-11, unit: TeV-1 cm-2 s-1}
"""
MODEL = """
  - {tag: models, config: {file: models.yaml}}
"""
REDUCE = """
      geom:
        axes:
          energy: {min: 0.5 TeV, max: 50 TeV, nbins: 20}
          energy_true: {min: 0.3 TeV, max: 100 TeV, nbins: 26}
      background: {method: reflected}
"""
SIMULATE = """
  - tag: simulate-observations
    foreach: AXES
    config:
      {models: models.yaml, target: {lon: 83.63 deg, lat: 22.01 deg}, n_obs: 1, seed: SEED}
"""
TAIL = """
  - tag: fit
    required_products: {models: models.models}
  - tag: flux-points
    config: {source: crab, energy: {min: 1 TeV, max: 10 TeV, nbins: 3}}
"""
REGION = "on_region: {lon: 83.63 deg, lat: 22.01 deg, radius: 0.11 deg}"


def simulate(axes: str, seed: str) -> str:
    """Return the scattered step."""
    return SIMULATE.replace("AXES", axes).replace("SEED", f'"{seed}"')


def chain(n_tasks: int) -> str:
    """Return a workflow of about so many tasks: five steps, one axis."""
    head = simulate(f"{{seed: {{range: {{count: {n_tasks // 5}}}}}}}", "${seed}")
    return f"""gpwf: 1
steps:{MODEL}{head}  - tag: observations
  - tag: datasets
    config:
      {REGION}{REDUCE}{TAIL}"""


def controls(n_tasks: int) -> str:
    """Return targets with control studies: two axes that fit and flux points inherit."""
    seeds = f"seed: {{range: {{count: {n_tasks // 25}}}}}"
    head = simulate(f"{{target: [a, b, c, d, e], {seeds}}}", "${seed}")
    return f"""gpwf: 1
steps:{MODEL}{head}  - tag: observations
  - tag: datasets
    config:
      {REGION}{REDUCE}{TAIL}  - tag: collect
    gather: [seed]
    required_products: {{items: flux-points.flux_points}}
"""


def rows(n_tasks: int) -> str:
    """Return the table of the targets."""
    found = (f"t{n},{n * 360 / n_tasks:.6f} deg,{n}" for n in range(n_tasks // 5))
    return "\n".join(["name,lon,seed", *found])


def targets(_n_tasks: int) -> str:
    """Return many targets: every reduction has a region of its own."""
    head = simulate('{target: "${tables.targets}"}', "${target.seed}")
    region = 'on_region: {lon: "${target.lon}", lat: 22.01 deg, radius: 0.11 deg}'
    return f"""gpwf: 1
tables: {{targets: targets.csv}}
steps:{MODEL}{head}  - tag: observations
  - tag: datasets
    config:
      {region}{REDUCE}{TAIL}"""


WORKLOADS = {"chain": chain, "controls": controls, "targets": targets}


def plan(path: str) -> None:
    """Plan a workflow and print what it took."""
    import gpwf

    workflow = gpwf.read(path)
    start, used = time.perf_counter(), time.process_time()
    found = workflow.plan(store=Path(path).parent / "store")
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"tasks": len(found.tasks), "plan_s": seconds, "cpu_s": cpu, "peak_gb": peak}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most", type=int, default=1_000_000, help="largest number of tasks")
    parser.add_argument("--workload", choices=WORKLOADS, default="chain")
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan:
        plan(options.plan)
        return
    print(f"{'tasks':>9}{'plan':>9}{'cpu':>9}{'per task':>11}{'start':>8}{'peak':>9}")
    size = 1_000
    while size <= options.most:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "w.gpwf.yaml"
            text = WORKLOADS[options.workload](size)
            (Path(folder) / "models.yaml").write_text(MODELS)
            (Path(folder) / "targets.csv").write_text(rows(size))
            path.write_text(text + f"execution: {{max_tasks: {2 * size + 100}}}\n")
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, __file__, "--plan", str(path)],
                stdout=subprocess.PIPE,
                check=True,
            )
            wall = time.perf_counter() - start
        found = json.loads(done.stdout)
        seconds = found["plan_s"]
        print(
            f"{found['tasks']:>9}{seconds:>7.2f} s{found['cpu_s']:>7.2f} s"
            f"{found['cpu_s'] / found['tasks'] * 1e6:>8.0f} us"
            f"{wall - seconds:>6.2f} s{found['peak_gb']:>6.2f} GB",
            flush=True,
        )
        size *= 10


if __name__ == "__main__":
    main()
