"""Measure the index of a provenance record: building it, its size, and what questions cost.

    python benchmarks/lineage.py [--sizes 1000,10000,100000]

The record is that of a run of ``benchmarks/provenance.py``: one step scattered over so many tasks
with four settings and one product each, and one task that uses all products. Each size runs in a
process of its own. Columns:

- ``record``, ``index``: sizes of ``prov.json`` and of the index beside it;
- ``build``, ``memory``: wall time of building the index, and growth of the largest resident set;
- ``open``: wall time of opening the index that is there;
- ``up``, ``down``: wall time of the lineage of the product of one scattered task, from its name on,
  with the names and digests of everything in it: the median of a hundred products;
- ``gathered``: the same, up from the product that was made from all others, once;
- ``settings``: wall time of the settings, with their origins, that one product depends on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provenance import make_plan, ran

from gpwf.prov.lineage import Direction, Lineage
from gpwf.prov.lineage_find import find
from gpwf.prov.lineage_index import index_path
from gpwf.prov.query import Questions
from gpwf.prov.query_items import ancestry
from gpwf.prov.stream import write_record

PRODUCTS = 100


def lineage_s(lineage: Lineage, text: str, direction: Direction) -> float:
    """Return how long the lineage of something takes, from its name to the answer."""
    begun = time.perf_counter()
    answer = ancestry(Questions(lineage), lineage.walk(find(lineage, text), direction))
    assert len(answer.items) >= 2
    return time.perf_counter() - begun


def settings_s(lineage: Lineage, text: str) -> float:
    """Return how long it takes to list the settings that something depends on."""
    begun = time.perf_counter()
    found = Questions(lineage).settings(lineage.walk(find(lineage, text)).depth)
    assert len(found) == 4
    return time.perf_counter() - begun


def largest_kb() -> int:
    """Return the largest resident set so far in kB; that of `getrusage` is of the parent, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def measure(record: Path, n_tasks: int) -> dict[str, float]:
    """Build an index and ask it."""
    before = largest_kb()
    begun = time.perf_counter()
    Lineage.of(record).close()
    build = time.perf_counter() - begun
    grown = largest_kb() - before
    begun = time.perf_counter()
    lineage = Lineage.of(record)
    opened = time.perf_counter() - begun
    lineage.close()
    names = [f"sim[seed={n * n_tasks // PRODUCTS}].table" for n in range(PRODUCTS)]
    times: dict[str, list[float]] = {"up": [], "down": [], "settings": []}
    for name in names:  # opened anew, so that nothing is remembered
        for kind, found in times.items():
            with Lineage.of(record) as lineage:
                if kind == "settings":
                    found.append(settings_s(lineage, name))
                else:
                    found.append(lineage_s(lineage, name, Direction(kind)))
    with Lineage.of(record) as lineage:
        gathered = lineage_s(lineage, "all.table", Direction.UP)
    index = index_path(record)
    return {
        "record_mb": record.stat().st_size / 1e6,
        "index_mb": index.stat().st_size / 1e6 if index.exists() else 0.0,
        "build_s": build,
        "memory_mb": grown / 1e3,
        "open_s": opened,
        "gathered_s": gathered,
        **{f"{kind}_s": statistics.median(found) for kind, found in times.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of tasks")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(text) for text in options.sizes.split(",")]
    if options.record is not None:
        print(json.dumps(measure(options.record, sizes[0])))
        return
    print(
        f"{'tasks':>7}{'record':>10}{'index':>10}{'build':>10}{'memory':>9}{'open':>9}"
        f"{'up':>9}{'down':>9}{'settings':>10}{'gathered':>10}"
    )
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "prov" / "prov.json"
            plan = make_plan(size, gathered=True)
            write_record(record, plan, ran(plan))
            command = [sys.executable, __file__, "--sizes", str(size), "--record", str(record)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        print(
            f"{size:>7}{found['record_mb']:>7.1f} MB{found['index_mb']:>7.1f} MB"
            f"{found['build_s']:>8.2f} s{found['memory_mb']:>6.0f} MB"
            f"{found['open_s'] * 1e3:>6.1f} ms{found['up_s'] * 1e3:>6.1f} ms"
            f"{found['down_s'] * 1e3:>6.1f} ms{found['settings_s'] * 1e3:>7.1f} ms"
            f"{found['gathered_s']:>8.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
