"""Run a notebook and write it as a page: a program of its own, beside the worker.

The step `notebook` starts this file as a script, with the path of a job in JSON. Nothing of gpwf
is imported here: the process holds papermill, the kernel is its child. The kernel stays in the
session of the worker, where the executor finds it: a task that is cancelled or takes too long ends
with its kernel and everything that this has started.

Exit code 0: the products are there. 1: ``report.json`` beside the job says what failed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["main"]

_START_S = 300  # importing the kernel takes seconds, more on a busy machine
_IOPUB_S = 120
_LONGEST_SOCKET = 107 - len("/kernel-00000000-0000-0000-0000-000000000000-ipc-5")  # sun_path
_SOURCE_LINES = 12


def main(job_path: str) -> int:
    """Run the job; return the exit code."""
    place = Path(job_path)
    job = json.loads(place.read_text(encoding="utf-8"))
    report = place.with_name("report.json")
    sockets = _socket_folder(Path(job["folder"]).parent)
    os.environ["JUPYTER_RUNTIME_DIR"] = str(sockets)
    try:
        found = _execute(job, sockets)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    report.write_text(json.dumps(found), encoding="utf-8")
    return 1 if "error" in found else 0


def _socket_folder(scratch: Path) -> Path:
    """Return a private folder whose name is short enough for the names of Unix sockets.

    A kernel that listens on ports can lose them to another one that starts at the same time.
    """
    folder = scratch / "sockets"
    if len(os.fsencode(folder)) <= _LONGEST_SOCKET:
        folder.mkdir(mode=0o700)
        return folder
    parent = tempfile.gettempdir()
    short = len(os.fsencode(parent)) + len("/gpwf-00000000") <= _LONGEST_SOCKET
    return Path(tempfile.mkdtemp(prefix="gpwf-", dir=parent if short else "/tmp"))


def _keep_in_session() -> None:
    """Let kernels lead a process group, not a session: what kills a task goes by its session."""
    from jupyter_client import launcher

    def popen(argv: Any, **options: Any) -> Any:
        if options.pop("start_new_session", False):
            options["process_group"] = 0
        return subprocess.Popen(argv, **options)

    launcher.Popen = popen


def _execute(job: dict[str, Any], sockets: Path) -> dict[str, Any]:
    """Execute the notebook, write both products; return what to report."""

    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from papermill import execute_notebook
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    _keep_in_session()
    shown = Path(job["folder"]) / job["name"]
    options = {"ConnectionFileMixin": {"transport": "ipc", "ip": str(sockets / "kernel-ipc")}}
    try:
        notebook = execute_notebook(
            job["notebook"],
            str(shown),
            parameters=job["parameters"],
            kernel_name=job["kernel"],
            language=job["language"],
            progress_bar=False,
            cwd=job["folder"],
            start_timeout=_START_S,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            iopub_timeout=_IOPUB_S,
            config=Config(options),
        )
    except PapermillExecutionError as error:
        return {"error": _cell_error(error, shown)}
    except DeadKernelError as error:
        return {"error": {"dead": True, "message": str(error), **_where(shown)}}
    except NoSuchKernel as error:
        return {"error": {"no_kernel": str(error)}}
    except (TimeoutError, RuntimeError) as error:  # the kernel did not come up
        return {"error": {"dead": True, "message": str(error) or "no answer", **_where(shown)}}
    _clean(notebook, job)
    _write(notebook, job)
    return {"versions": _versions(), "kernel": _kernel(notebook)}


# ---- failures ------------------------------------------------------------------------------------


def _cell_error(error: Any, shown: Path) -> dict[str, Any]:
    lines = error.source.strip("\n").splitlines()
    content = _read(shown)
    return {
        "number": _number(content, _failed(content)),
        "count": error.exec_count,
        "source": lines[:_SOURCE_LINES] + (["…"] if len(lines) > _SOURCE_LINES else []),
        "name": error.ename,
        "value": error.evalue,
    }


def _where(shown: Path) -> dict[str, Any]:
    """Return which cell ran last, as far as the notebook on disk tells."""
    if not shown.is_file():
        return {}
    content = _read(shown)
    begun = [
        cell
        for cell in content["cells"]
        if cell.get("metadata", {}).get("papermill", {}).get("start_time")
    ]
    return {"number": _number(content, begun[-1])} if begun else {}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        source = cell.get("source", "")
        cell["source"] = source if isinstance(source, str) else "".join(source)
    return content


def _number(content: dict[str, Any], wanted: dict[str, Any]) -> int | None:
    """Return the position of a cell among those of the notebook as it was given, from 1.

    The parameters and the remarks on the error are cells that papermill has put in.
    """
    added = {"injected-parameters", "papermill-error-cell-tag"}
    number = 0
    for cell in content["cells"]:
        if not added & set(cell.get("metadata", {}).get("tags", ())):
            number += 1
            if cell is wanted:
                return number
    return None


def _failed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the cell that failed: it was the last one to run."""
    failed = [
        cell
        for cell in content["cells"]
        if any(item.get("output_type") == "error" for item in cell.get("outputs", ()))
    ]
    return failed[-1] if failed else {}


# ---- products ------------------------------------------------------------------------------------


def _clean(notebook: Any, job: dict[str, Any]) -> None:
    """Remove what differs from one execution to the next, and secrets."""
    # gpwf itself may not be on the path of this process
    spec = importlib.util.spec_from_file_location(
        "_cleaning", Path(__file__).with_name("cleaning.py")
    )
    assert spec is not None
    assert spec.loader is not None
    cleaning = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cleaning)
    cleaning.clean(notebook, scratch=str(Path(job["folder"]).parent), original=job["notebook"])
    cleaning.hide(notebook, job["hidden"])


def _write(notebook: Any, job: dict[str, Any]) -> None:
    """Write the notebook and the page."""
    import nbformat

    target = Path(job["products"])
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT)
    (target / job["name"]).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    page = (target / job["name"]).with_suffix(".html")
    page.write_text(_page(notebook, page.stem), encoding="utf-8")


def _page(notebook: Any, title: str) -> str:
    """Return the notebook as one page that opens without a network.

    What nbconvert's page would fetch from elsewhere is left out; MathJax alone stays, where there
    are formulas.
    """
    from nbconvert import HTMLExporter

    empty = ["html_head_js_requirejs", "jupyter_widgets", "html_head_js_mermaidjs"]
    texts = [str(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    if not any("$" in text or "\\(" in text or "\\begin{" in text for text in texts):
        empty.append("html_head_js_mathjax")
    blocks = "".join(f"{{% block {name} %}}{{% endblock {name} %}}" for name in empty)
    exporter = HTMLExporter(
        raw_template=f"{{%- extends 'lab/index.html.j2' -%}}{blocks}",
        embed_images=True,
    )
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    lines = (line.rstrip() for line in str(body).splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("papermill", "nbconvert")}


def _kernel(notebook: Any) -> str:
    told = notebook.metadata.get("language_info", {})
    return f"{told.get('name', '')} {told.get('version', '')}".strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
