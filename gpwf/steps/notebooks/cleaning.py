"""Take out of an executed notebook what differs from one execution to the next.

Standard library alone: the program that runs notebooks imports this beside itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["clean", "clean_text", "hide"]

_ADDED = "injected-parameters"
_RANDOM_TYPES = ("application/vnd.jupyter.widget-view+json",)
# `<Line2D object at 0x7f3a5c0d1e10>`
_ADDRESS = re.compile(r"(?<=\bat )0x[0-9a-fA-F]{6,16}\b")
# ipykernel names the code of a cell after its process: `/tmp/ipykernel_4711/2381.py:3: Warning`
_CELL_FILE = re.compile(r"[^\s'\"<>()]*ipykernel_\d+[/\\](?=\d+\.py)")
# ` 3/10 [00:01<00:02,  2.9it/s]` of tqdm
_RATE = re.compile(r" ?\[\d+:\d\d(?::\d\d)?<[^\]\n]*\]")
_REDACTED = "[redacted]"
_ALONE = 8  # shorter secrets count only where no letter or digit touches them


def clean(notebook: Any, *, scratch: str, original: str) -> None:
    """Clean an executed notebook in place: a mapping in nbformat 4.

    Left out are the times of papermill, the state of widgets and the names that were made up for
    cells; in what cells wrote, addresses in memory, the scratch folder, the number of the kernel's
    process and the times of progress bars. The pieces in which a stream came are put together.

    Parameters
    ----------
    notebook : mapping
        As it was executed.
    scratch : str
        Absolute path of the private folder of the task.
    original : str
        Path of the notebook as it was given.
    """
    given = json.loads(Path(original).read_text(encoding="utf-8"))
    metadata = notebook["metadata"]
    for name in ("papermill", "widgets"):
        metadata.pop(name, None)
    if "kernelspec" in given.get("metadata", {}):
        metadata["kernelspec"] = given["metadata"]["kernelspec"]
    own = iter(given.get("cells", ()))
    for number, cell in enumerate(notebook["cells"], 1):
        told = cell.get("metadata", {})
        added = _ADDED in told.get("tags", ())
        source: dict[str, Any] = {} if added else next(own, {})
        for name in ("papermill", "execution"):
            told.pop(name, None)
        if "id" in cell:
            cell["id"] = _ADDED if added else source.get("id") or f"cell-{number}"
        if not added and not source.get("metadata", {}).get("tags") and told.get("tags") == []:
            del told["tags"]
        if cell.get("outputs"):
            cell["outputs"] = _outputs(cell["outputs"], scratch)


def clean_text(text: str, scratch: str) -> str:
    """Return what a cell wrote, without what differs from one execution to the next."""
    text = text.replace(scratch, "SCRATCH") if scratch else text
    text = _CELL_FILE.sub("ipykernel/", text)
    text = _ADDRESS.sub("0x0", text)
    if "\r" in text or "<" in text:
        lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
        text = _RATE.sub("", "\n".join(lines))
    return text


def _outputs(outputs: list[Any], scratch: str) -> list[Any]:
    """Return the outputs of a cell, cleaned."""
    joined: list[Any] = []
    streams: dict[str, Any] = {}
    for output in outputs:
        if output.get("output_type") != "stream":
            streams = {}  # a kernel sends what was written before it shows something
            joined.append(output)
        elif output["name"] in streams:
            streams[output["name"]]["text"] = _text(streams[output["name"]]) + _text(output)
        else:
            streams[output["name"]] = output
            joined.append(output)
            if output["name"] == "stdout" and len(streams) == 2:  # which came first is chance
                joined[-2:] = joined[:-3:-1]
    for output in joined:
        _clean_output(output, scratch)
    return joined


def _text(output: Any) -> str:
    found = output["text"]
    return found if isinstance(found, str) else "".join(found)


def _clean_output(output: Any, scratch: str) -> None:
    if "text" in output:
        output["text"] = clean_text(_text(output), scratch)
    data = output.get("data", {})
    for name in _RANDOM_TYPES:
        data.pop(name, None)
    for name, value in data.items():
        if isinstance(value, str) and (name.startswith("text/") or name.endswith("xml")):
            data[name] = clean_text(value, scratch)
    if "traceback" in output:
        output["traceback"] = [clean_text(str(line), scratch) for line in output["traceback"]]


def hide(notebook: Any, secrets: Iterable[str]) -> None:
    """Take secrets out of the cell of parameters and of what cells show, in place.

    Parameters
    ----------
    notebook : mapping
        As it was executed.
    secrets : iterable of str
        In every form in which they may stand there.
    """
    words = [
        re.escape(text)
        if len(text) >= _ALONE
        else rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])"
        for text in sorted(secrets, key=len, reverse=True)
    ]
    if not words:
        return
    pattern = re.compile("|".join(words))
    for cell in notebook["cells"]:
        if _ADDED in cell.get("metadata", {}).get("tags", ()):
            cell["source"] = pattern.sub(_REDACTED, cell["source"])
        if cell.get("outputs"):
            cell["outputs"] = _hidden(cell["outputs"], pattern)


def _hidden(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(_REDACTED, value)
    if isinstance(value, list):
        return [_hidden(item, pattern) for item in value]
    if isinstance(value, dict):
        for key, item in value.items():  # of a class of nbformat, which stays
            value[key] = _hidden(item, pattern)
    return value
