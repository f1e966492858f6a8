"""The validator of research object crates, cut off from the network.

It reads JSON-LD contexts through a cache of HTTP responses, which is filled here with the context
of RO-Crate 1.1 (``contexts/ro-crate-1.1.jsonld``, in the public domain, CC0) and the terms of
Workflow Run RO-Crate.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["CRATE_CONTEXT", "RUN_CONTEXT", "Validator"]

_CONTEXTS = Path(__file__).with_name("contexts")
_RUN_TERMS = "https://w3id.org/ro/terms/workflow-run#"

CRATE_CONTEXT = json.loads((_CONTEXTS / "ro-crate-1.1.jsonld").read_text(encoding="utf-8"))
#: https://w3id.org/ro/terms/workflow-run/context
RUN_CONTEXT = {
    "@context": {
        name: _RUN_TERMS + name
        for name in (
            *("ParameterConnection", "ContainerImage", "DockerImage", "SIFImage", "connection"),
            *("sourceParameter", "targetParameter", "md5", "sha1", "sha256", "sha512"),
            *("environment", "registry", "tag", "containerImage", "resourceUsage"),
        )
    }
}

#: Runs in the validator's own Python, which has the library that reads the cache.
_FILL = """
import io, json, sys
from requests import PreparedRequest, Response
from requests_cache import CachedSession
from urllib3 import HTTPResponse

session = CachedSession(cache_name=sys.argv[1], backend="sqlite", expire_after=-1)
for address, document in json.load(sys.stdin).items():
    request = PreparedRequest()
    request.prepare(method="GET", url=address, headers={})
    body = json.dumps(document).encode()
    headers = {"Content-Type": "application/ld+json"}
    response = Response()
    response.status_code, response.url, response.request = 200, address, request
    response.headers.update(headers)
    response.raw = HTTPResponse(
        body=io.BytesIO(body), headers=headers, status=200, preload_content=False,
        request_method="GET", request_url=address,
    )
    response._content = body
    session.cache.save_response(response)
"""


class Validator:
    """Checks crates with ``rocrate-validator``.

    Parameters
    ----------
    program : Path
        The command, in an environment of its own.
    folder : Path
        For the cache.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._cache = folder / "cache"
        # nothing gets out: whoever forgets the cache fails
        nowhere = "http://127.0.0.1:9"
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "http_proxy": nowhere,
            "https_proxy": nowhere,
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
        }
        documents = {
            "https://w3id.org/ro/crate/1.1/context": CRATE_CONTEXT,
            "https://w3id.org/ro/terms/workflow-run/context": RUN_CONTEXT,
        }
        python = program.parent / "python"
        subprocess.run(
            [python, "-c", _FILL, str(self._cache)],
            input=json.dumps(documents),
            text=True,
            check=True,
            env=self._environment,
        )

    def issues(self, crate: Path, *, level: str = "RECOMMENDED") -> dict[str, list[str]]:
        """Return what is wrong with a crate, by the name of the check.

        The profiles are Provenance Run Crate and its parents.

        Parameters
        ----------
        crate : Path
            Folder or archive.
        level : str
            ``REQUIRED`` or ``RECOMMENDED``: checks of this level and above.
        """
        report = self._cache.with_name("report.json")
        report.unlink(missing_ok=True)
        ended = subprocess.run(
            [
                self._program, "validate", "--offline", "--cache-path", str(self._cache),
                "--profile-identifier", "provenance-run-crate", "--requirement-severity", level,
                "--output-format", "json", "--output-file", str(report), "--no-paging", str(crate),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert report.is_file(), ended.stdout + ended.stderr
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        assert found["passed"] == (not found["issues"])
        wrong: dict[str, list[str]] = {}
        for item in found["issues"]:
            value = item.get("violatingPropertyValue") or item["violatingEntity"]
            wrong.setdefault(item["message"], []).append(str(value))
        return wrong
