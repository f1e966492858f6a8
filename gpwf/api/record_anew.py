"""Is a record what plan and journal say? It is made anew, and compared statement by statement."""

from __future__ import annotations

import filecmp
import json
import tempfile
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from gpwf.api.run_texts import texts_and_digests
from gpwf.api.runs import Run
from gpwf.core.diagnostics import Severity
from gpwf.errors import GpwfError
from gpwf.prov.environment import this_gpwf
from gpwf.prov.stream import write_record
from gpwf.prov.validation.findings import Finding
from gpwf.prov.validation.instance import plain
from gpwf.prov.validation.json_stream import Member, members
from gpwf.run.journal import read_journal

__all__ = ["check_anew"]

RULE = "FI-13"
_MOST = 5  # statements that are named; one edit seldom changes more
_LONGEST = 80

Key = tuple[str, str]


def check_anew(run: Run, record: Path) -> Iterator[Finding]:
    """Yield the statements of a record that are not what plan and journal say.

    The same plan, journal and log give the same record, so that every edit of it is found. What
    another gpwf wrote may differ for good reasons: that is a warning.

    Parameters
    ----------
    run : Run
        The run, whose journal, plan and log are those of the record.
    record : Path
        Its record, PROV-JSON.
    """
    with tempfile.TemporaryDirectory(prefix="gpwf-record-") as folder:
        anew = Path(folder) / "prov.json"
        try:
            write_record(
                anew,
                run.plan,
                read_journal(run.path / "journal.jsonl"),
                **texts_and_digests(run),
            )
        except (GpwfError, OSError):
            return  # other rules say what is wrong with plan or journal
        if filecmp.cmp(anew, record, shallow=False):
            return
        found, wanted = _digests(record), _digests(anew)
        keys = [key for key in wanted if found.get(key) != wanted[key]]
        keys += [key for key in found if key not in wanted]
        if not keys:
            return  # laid out otherwise
        severity = Severity.ERROR if _is_ours(anew) else Severity.WARNING
        shown = set(keys[:_MOST])
        is_now, should = _values(record, shown), _values(anew, shown)
    for key in keys[:_MOST]:
        message = _difference(key, is_now.get(key), should.get(key))
        if key == keys[0] and len(keys) > 1:
            message += f"; {len(keys)} statements differ, of which at most {_MOST} are named"
        yield Finding(
            rule=RULE,
            severity=severity,
            message=message,
            subject=key[1],
            file=str(record),
            hint="the record was edited"
            if severity is Severity.ERROR
            else "another version of gpwf wrote the record: check it with that one to be sure",
        )


def _difference(key: Key, found: Any, wanted: Any) -> str:
    """Say in words how a statement differs from what it should be."""
    section = key[0]
    if wanted is None:
        return f"is a {section} of which plan and journal know nothing"
    if found is None:
        return f"is missing: plan and journal have this {section}"
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return f"is another {section} than plan and journal say"
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    name = names[0]
    return f"has {name} {_text(found, name)}, plan and journal say {_text(wanted, name)}"


def _text(value: dict[str, Any], name: str) -> str:
    if name not in value:
        return "not at all"
    text = plain(value[name]) if not isinstance(value[name], list) else json.dumps(value[name])
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _digests(path: Path) -> dict[Key, bytes]:
    """Return a digest of every statement: a large record does not fit into memory as it is."""
    return {
        (item.section, item.name): blake2b(
            json.dumps(item.value, sort_keys=True).encode(), digest_size=16
        ).digest()
        for item in members(path)
        if isinstance(item, Member)
    }


def _values(path: Path, keys: set[Key]) -> dict[Key, Any]:
    return {
        (item.section, item.name): item.value
        for item in members(path)
        if isinstance(item, Member) and (item.section, item.name) in keys
    }


def _is_ours(record: Path) -> bool:
    """Tell whether the gpwf that ran is this one, as the journal has it."""
    ours = this_gpwf()
    for item in members(record):
        if isinstance(item, Member) and item.section == "entity":
            facts = item.value.get("gpwf:environment") if isinstance(item.value, dict) else None
            if isinstance(facts, list):
                wrote = dict(str(fact).partition("=")[::2] for fact in facts)
                return all(
                    wrote.get(f"gpwf.{name}", "") == ours.get(name, "")
                    for name in ("version", "commit")
                )
    return False
