"""Measure what pictures of provenance records cost: time and memory, and how the page feels.

    python benchmarks/pictures.py [--sizes 1000,10000,100000] [--browser]

A run of one step, scattered, and a task that gathers all (`benchmarks/provenance.py`). Each picture
is made in a process of its own from the record on disk. Columns: wall time of reading the record,
of reading and drawing, growth of the memory at the end without the file itself, size of picture.
``--browser`` opens the pages in a headless Chromium: time until the page is there, until all tasks
are unfolded, until a node is chosen, and the mean time of a frame while zooming.
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

import provenance

FORMS = (("dot", "step"), ("html", "step"), ("dot", "workflow"))
HERE = Path(__file__).parent
_FEEL = """(async () => {
  const time = (act) => { const start = performance.now(); act(); document.body.getBoundingClientRect();
    return performance.now() - start; };
  const fold = document.getElementById('fold'), svg = document.getElementById('picture');
  const found = { unfold: time(() => fold.hidden || fold.click()), nodes: document.querySelectorAll('.node').length };
  const node = [...document.querySelectorAll('.node')].at(-1);
  found.choose = time(() => node.dispatchEvent(new MouseEvent('click', { bubbles: true })));
  const start = performance.now();
  for (let n = 0; n < 60; n += 1) {
    svg.dispatchEvent(new WheelEvent('wheel', { deltaY: n % 2 ? -60 : 60, clientX: 300, clientY: 300, cancelable: true }));
    await new Promise((done) => requestAnimationFrame(done));
  }
  found.frame = (performance.now() - start) / 60;
  return found })()"""  # noqa: E501


def own_memory() -> float:
    """Return the memory of this process in megabytes, without pages of mapped files."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    words = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return float(words["RssAnon"].split()[0]) / 1e3


def draw(record: Path, form: str, detail: str) -> dict[str, float]:
    """Draw one picture and return what it took."""
    from gpwf.prov.draw import draw_file
    from gpwf.prov.record_index import RecordIndex

    before, start = own_memory(), time.perf_counter()
    index = RecordIndex(path=record, full=False)
    read, grown = time.perf_counter() - start, own_memory() - before
    del index
    start = time.perf_counter()
    path = draw_file(record, path=record.with_name(f"{detail}.{form}"), detail=detail)
    return {
        "read": read,
        "all": time.perf_counter() - start,
        "memory": max(grown, own_memory() - before),
        "size": path.stat().st_size / 1e6,
    }


def feel(page: Path, folder: Path) -> str:
    """Open a page and return how it does."""
    sys.path.insert(0, str(HERE.parent / "tests" / "unit" / "prov"))
    from chromium_pipe import Chromium

    with Chromium(folder / "profile") as browser:
        start = time.perf_counter()
        browser.open(page)
        opened = time.perf_counter() - start
        found = browser.value(_FEEL)
    return (
        f"  page: there after {opened * 1e3:.0f} ms; {found['nodes']} nodes unfolded in "
        f"{found['unfold']:.0f} ms, one chosen in {found['choose']:.0f} ms, "
        f"{found['frame']:.0f} ms a frame"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of tasks")
    parser.add_argument("--browser", action="store_true", help="open the pages in Chromium")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(draw(Path(options.one[0]), *options.one[1:])))
        return
    from gpwf.prov.stream import write_record

    print(f"{'tasks':>8} {'picture':<14}{'read':>9}{'drawn':>9}{'memory':>10}{'picture':>10}")
    for size in (int(text) for text in options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            record = Path(name) / "prov.json"
            plan = provenance.make_plan(size, gathered=True)
            write_record(record, plan, provenance.ran(plan))
            del plan
            for form, detail in FORMS:
                command = [sys.executable, __file__, "--one", str(record), form, detail]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                took = json.loads(done.stdout)
                picture = f"{detail} {form}"
                print(
                    f"{size:>8} {picture:<14}{took['read']:>7.2f} s{took['all']:>7.2f} s"
                    f"{took['memory']:>7.0f} MB{took['size']:>7.2f} MB",
                    flush=True,
                )
            if options.browser:
                print(feel(Path(name) / "step.html", Path(name)), flush=True)


if __name__ == "__main__":
    main()
