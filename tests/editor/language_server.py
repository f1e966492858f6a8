"""A client of yaml-language-server that asks what an editor asks.

It speaks the Language Server Protocol 3.17 over the standard streams of the server. Everything that
is waited for has an end: a server that says nothing more is a failure, not a test that hangs.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Complaint", "LanguageServer", "ServerError", "yaml_settings"]

_PATIENCE_S = 120.0  # for one answer; a loaded machine takes seconds
_COMPLETION = {"documentationFormat": ["markdown"], "snippetSupport": True}


class ServerError(Exception):
    """The server died, fell silent, or answered with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What the server marks in a text; `line` and `column` count from 1, as gpwf's own do."""

    line: int
    column: int
    message: str


class LanguageServer:
    """A running server.

    Parameters
    ----------
    command : Path
        The program ``yaml-language-server``.
    folder : Path
        The folder that the editor has open.
    settings : mapping
        The editor's settings under ``yaml``, as in ``.vscode/settings.json`` without the prefix.
    """

    def __init__(self, command: Path, folder: Path, settings: Mapping[str, Any]) -> None:
        offline = {"schemaStore": {"enable": False}, "kubernetesCRDStore": {"enable": False}}
        self._settings = {
            "validate": True,
            "hover": True,
            "completion": True,
            **offline,
            **settings,
        }
        self._process = subprocess.Popen(
            [command, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._incoming: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._complaints: dict[str, list[Complaint]] = {}
        self._last_id = 0
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self._greet(folder)
        except ServerError:
            self.close()
            raise

    def close(self) -> None:
        """End the server."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(_PATIENCE_S)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    # ---- what a person does ----------------------------------------------------------------------

    def open(self, path: Path, text: str | None = None) -> str:
        """Open a document, with a text that need not be in the file yet; return its URI."""
        uri = path.absolute().as_uri()
        content = path.read_text(encoding="utf-8") if text is None else text
        self._complaints.pop(uri, None)
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": content}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def complaints(self, uri: str) -> list[Complaint]:
        """Return what is marked in a document, once the server has looked at it."""
        while uri not in self._complaints:
            self._handle(self._next())
        return self._complaints[uri]

    def complete(self, uri: str, line: int, column: int) -> list[str]:
        """Return what is offered at a place; `line` and `column` count from 1."""
        found = self._ask("textDocument/completion", _place(uri, line, column))
        items: Iterable[dict[str, Any]] = found["items"] if isinstance(found, dict) else found
        return [item["label"] for item in items]

    def hover(self, uri: str, line: int, column: int) -> str:
        """Return the help shown at a place, as Markdown; empty where there is none."""
        found = self._ask("textDocument/hover", _place(uri, line, column))
        return str(found["contents"]["value"]) if found else ""

    # ---- the protocol ----------------------------------------------------------------------------

    def _greet(self, folder: Path) -> None:
        """Tell what the editor can, and wait until the server has asked for its settings."""
        uri = folder.resolve().as_uri()
        document = {
            "completion": {"completionItem": _COMPLETION},
            "hover": {"contentFormat": ["markdown"]},
        }
        workspace = {"configuration": True, "workspaceFolders": True}
        self._ask(
            "initialize",
            {
                "processId": None,
                "rootUri": uri,
                "workspaceFolders": [{"uri": uri, "name": folder.name}],
                "capabilities": {"textDocument": document, "workspace": workspace},
            },
        )
        self._tell("initialized", {})
        # the server now asks for its settings; this question it answers when it has them
        self._ask("textDocument/codeLens", {"textDocument": {"uri": uri}})

    def _tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _ask(self, method: str, params: Any) -> Any:
        self._last_id += 1
        wanted = self._last_id
        self._send({"id": wanted, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == wanted and "method" not in message:
                if "error" in message:
                    raise ServerError(f"{method}: {message['error']}")
                return message["result"]
            self._handle(message)

    def _handle(self, message: Mapping[str, Any]) -> None:
        """Note the complaints of a document; answer what the server asks the editor."""
        method, params = message.get("method"), message.get("params")
        if method == "textDocument/publishDiagnostics":
            assert params is not None
            self._complaints[params["uri"]] = [
                Complaint(
                    line=item["range"]["start"]["line"] + 1,
                    column=item["range"]["start"]["character"] + 1,
                    message=item["message"],
                )
                for item in params["diagnostics"]
            ]
        elif "id" in message and method is not None:
            result = None
            if method == "workspace/configuration":
                assert params is not None
                result = [
                    self._settings if item["section"] == "yaml" else None
                    for item in params["items"]
                ]
            self._send({"id": message["id"], "result": result})

    def _send(self, message: Mapping[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._process.stdin.flush()
        except OSError as error:
            raise ServerError(f"the language server is gone: {error}") from error

    def _next(self) -> dict[str, Any]:
        try:
            message = self._incoming.get(timeout=_PATIENCE_S)
        except queue.Empty:
            raise ServerError(f"the language server said nothing for {_PATIENCE_S} s") from None
        if message is None:
            raise ServerError(f"the language server ended with {self._process.wait()}")
        return message

    def _listen(self) -> None:
        """Read messages until the server closes its output; runs in a thread of its own."""
        stream = self._process.stdout
        assert stream is not None
        size = 0
        while line := stream.readline():
            if line.strip():
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
            else:
                self._incoming.put(json.loads(stream.read(size)))
        self._incoming.put(None)


def _place(uri: str, line: int, column: int) -> dict[str, Any]:
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line - 1, "character": column - 1},
    }


def yaml_settings(folder: Path) -> dict[str, Any]:
    """Return what the editor settings of a folder say about YAML."""
    text = (folder / ".vscode" / "settings.json").read_text(encoding="utf-8")
    mark = "yaml."
    return {
        name.removeprefix(mark): value
        for name, value in json.loads(text).items()
        if name.startswith(mark)
    }
