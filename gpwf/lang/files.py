"""Read the files that a workflow names: itself, params files, tables, other workflows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.lang.builder import Limits
from gpwf.lang.codes import Code
from gpwf.lang.document import Document, read_document, read_text
from gpwf.lang.opening import read_bytes
from gpwf.lang.paramtypes import infer_type
from gpwf.lang.tree import Node

__all__ = ["absolute", "read_file", "shown_path"]


def shown_path(path: FilePath) -> str:
    """Return a path for messages: relative where it lies below the current folder."""
    try:
        return str(path.relative_to(FilePath.cwd())) if path.is_absolute() else str(path)
    except (ValueError, OSError):
        return str(path)


def read_file(
    path: FilePath,
    *,
    source: str,
    shown: str | None = None,
    text_only: bool = False,
    limits: Limits | None = None,
) -> Document:
    """Read a file; where that is not possible, return a document that says why.

    Parameters
    ----------
    path : Path
        The file.
    source : str
        Source that every value gets.
    shown : str, optional
        Name for messages.
    text_only : bool
        The text is not YAML: it is only decoded.
    limits : Limits, optional
        Bounds on its size.
    """
    limits = limits or Limits()
    name = shown or shown_path(path)
    span = Span(file=name, line=1, column=1, end_line=1, end_column=1)  # machines want a file
    try:
        data = read_bytes(path, limits.max_bytes)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"{name} cannot be read: {reason}"
        hint = "check the name and the folder" if isinstance(error, FileNotFoundError) else None
        problem = Diagnostic(code=Code.UNREADABLE, message=message, span=span, hint=hint)
        return Document(file=name, text="", digest="", diagnostics=(problem,), source=source)
    except ValueError:  # a NUL in the name
        message = f"{name!r} is not the name of a file"
        problem = Diagnostic(code=Code.UNREADABLE, message=message, span=span)
        return Document(file=name, text="", digest="", diagnostics=(problem,), source=source)
    read = read_text if text_only else read_document
    return read(data, file=name, source=source, limits=limits)


def absolute(node: Node, folder: FilePath, base: FilePath) -> Node:
    """Make the relative paths of a tree absolute: they count from the file that contains them.

    Parameters
    ----------
    node : Node
        Values of a file.
    folder : Path
        Folder of the file, absolute.
    base : Path
        Folder that relative paths count from where the values are used. Nothing is changed where
        the two are one.
    """
    if folder == base:
        return node
    if isinstance(node.value, dict):
        return replace(
            node, value={key: absolute(item, folder, base) for key, item in node.value.items()}
        )
    if isinstance(node.value, list):
        return replace(node, value=[absolute(item, folder, base) for item in node.value])
    if not isinstance(node.value, str) or infer_type(node.value) != "path":
        return node
    kept = node.value[:1] in ("$", "~", "/")
    return node if kept else replace(node, value=str(folder / node.value))
