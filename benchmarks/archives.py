"""Measure what exports for archives cost: processor time, memory, size.

    python benchmarks/archives.py [--sizes 1000,10000]

The runs are those of `benchmarks/provenance.py` (`ok` and `cached`: a scattered step whose tasks do
nothing); products are described, not copied. Each measurement runs in a process of its own.
Columns: size of the record, processor time, growth of the largest resident set, size of
`ro-crate-metadata.json` or of the IVOA view.
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

from provenance import cached, make_plan, ran

from gpwf.prov.crate import CrateParts, write_crate
from gpwf.prov.ivoa import ivoa_document
from gpwf.prov.stream import write_record

RUNS = {"ok": ran, "cached": cached}


def measure(run: str, export: str, n_tasks: int) -> None:
    """Print a row."""
    plan = make_plan(n_tasks)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = write_record(folder / "prov.json", plan, RUNS[run](plan))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        if export == "crate":
            parts = CrateParts(record=record, plan=plan, plan_file=folder / "plan.json", texts={})
            write_crate(parts, folder / "crate", with_products=False)
            made = folder / "crate" / "ro-crate-metadata.json"
        else:
            made = folder / "view.json"
            made.write_text(json.dumps(ivoa_document(json.loads(record.read_bytes())), indent=1))
        took = time.process_time() - start
        growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(
            f"{run:8}{export:8}{n_tasks:>8}{record.stat().st_size / 1e6:>10.1f} MB{took:>8.2f} s"
            f"{growth / 1e3:>8.0f} MB{made.stat().st_size / 1e6:>10.1f} MB",
            flush=True,
        )


def main() -> None:
    """Measure everything, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options.one[0], options.one[1], int(options.one[2]))
        return
    print("run     export     tasks       record        CPU     memory         size")
    for n_tasks in options.sizes.split(","):
        for run in RUNS:
            for export in ("crate", "ivoa"):
                subprocess.run(
                    [sys.executable, __file__, "--one", run, export, n_tasks], check=True
                )


if __name__ == "__main__":
    main()
