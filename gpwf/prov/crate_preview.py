"""The page for people in a crate: what was run, how it ended, where the files are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import unquote

__all__ = ["PREVIEW", "preview_page"]

PREVIEW = "ro-crate-preview.html"

_MOST = 500  # rows of a table; the rest is in ro-crate-metadata.json
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1c2733}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
table{border-collapse:collapse;width:100%;font-size:.93em}
th,td{text-align:left;padding:.3em .7em;border-bottom:1px solid #d8dee5;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bad{color:#b3261e}.soft{color:#5c6b7a}code{overflow-wrap:anywhere}
figure{display:inline-block;margin:0 1em 1em 0;vertical-align:top}
figure img{max-width:22em;max-height:18em;border:1px solid #d8dee5}
figcaption{font-size:.85em;color:#5c6b7a}
"""

_Entity = Mapping[str, Any]


def preview_page(document: Mapping[str, Any]) -> str:
    """Return a page of HTML, without scripts and without anything from elsewhere.

    Parameters
    ----------
    document : mapping
        The crate's JSON-LD.
    """
    entities: dict[str, _Entity] = {item["@id"]: item for item in document["@graph"]}
    root = entities["./"]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{_text(root['name'])}</title><style>{_STYLE}</style></head><body>",
        *_head(root, entities),
        *_figures(entities),
        *_results(entities),
        *_actions(entities),
        *_inputs(entities),
        *_files(root, entities),
        "<p class='soft'>Everything is in <a href='ro-crate-metadata.json'>"
        "ro-crate-metadata.json</a> for machines; <a href='prov/prov.json'>prov/prov.json</a> is "
        "the W3C PROV record.</p></body></html>\n",
    ]
    return "\n".join(parts)


def _head(root: _Entity, entities: Mapping[str, _Entity]) -> Iterator[str]:
    run = _run(entities)
    yield f"<h1>{_text(root['name'])}</h1><p>{_text(root['description'])}</p><table>"
    authors = ", ".join(_name(item, entities) for item in _refs(root.get("author")))
    licence = ", ".join(_name(item, entities) for item in _refs(root.get("license")))
    engine = next((item for item in entities.values() if item["@type"] == "OrganizeAction"), {})
    software = ", ".join(
        f"{_name(item, entities)} {_text(entities[item].get('softwareVersion', ''))}"
        for item in _refs(engine.get("instrument"))
    )
    command = str(engine.get("description", ""))
    rows = (
        ("state", _state(run)),
        ("began", _time(run) or "not recorded"),
        ("took", _duration(run)),
        ("by", authors),
        ("engine", software),
        ("licence", licence),
        ("command", f"<code>{_text(command.removeprefix('Command line: '))}</code>"),
    )
    for name, value in rows:
        yield f"<tr><th>{name}</th><td>{value}</td></tr>"
    yield "</table>"


def _figures(entities: Mapping[str, _Entity]) -> Iterator[str]:
    pictures = [
        item
        for item in entities.values()
        if item.get("encodingFormat") == "image/png" and not item["@id"].startswith("#")
    ]
    if pictures:
        yield "<h2>Figures</h2>"
    for item in pictures[:24]:
        address = escape(item["@id"], quote=True)
        yield (
            f"<figure><a href='{address}'><img src='{address}' alt=''></a>"
            f"<figcaption>{_text(unquote(item['@id']))}</figcaption></figure>"
        )


def _results(entities: Mapping[str, _Entity]) -> Iterator[str]:
    yield "<h2>Results</h2><table><tr><th>result</th><th>what</th></tr>"
    places = _refs(_run(entities).get("result"))
    for place in places[:_MOST]:
        item = entities[place]
        files = _refs(item.get("hasPart")) or [place]
        links = "<br>".join(_link(file, entities) for file in files)
        yield f"<tr><td>{links}</td><td>{_text(item.get('description', ''))}</td></tr>"
    yield f"</table>{_rest(places)}"


def _actions(entities: Mapping[str, _Entity]) -> Iterator[str]:
    found = [item for item in entities.values() if item["@id"].startswith("#act-")]
    actions = [item for item in found if item["@type"] in ("CreateAction", "ActivateAction")]
    yield "<h2>What was done</h2><table><tr><th>attempt</th><th>state</th><th>began</th>"
    yield "<th>took</th><th>memory</th></tr>"
    for item in actions[:_MOST]:
        error = f"<br><span class='bad'>{_text(item['error'])}</span>" if "error" in item else ""
        yield (
            f"<tr><td>{_text(item['name'])}{error}</td><td>{_state(item)}</td>"
            f"<td class='n'>{_time(item)}</td><td class='n'>{_duration(item)}</td>"
            f"<td class='n'>{_memory(item, entities)}</td></tr>"
        )
    yield f"</table>{_rest(actions)}"


def _inputs(entities: Mapping[str, _Entity]) -> Iterator[str]:
    places = [
        place for place in _refs(_run(entities).get("object")) if entities[place]["@type"] == "File"
    ]
    if not places:
        return
    yield "<h2>Inputs</h2><table><tr><th>file</th><th>bytes</th><th>SHA-256</th></tr>"
    for place in places[:_MOST]:
        item = entities[place]
        where = "<br>".join(
            _text(item[key]) for key in ("contentUrl", "description") if key in item
        )
        yield (
            f"<tr><td>{_link(place, entities)}<br><span class='soft'>{where}</span></td>"
            f"<td class='n'>{_text(item.get('contentSize', ''))}</td>"
            f"<td><code>{_text(item.get('sha256', ''))}</code></td></tr>"
        )
    yield f"</table>{_rest(places)}"


def _files(root: _Entity, entities: Mapping[str, _Entity]) -> Iterator[str]:
    places = [place for place in _refs(root.get("hasPart")) if not place.startswith("products/")]
    yield "<h2>Documents</h2><table>"
    for place in places[:_MOST]:
        item = entities[place]
        about = "<br>".join(_text(item[key]) for key in ("name", "description") if key in item)
        yield f"<tr><td>{_link(place, entities)}</td><td>{about}</td></tr>"
    yield f"</table>{_rest(places)}"


def _run(entities: Mapping[str, _Entity]) -> _Entity:
    return next(item for name, item in entities.items() if name.startswith("#run-"))


def _refs(value: Any) -> list[str]:
    entries: Iterable[Any] = value if isinstance(value, list) else [value] if value else []
    return [entry["@id"] for entry in entries]


def _text(value: Any) -> str:
    return escape(str(value))


def _name(place: str, entities: Mapping[str, _Entity]) -> str:
    return _text(entities[place].get("name", place))


def _link(place: str, entities: Mapping[str, _Entity]) -> str:
    if place.startswith("#"):
        return f"{_name(place, entities)} <span class='soft'>(not in the crate)</span>"
    return f"<a href='{escape(place, quote=True)}'>{_text(unquote(place))}</a>"


def _state(item: _Entity) -> str:
    if str(item.get("actionStatus")).endswith("FailedActionStatus"):
        return "<span class='bad'>failed</span>"
    return "completed"


def _duration(item: _Entity) -> str:
    try:
        times = [datetime.fromisoformat(item[key]) for key in ("startTime", "endTime")]
    except KeyError:
        return "not recorded"
    return f"{(times[1] - times[0]).total_seconds():.1f} s"


def _time(item: _Entity) -> str:
    found = item.get("startTime")
    return f"{datetime.fromisoformat(found):%Y-%m-%d %H:%M:%S} UTC" if found else ""


def _memory(item: _Entity, entities: Mapping[str, _Entity]) -> str:
    for place in _refs(item.get("resourceUsage")):
        if place.endswith("peakMemory_B"):
            return f"{float(entities[place]['value']) / 1e6:.0f} MB"
    return ""


def _rest(items: list[Any]) -> str:
    more = len(items) - _MOST
    return f"<p class='soft'>and {more} more</p>" if more > 0 else ""
