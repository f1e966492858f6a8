"""A workflow of two commands, of which one is scattered, with a file that the first reads."""

from __future__ import annotations

from pathlib import Path

WORKFLOW = """gpwf: 1
name: w
params: {word: one}
steps:
  - name: make
    tag: command
    config:
      argv: [sh, -c, "cat $0 > out.txt; echo $1 >> out.txt", "${inputs.text}", "${params.word}"]
      inputs: {text: in.txt}
      outputs: {out: out.txt}
  - name: copy
    tag: command
    foreach: {n: [1, 2]}
    required_products: {made: make.out}
    config:
      argv: [sh, -c, "cat $0 > b.txt; echo $1 >> b.txt", "${inputs.made}", "n${n}"]
      outputs: {b: b.txt}
"""


def set_up(folder: Path) -> Path:
    """Write the workflow and its file; return the folder."""
    (folder / "w.gpwf.yaml").write_text(WORKFLOW)
    (folder / "in.txt").write_text("text\n")
    return folder
