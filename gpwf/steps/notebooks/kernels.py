"""Where the kernels of Jupyter are, found without Jupyter.

References
----------
https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs,
https://docs.jupyter.org/en/latest/use/jupyter-directories.html
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["data_folders", "find_kernel", "kernel_language", "kernel_names"]


def data_folders() -> tuple[Path, ...]:
    """Return the folders of Jupyter's data that a user may have kernels in, the first one first.

    Those of the installation of Python and of the system come last, as Jupyter has it.
    """
    return tuple(dict.fromkeys([*_own_folders(), *_common_folders()]))


def _own_folders() -> Iterator[Path]:
    for text in os.environ.get("JUPYTER_PATH", "").split(os.pathsep):
        if text:
            yield Path(text)
    told = os.environ.get("JUPYTER_DATA_DIR")
    home = os.environ.get("HOME")
    if told:
        yield Path(told)
    elif home and sys.platform == "darwin":
        yield Path(home) / "Library" / "Jupyter"
    elif home:
        share = os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
        yield Path(share) / "jupyter"


def _common_folders() -> Iterator[Path]:
    yield Path(sys.prefix) / "share" / "jupyter"
    for text in ("/usr/local/share/jupyter", "/usr/share/jupyter"):
        yield Path(text)


def find_kernel(name: str) -> Path | None:
    """Return the file that describes a kernel; None where there is no kernel of this name."""
    for folder in data_folders():
        path = folder / "kernels" / name / "kernel.json"
        if path.is_file():
            return path
    return None


def kernel_names() -> list[str]:
    """Return the names of all kernels, sorted."""
    found = {path.parent.name for folder in data_folders() for path in folder.glob(_KERNELS)}
    return sorted(found)


_KERNELS = "kernels/*/kernel.json"


def kernel_language(path: Path) -> str:
    """Return the language of a kernel in lower case; ``python`` where its file does not say."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return "python"
    return str(told.get("language") or "python").lower() if isinstance(told, dict) else "python"
