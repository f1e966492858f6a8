"""What the header of a FITS file says of its making, as PROV.

Times in a header are those of the moment when it was written, before the end of the activity, and
have no zone; they are kept as cards and are no start and end.

References
----------
The reference metadata of ctapipe and CTAO (``CTA ACTIVITY ID`` and others),
https://ctapipe.readthedocs.io (``ctapipe.io.metadata``); FITS Standard 4.0, section 4.4.2.4
(ORIGIN, HISTORY); the convention HIERARCH.
"""

from __future__ import annotations

import re
from pathlib import Path

from gpwf.errors import ProvenanceError
from gpwf.prov.ingest_links import ForeignDocument, foreign_name
from gpwf.prov.vocabulary import local_id

__all__ = ["read_fits"]

_CTA = re.compile(r"CTAO?[ _](?:PROV|ACTIVITY|PROCESS|PRODUCT|INSTRUMENT)[ _].+")
_CARDS = frozenset(("CREATOR", "ORIGIN", "TELESCOP", "INSTRUME", "OBS_ID", "HISTORY"))


def _is_wanted(key: str) -> bool:
    return key in _CARDS or bool(_CTA.match(key))


def read_fits(path: Path, into: ForeignDocument) -> None:
    """Take the header of a FITS file in.

    An activity is recorded where the header names one; `CREATOR` alone is a program that the file
    is attributed to, `ORIGIN` an organisation.

    Raises
    ------
    ProvenanceError
        Where the file cannot be read, or its header says nothing of its making.
    """
    from gpwf.store.formats.headers import header_cards

    try:
        cards = header_cards(path, _is_wanted)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise ProvenanceError(
            f"cannot read the FITS file {path}: {error}", hint="it is damaged; nothing was taken in"
        ) from None
    if not cards:
        raise ProvenanceError(
            f"{path}: its header says nothing of how it was made",
            hint="looked for CTA ACTIVITY …, CREATOR, ORIGIN, TELESCOP, OBS_ID, HISTORY",
        )
    values: dict[str, str] = {}
    for key, value in cards:
        values.setdefault(re.sub(r"^CTAO?[ _]", "CTA ", key).replace("_", " "), value)
    product = values.get("CTA PRODUCT ID", "")
    entity = into.element(
        "entity",
        foreign_name("product", product) if product else foreign_name("file", into.digest),
        [
            ("prov:label", path.name),
            ("producerId", f"CTA PRODUCT ID={product}" if product else None),
            *(("card", f"{key}={value}") for key, value in cards if key != "HISTORY"),
            ("history", "\n".join(value for key, value in cards if key == "HISTORY")),
        ],
    )
    _activity(values, entity, into)
    creator = values.get("CREATOR", "")
    if creator:
        into.relation("wasAttributedTo", "att", entity=entity, agent=_software(creator, "", into))
    origin = values.get("ORIGIN", "")
    if origin:
        agent = into.element(
            "agent",
            foreign_name("organisation", origin),
            [("prov:label", origin), ("name", origin)],
        )
        into.typed("agent", agent, "prov:Organization")
        into.relation("wasAttributedTo", "att", entity=entity, agent=agent)
    same = [item for item in into.ours if item.digest == into.digest]
    if into.only is not None and into.only not in same:
        raise ProvenanceError(
            f"{path} is not {into.only.path}: it has another SHA-256",
            hint="a header tells of the file that it is in",
        )
    for ours in [into.only] if into.only is not None else same[:1]:
        into.link(entity, ours, "sha256")
    if not same:
        content = into.element(
            "entity", f"gpwf:{local_id('sha256', into.digest)}", [("sha256", into.digest)]
        )
        into.typed("entity", content, "gpwf:Content")
        into.warnings.append(f"{path} is no input of the run")


def _activity(values: dict[str, str], entity: str, into: ForeignDocument) -> None:
    """Record the activity that the header names; nothing where it names none."""
    uuid, name = values.get("CTA ACTIVITY ID", ""), values.get("CTA ACTIVITY NAME", "")
    if not uuid and not name:
        return
    local = foreign_name("act", uuid) if uuid else foreign_name("act", into.digest, name)
    activity = into.element("activity", local, [("prov:label", name or uuid), ("name", name)])
    into.relation("wasGeneratedBy", "gen", entity=entity, activity=activity, role="output")
    software = values.get("CTA ACTIVITY SOFTWARE NAME", "")
    if software:
        agent = _software(software, values.get("CTA ACTIVITY SOFTWARE VERSION", ""), into)
        into.relation("wasAssociatedWith", "ass", activity=activity, agent=agent)


def _software(name: str, version: str, into: ForeignDocument) -> str:
    agent = into.element(
        "agent",
        foreign_name("software", name, *([version] if version else [])),
        [("prov:label", f"{name} {version}".strip()), ("name", name), ("version", version)],
    )
    if "prov:type" not in into.data["agent"][agent]:
        into.typed("agent", agent, "prov:SoftwareAgent")
    return agent
