"""Names of the provenance record: namespaces, types, attributes, identifiers.

Everything here is plain text, so that a reader of records needs no provenance library. The terms
of the ``gpwf:`` vocabulary are explained one by one in ``docs/reference/provenance.md``; `TERMS`
is the list that this page is tested against.

References
----------
PROV-DM, https://www.w3.org/TR/prov-dm/; wfprov and wfdesc, https://w3id.org/ro/2016-01-28/;
IVOA Provenance Data Model 1.0, https://www.ivoa.net/documents/ProvenanceDM/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from json.encoder import encode_basestring_ascii

__all__ = [
    "GPWF",
    "NAMESPACES",
    "RECORD_FORMAT",
    "TERMS",
    "VOPROV",
    "WFDESC",
    "WFPROV",
    "hashed_id",
    "local_id",
    "named_id",
]

GPWF = "urn:gpwf:"
WFPROV = "http://purl.org/wf4ever/wfprov#"
WFDESC = "http://purl.org/wf4ever/wfdesc#"
VOPROV = "http://www.ivoa.net/documents/ProvenanceDM/voprov/"

#: Version of what a record says and how; it rises where an older gpwf would misread a record.
RECORD_FORMAT = 1

#: Prefix → namespace, as declared in every record; ``prov`` and ``xsd`` come with PROV itself.
NAMESPACES: Mapping[str, str] = {
    "gpwf": GPWF,
    "wfprov": WFPROV,
    "wfdesc": WFDESC,
    "voprov": VOPROV,
}

#: Every ``gpwf:`` term that a record may use, with its meaning in one line.
TERMS: Mapping[str, str] = {
    # types
    "ResolvedPlan": "type: the plan after defaults, parameters and wiring, as plan.json holds it",
    "Environment": "type: software and machine that a run used",
    "Product": "type: what one attempt gave at one output port; a collection of its files",
    "Value": "type: content of a product, whoever made it",
    "File": "type: one file at one place",
    "Content": "type: bytes, wherever they lie",
    "Log": "type: a log or the journal of a run",
    "CacheHit": "type: a task was not run because the store held its result",
    "Reproduction": "type: a recorded run was made again and the products were compared",
    "Verdict": "type: how a product that was made again compares, or all of them",
    "ForeignRecord": "type: a file with provenance that another tool wrote, taken in",
    # identity and description
    "name": "name of a step, file or workflow",
    "task": "id of the task, with coordinates in brackets",
    "step": "name of the declared step",
    "tag": "type of the step",
    "version": "version of the step type or of the engine",
    "place": "file:line:column of the step in the workflow",
    "language": "version of the workflow language",
    "title": "title of a step type",
    "description": "free text of the author",
    "coordinate": "value of one axis, axis=value; of a usage, where a gathered input comes from",
    "otherName": "a further name of the task: another step or place computes the same",
    "stream": "words that tell the random numbers of a scattered task, canonical JSON list",
    "seed": "setting `seed` of the task",
    "axis": "axis of a declared step with its length, axis=n",
    "gather": "axis that ends at a declared step",
    "places": "number of places of its scatter at which a declared step runs",
    "when": "condition of a step, as written",
    "decision": "what a condition looked up, and what came out, canonical JSON",
    "placesLeftOut": "number of places of its scatter that the condition of a step leaves out",
    "metadata": "free metadata of the workflow, canonical JSON",
    "overrides": "what the command line changed, canonical JSON",
    # run and attempt
    "format": "version of this vocabulary and of how a record uses it",
    "runId": "UUID of the run",
    "state": "how the run or the attempt ended",
    "reason": "why it ended so",
    "attempt": "number of the attempt, from 1",
    "retryOf": "the earlier attempt of the same task",
    "willRetry": "true where another attempt follows",
    "taskKey": "SHA-256 of everything that decides the result",
    "worker": "worker that ran the attempt",
    "jobs": "tasks that could run at once",
    "store": "path of the store",
    "command": "command line, canonical JSON list, redacted",
    "count": "number of tasks per state, state=n",
    "notRun": "a task without an attempt, or a step that runs nowhere, with the reason; JSON",
    "clockStep": "seconds by which the wall clock went back, or clocks differ",
    "wallTime_s": "wall time in seconds",
    "cpuTime_s": "CPU time in seconds",
    "peakMemory_B": "largest resident set in bytes",
    "host": "name of the machine",
    "pid": "process id of the worker",
    "errorKind": "class of the error, or killed, timeout, oom",
    "errorMessage": "message of the error",
    "errorHint": "what to do about the error",
    "exitCode": "exit code of the process that died",
    "signal": "signal that killed the process",
    # data
    "kind": "product kind",
    "port": "output port",
    "sha256": "SHA-256 of the bytes of a file",
    "dataDigest": "SHA-256 of the bytes of a file with the task key in them blanked",
    "fitsDigest": "SHA-256 of what a FITS file holds without compression and volatile cards",
    "header": "a card that tells what a FITS file is, KEYWORD=value",
    "producerId": "identifier that the producer of a FITS file gave, KEYWORD=value",
    "lines": "number of lines of a log",
    "journalSum": "last sum of the chain of the journal",
    "digest": "SHA-256 of kind, file names and file contents of a product",
    "size_B": "size in bytes",
    "summary": "a few values of a product for people, canonical JSON",
    "output": "name of the workflow result that the product is",
    "order": "identifiers of the members of a collection in order, canonical JSON",
    "position": "place of an input in its port, from 0",
    "origin": "where a setting came from: step default, defaults, workflow, profile, …",
    "originPlace": "file:line:column of the setting",
    # reproduction
    "reproduces": "the run that was made again",
    "reproducedBy": "the run that made it again",
    "softwareDifference": "software that is not the recorded one, name: then -> now",
    "verdict": "identical, same data, within tolerance, differs or not made",
    "deviation": "largest relative deviation of a number",
    "deviationPlace": "where the largest deviation is, with both values",
    "tolerance": "relative deviation that was allowed",
    # provenance of other tools
    "foreignFormat": "format of a foreign record: ctapipe, fits, prov-json or prov-n",
    "foreignConfig": "configuration that a foreign record holds, canonical JSON",
    "matchedBy": "what links a foreign file with ours: sha256, path or name",
    "ambiguous": "true where several of our inputs would match, so that none is linked",
    "assumedZone": "zone that was assumed for a time that a foreign record gives without one",
    "card": "a card of a FITS header, KEYWORD=value",
    "history": "HISTORY cards of a FITS header",
    # implementation and environment
    "module": "module that implements the step type",
    "package": "distribution that implements the step type",
    "packageVersion": "version of that distribution",
    "sourceDigest": "SHA-256 of the source of the step type",
    "callable": "function that the step calls, package.module:function",
    "callableSource": "SHA-256 of the file of the module that the function is in",
    "callablePackage": "distribution that the function comes from",
    "software": "a distribution that can change the result of a task, name==version",
    "distribution": "an installed distribution, name==version",
    "user": "account that started the run",
    "environment": "one fact on the environment, name=value",
}

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?<!\.)\Z")
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def local_id(kind: str, *parts: str) -> str:
    """Return a local name ``kind-part-part``.

    Slashes, colons and leading digits break qualified names in PROV-XML and PROV-N, so a part
    with anything but letters, digits, ``_``, ``.`` and ``-`` is replaced by its digest.

    Parameters
    ----------
    kind : str
        ``run``, ``act``, ``product`` …
    *parts : str
        What identifies the thing, a UUID or a digest as a rule.
    """
    name = kind
    for part in parts:
        # Most parts are digests, which the first check tells at a fifth of the cost.
        safe = (part.isalnum() and part.isascii()) or _SAFE.match(part)
        name += f"-{part}" if safe else f"-{_short(part)}"
    return name


def hashed_id(kind: str, *parts: object) -> str:
    """Return a local name ``kind-<SHA-256>`` of plain parts.

    Not `tagged_digest`: a file name may hold bytes that are no UTF-8, and they must have a name
    here.
    """
    return named_id(kind, ",".join([_json(part) for part in parts]))


def named_id(kind: str, text: str) -> str:
    """Return what `hashed_id` returns, from the parts as JSON texts with commas between them.

    Parameters
    ----------
    kind : str
        As in `hashed_id`.
    text : str
        ASCII. A local name needs nothing but quotes, so that a writer of many records has it at
        hand.
    """
    content = f'["gpwf-prov-{kind}/1",{text}]'
    return f"{kind}-{sha256(content.encode()).hexdigest()}"


def _json(part: object) -> str:
    """Return canonical JSON; what names are made of as a rule needs no encoder."""
    if type(part) is str:
        return encode_basestring_ascii(part)
    if type(part) is int:
        return str(part)
    return _encode(part)


def _short(text: str) -> str:
    return hashed_id("x", text)[:34]
