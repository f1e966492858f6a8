"""People, licence, software and machine in a crate."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gpwf.core.digests import digest_bytes
from gpwf.core.redact import redact_text
from gpwf.prov.crate_data import ROOT
from gpwf.prov.crate_files import CrateSink, media_type
from gpwf.prov.crate_graph import CrateGraph, file_id, fragment, ref
from gpwf.prov.crate_record import ArchivedRecord, Item

__all__ = [
    "add_authors",
    "add_distribution",
    "add_engine",
    "add_environment",
    "add_file",
    "add_licence",
    "add_person",
    "add_publisher",
    "distribution_id",
]

#: There is somebody and something that the record does not name; the profile asks for both.
_UNKNOWN = "not recorded"
_PIP = "https://pip.pypa.io/en/stable/reference/requirements-file-format/"
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*\Z")
_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])\Z")


def distribution_id(name: str, version: str) -> str:
    """Return the address of a Python distribution, a package URL.

    References
    ----------
    https://github.com/package-url/purl-spec
    """
    return f"pkg:pypi/{file_id(name.lower().replace('_', '-'))}@{file_id(version)}"


# ---- people -------------------------------------------------------------------------------------


def add_person(graph: CrateGraph, record: ArchivedRecord) -> str:
    """Add who started the run; return the name, also where the record names nobody."""
    person = record.person
    if person is None:
        return graph.add(fragment("person", "unknown"), "Person", name=_UNKNOWN)
    return graph.add(
        fragment("person", person.id),
        "Person",
        name=person.label,
        identifier=f"urn:gpwf:{person.id}",
    )


def add_authors(graph: CrateGraph, metadata: Mapping[str, Any], person: str) -> list[str]:
    """Add the authors that the workflow names, who started the run otherwise."""
    given = metadata.get("authors", metadata.get("author"))
    entries = given if isinstance(given, list) else [given] if given else []
    organization = _organization(graph, metadata.get("affiliation"))
    authors = [_author(graph, entry, organization) for entry in entries]
    if not authors:
        graph.add(person, "Person", affiliation=ref(organization))
    return authors or [person]


def add_publisher(graph: CrateGraph, metadata: Mapping[str, Any]) -> str:
    """Add who publishes the crate: as the workflow names it, the authors' organisation else."""
    return _organization(graph, metadata.get("publisher") or metadata.get("affiliation"))


def _author(graph: CrateGraph, entry: Any, organization: str) -> str:
    about = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
    text = redact_text(str(about.get("name", _UNKNOWN)))
    orcid = _ORCID.match(str(about.get("orcid", "")))
    name = f"https://orcid.org/{orcid[1]}" if orcid else fragment("author", text)
    if about.get("affiliation"):
        organization = _organization(graph, about["affiliation"])
    return graph.add(name, "Person", name=text, affiliation=ref(organization))


def _organization(graph: CrateGraph, given: Any) -> str:
    about = dict(given) if isinstance(given, Mapping) else {"name": given or _UNKNOWN}
    text = redact_text(str(about.get("name", _UNKNOWN)))
    url = redact_text(str(about.get("url", "")))
    # an organisation should have an address; a name of our own says that we know none
    return graph.add(
        url or fragment("organization", text),
        "Organization",
        name=text,
        url=url or "urn:gpwf:not-recorded",
    )


def add_licence(graph: CrateGraph, metadata: Mapping[str, Any]) -> str:
    """Add the licence that the workflow states under ``metadata: {license: …}``.

    An SPDX identifier or an address names a licence; anything else is its text.
    """
    given = redact_text(str(metadata.get("license") or metadata.get("licence") or ""))
    if not given:
        return graph.add(
            fragment("license", "not-stated"),
            "CreativeWork",
            name="No licence stated",
            description="The workflow states none; ask the authors before you use this.",
        )
    if "://" in given:
        return graph.add(given, "CreativeWork", name=given)
    if _SPDX.match(given):
        return graph.add(
            f"https://spdx.org/licenses/{given}", "CreativeWork", name=given, identifier=given
        )
    return graph.add(
        fragment("license", "stated"), "CreativeWork", name="Licence", description=given
    )


# ---- software -----------------------------------------------------------------------------------


def add_engine(graph: CrateGraph, record: ArchivedRecord) -> str:
    """Add the engine with everything that was installed beside it; return its name."""
    engine, environment = record.engine, record.environment
    name = str(engine.get("name", "gpwf")) if engine else "gpwf"
    version = str(engine.get("version") or _UNKNOWN) if engine else _UNKNOWN
    facts = _facts(environment)
    machine = [facts.get(f"platform.{key}", "") for key in ("system", "release", "machine")]
    engine_id = graph.add(
        distribution_id(name, version),
        "SoftwareApplication",
        name=name,
        softwareVersion=version,
        url=distribution_id(name, version),
        operatingSystem=" ".join(filter(None, machine)),
        processorRequirements=", ".join(
            filter(None, [facts.get("cpu"), f"{facts['cpus']} CPUs" if "cpus" in facts else ""])
        ),
    )
    python = facts.get("python.version")
    if python:
        kind = facts.get("python.implementation", "CPython")
        address = f"pkg:generic/{file_id(kind.lower())}@{file_id(python)}"
        graph.add(address, "SoftwareApplication", name=kind, softwareVersion=python, url=address)
        graph.link(engine_id, "softwareRequirements", address)
    for text in environment.all("distribution") if environment else ():
        requirement = add_distribution(graph, str(text))
        if requirement != engine_id:
            graph.link(engine_id, "softwareRequirements", requirement)
    return engine_id


def add_distribution(graph: CrateGraph, text: str, *, python: bool = True) -> str:
    """Add a distribution, ``name==version``, of Python or of something else; return its name."""
    name, _, version = text.partition("==")
    generic = f"pkg:generic/{file_id(name)}@{file_id(version)}"
    address = distribution_id(name, version) if python else generic
    if address in graph:
        return address
    return graph.add(
        address,
        "SoftwareApplication",
        name=name,
        softwareVersion=version or _UNKNOWN,
        url=address,
    )


def add_environment(
    graph: CrateGraph, record: ArchivedRecord, sink: CrateSink, workflow: str, run: str
) -> None:
    """Add what the record says of the environment: files, and variables of the run.

    Parameters
    ----------
    graph, record, sink
        The crate, the record, where files go.
    workflow, run : str
        Names of the workflow and of its execution.
    """
    environment = record.environment
    if environment is None:
        return
    distributions = [str(text) for text in environment.all("distribution")]
    facts = _facts(environment)
    add_file(
        graph,
        sink,
        "environment/environment.json",
        (json.dumps({"facts": facts, "distributions": distributions}, indent=1) + "\n").encode(),
        name="Software and machine of the run",
        about=ref(run),
    )
    if distributions:
        graph.add(_PIP, "WebPageElement", name="Requirements file of pip")
        add_file(
            graph,
            sink,
            "environment/requirements.txt",
            ("\n".join(distributions) + "\n").encode(),
            name="Installed distributions",
            conformsTo=ref(_PIP),
        )
        graph.link(workflow, "buildInstructions", "environment/requirements.txt")
    for fact, value in facts.items():
        group, _, variable = fact.partition(".")
        if group in ("variables", "threads"):
            _add_variable(graph, workflow, run, variable, value)


def _add_variable(graph: CrateGraph, workflow: str, run: str, variable: str, value: str) -> None:
    formal = graph.add(
        fragment("variable", variable), "FormalParameter", name=variable, additionalType="Text"
    )
    graph.link(workflow, "environment", formal)
    actual = graph.add(
        fragment("environment", variable),
        "PropertyValue",
        name=variable,
        value=value,
        exampleOfWork=ref(formal),
    )
    graph.link(run, "environment", actual)


def add_file(graph: CrateGraph, sink: CrateSink, path: str, data: bytes, **about: Any) -> None:
    """Write a file and add it to the graph as a part of the crate."""
    sink.add_bytes(path, data)
    graph.add(
        file_id(path),
        "File",
        contentSize=str(len(data)),
        sha256=digest_bytes(data),
        encodingFormat=media_type(path),
        **about,
    )
    graph.link(ROOT, "hasPart", file_id(path))


def _facts(environment: Item | None) -> dict[str, str]:
    if environment is None:
        return {}
    pairs = (str(text).partition("=") for text in environment.all("environment"))
    return {name: value for name, _, value in pairs}
