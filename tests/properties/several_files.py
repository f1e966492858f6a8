"""A workflow of several files, ways to damage it, and what must hold however it is damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.errors import DocumentError
from gpwf.lang import check_workflow
from gpwf.report.diagnostics import diagnostics_text, github_lines
from gpwf.report.listings import diagnostic_data

FILES: Mapping[str, bytes] = {
    "w.yaml": """\
gpwf: 1
name: many
params:
  e_min: {type: energy, default: 1 TeV, min: 0.3 TeV, max: 50 TeV}
  ids: [1, 2]
  on: true
  at: {type: skycoord, default: {frame: icrs, lon: 83.6 deg, lat: 22 deg}}
tables: {targets: targets.csv, cuts: cuts.yaml, inline: [{name: "é", n: 1}, {name: b, n: 2}]}
defaults: {fit: {tolerance: 1e-3, label: "${workflow.name}: ${params.e_min as GeV}"}}
steps:
  - tag: observations
    foreach: {target: "${tables.targets}", seed: {range: {start: 0, count: 2}}}
    config: {datastore: data, obs_ids: "${params.ids}"}
  - &d
    tag: datasets
    when: ${params.on} and not ${params.ids[0]} > 7
    config:
      energy: {min: "${params.e_min}", max: 10 TeV, nbins: 3}
      on_region: {center: "${params.at}", radius: "${target.r ?? 0.2 deg}"}
  - {tag: models, config: {file: m.yaml}}   # é
  - {tag: fit, timeout: 30 min, after: [models], retries: 2}
  - name: 'inner'
    tag: workflow
    foreach: {cut: "${tables.cuts}"}
    config: {file: inner.yaml, params: {n: "${cut.n}"}}
  - {tag: stack, gather: [seed]}
  - tag: flux-points
    config: {source: crab, extra: {a: [&x {b: 1}, *x]}}
    required_products: {datasets: stack.datasets, models: models.models}
outputs: {models: fit.models}
profiles: {quick: {params: {e_min: 2 TeV}, steps: {fit: {config: {label: "x"}}}}}
execution: {jobs: 2}
metadata:
  text: |-
   two
   lines
  folded: >
   more
""".encode(),
    "inner.yaml": """\
gpwf: 1
params: {n: {type: int, default: 1}, unit: {type: string, default: é}}
steps:
  - {tag: observations, config: {datastore: data, obs_ids: ["${params.n}"]}}
  - {tag: datasets, config: {energy: {nbins: "${params.n}"}}}
  - {tag: models, config: {file: m.yaml}}
  - {tag: fit, config: {label: "${params.unit}"}}
outputs: {best: fit.models}
""".encode(),
    "targets.csv": b'name,r,ids\ncrab,0.1 deg,"[1, 2]"\npks,0.2 deg,[3]\n',
    "cuts.yaml": "low: {n: 2}\nhöher: {n: 3}\n".encode(),
    "params.yaml": b"e_min: 0.5 TeV\nids: [3, 4]\n",
}
_WORDS = [
    *"{}[]:,-?&*!|>'\"%@`#~$\n\t \r",
    *(
        "${",
        "}",
        "${params.e_min}",
        "${target}",
        "<<: ",
        "a: ",
        "- ",
        "\n---\n",
        "&a ",
        "*d",
        "null",
    ),
    *("1e999", ".inf", "0x1F", "'\\", '"\\U00110000"', '"\\ud800"', "gpwf: 2\n", "steps:\n"),
    *(
        "  - tag: fit\n",
        "\x85",
        "\u2028",
        "\ufeff",
        "tag",
        "config",
        "foreach: ",
        "when: ",
        "gather: ",
    ),
    *(
        "é",
        "😀",
        "\r\n",
        "true",
        "-1",
        "TeV",
        "deg",
        "inner.yaml",
        "w.yaml",
        "name",
        "\x00",
        "\x1b",
    ),
]
_BYTES = [b"\xff", b"\xfe\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xef\xbb\xbf", b"\x80"]


def damaged(random: Random) -> dict[str, bytes]:
    """Return the files with a few changes in one or two of them."""
    files = dict(FILES)
    for _ in range(random.choice((1, 1, 1, 2, 4, 12))):
        name = random.choice([*files, "w.yaml", "w.yaml"])
        files[name] = _changed(files[name], random)
    return files


def _changed(data: bytes, random: Random) -> bytes:
    """Return bytes with one change."""
    if random.random() < 0.08:
        start = random.randint(0, len(data))
        return data[:start] + random.choice(_BYTES) + data[start + random.randint(0, 2) :]
    text = data.decode("utf-8", "surrogateescape")
    start = random.randint(0, len(text))
    stop = min(len(text), start + random.choice((0, 0, 1, 1, 2, 5, 12, 40)))
    kind = random.random()
    if kind < 0.55:
        text = text[:start] + random.choice(_WORDS) + text[stop:]
    elif kind < 0.7:
        text = text[:start] + text[stop:]
    elif kind < 0.85:  # a piece moves
        other = random.randint(0, len(text))
        text = text[:other] + text[start:stop] + text[other:]
    elif kind < 0.93:  # a line moves
        lines = text.splitlines(keepends=True)
        random.shuffle(lines) if random.random() < 0.1 else lines.insert(
            random.randint(0, len(lines)), random.choice(lines or [""])
        )
        text = "".join(lines)
    elif kind < 0.96:
        text = text.replace("\n", random.choice(("\r\n", "\r", "\n\n", "\u2028")))
    else:
        text = text[:start]
    return text.encode("utf-8", "surrogateescape")


def check_files(
    folder: Path, files: Mapping[str, bytes], catalog: Any, random: Random
) -> list[Diagnostic]:
    """Read the workflow with some values given for it; check every diagnostic."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    given: dict[str, Any] = {}
    if random.random() < 0.3:
        given["profile"] = random.choice(("quick", "quik"))
    if random.random() < 0.3:
        given["params"] = {
            random.choice(("e_min", "on", "x")): random.choice(("2 TeV", "1 m", "["))
        }
    if random.random() < 0.3:
        path = random.choice(("steps.fit.config.label", "params.ids", "steps.inner", "x[0]", "..."))
        given["sets"] = [(path, random.choice(("a", "[1, 2", "${params.x}", "null", "1e999")))]
    if random.random() < 0.3:
        given["params_files"] = [folder / "params.yaml"]
    spec, found = check_workflow(folder / "w.yaml", catalog, **given)
    assert spec is not None or any(item.severity == "error" for item in found)
    assert str(DocumentError(found))
    for item in found:
        _check_places(item, folder, files)
    text = diagnostics_text(found)
    assert all(item.code in text for item in found)
    assert len(github_lines(found)) == len(found)
    assert all("\n" not in line for line in github_lines(found))
    json.dumps([diagnostic_data(item) for item in found]).encode()
    text.encode()  # nothing that cannot be printed
    return found


def _check_places(item: Diagnostic, folder: Path, files: Mapping[str, bytes]) -> None:
    """Check that every place lies in the text of its file, and that the line shown is that one."""
    for span in (item.span, *(span for span, _ in item.related)):
        if span is None:
            continue
        path = Path(span.file)
        assert path.name in files, item
        lines = lines_of(files[path.name])
        check_span(span, lines)
        if span is item.span and item.source_line is not None:
            shown = lines[span.line - 1]
            assert item.source_line[: span.column - 1] == shown[: span.column - 1], (item, shown)


def lines_of(data: bytes) -> list[str]:
    """Return the lines of a file as editors count them."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    return re.split("\r\n|\n|\r", text)


def check_span(span: Span, lines: list[str]) -> None:
    """Check that a place lies in a text."""
    assert 1 <= span.line <= span.end_line <= len(lines), span
    assert 1 <= span.column <= len(lines[span.line - 1]) + 1, span
    assert span.end_column >= 1, span
    assert (span.end_line, span.end_column) >= (span.line, span.column), span
    assert span.end_column <= len(lines[span.end_line - 1]) + 2, span
