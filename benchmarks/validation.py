"""Measure what checking and exporting a provenance record costs: time, memory, per size.

    python benchmarks/validation.py [--sizes 1000,10000,100000] [--formats jsonld,provn,xml,ttl]

Records are those of `benchmarks/provenance.py`: a scatter of tasks that do nothing, gathered by one
more. Each size runs in a process of its own. Columns: size of the record, number of statements,
processor time and largest resident set of `gpwf prov validate`. With ``--formats``, the same for
`gpwf prov export`; those figures are the ``cost`` in `gpwf.prov.formats`.
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

from provenance import make_plan, ran


def write(path: Path, n_tasks: int) -> None:
    """Write the record of a run of so many tasks."""
    from gpwf.prov.stream import write_record

    write_record(path, make_plan(n_tasks, gathered=True), ran(make_plan(n_tasks, gathered=True)))


def measure(path: Path, form: str) -> dict[str, float]:
    """Check a record, or export it where a format is named; return what it took."""
    begun = time.process_time()
    statements = 0
    if form == "validate":
        from gpwf.prov.validation.check import check_file

        report = check_file(path)
        assert report.is_valid, report.findings
        statements = report.counts.total()
    else:
        from gpwf.prov.export import Source, export
        from gpwf.prov.formats import format_of

        export(Source(record=path), format_of(form), path.with_suffix(f".{form}"))
    return {
        "cpu_s": time.process_time() - begun,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "size_mb": path.stat().st_size / 1e6,
        "statements": statements,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of tasks")
    parser.add_argument("--formats", default="", help="formats to export to")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(Path(options.one[0]), options.one[1])))
        return
    print(f"{'what':<10}{'tasks':>8}{'record':>10}{'statements':>12}{'cpu':>10}{'memory':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for size in [int(text) for text in options.sizes.split(",")]:
            path = Path(folder) / f"{size}.json"
            write(path, size)
            for form in ("validate", *filter(None, options.formats.split(","))):
                command = [sys.executable, __file__, "--one", str(path), form]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                found = json.loads(done.stdout)
                print(
                    f"{form:<10}{size:>8}{found['size_mb']:>7.0f} MB{found['statements']:>12}"
                    f"{found['cpu_s']:>8.1f} s{found['memory_mb']:>7.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
