"""The report on a reproduction: for people, and as plain data."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gpwf.api.reproduce_inputs import InputCheck, InputState
from gpwf.api.reproduce_verdicts import ProductVerdict, Verdict

if TYPE_CHECKING:
    from gpwf.api.reproduction import Reproduction

__all__ = ["REPORT_FORMAT", "report_data", "report_text"]

REPORT_FORMAT = "gpwf-reproduction/1"
_MOST_LISTED = 50


def report_data(result: Reproduction) -> dict[str, Any]:
    """Return the report as plain data; fields may be added, not renamed."""
    of, view = result.of, result.run.view
    return {
        "format": REPORT_FORMAT,
        "verdict": str(result.verdict) if result.verdict is not None else None,
        "reproduced": result.is_good,
        "workflow": of.workflow,
        "of": {
            "run_id": of.run_id,
            "state": of.state,
            "path": str(of.path),
            "record_sha256": of.record_digest,
        },
        "by": {
            "run_id": view.run_id,
            "state": str(view.state),
            "path": str(result.run.path),
            "started": view.started,
            "ended": view.ended,
        },
        "counts": {str(verdict): n for verdict, n in _counts(result.products).items() if n},
        "products": [_product(item) for item in result.products],
        "inputs": [_input(item) for item in result.inputs],
        "software": [
            {
                "what": item.what,
                "name": item.name,
                "recorded": item.recorded,
                "present": item.present,
                "decides": item.decides,
            }
            for item in result.software
        ],
        "notes": list(result.notes),
    }


def _product(item: ProductVerdict) -> dict[str, Any]:
    made = item.made
    finite = item.deviation is not None and item.deviation < float("inf")
    return {
        "task": item.task,
        "port": item.port,
        "kind": item.kind,
        "verdict": str(item.verdict),
        "recorded": item.recorded.product.digest,
        "made": made.product.digest if made is not None else None,
        "same_key": made is not None and made.key == item.recorded.key,
        "deviation": item.deviation if finite else None,
        "tolerance": item.tolerance if item.deviation is not None else None,
        "place": item.place,
        "note": item.note,
    }


def _input(item: InputCheck) -> dict[str, Any]:
    return {
        "path": item.path,
        "sha256": item.digest,
        "state": str(item.state),
        "found": str(item.found) if item.found is not None else None,
        "steps": list(item.steps),
    }


def _counts(products: list[ProductVerdict]) -> Counter[Verdict]:
    found = Counter(item.verdict for item in products)
    return Counter({verdict: found[verdict] for verdict in Verdict})


def report_text(result: Reproduction) -> str:
    """Return the report for people."""
    return "\n".join(
        [
            *_head(result),
            *(f"note: {note}" for note in result.notes),
            *_inputs(result.inputs),
            *_software(result),
            "",
            *_products(result.products),
            "",
            _last(result),
        ]
    )


def _head(result: Reproduction) -> list[str]:
    of = result.of
    return [
        f"reproduction of {of.workflow}, run {of.run_id}",
        f"  recorded: {of.path} ({of.state})",
        f"  made:     {result.run.path} ({result.run.view.state})",
    ]


def _inputs(inputs: list[InputCheck]) -> list[str]:
    moved = [item for item in inputs if item.state is InputState.ELSEWHERE]
    where = f", {len(moved)} of them elsewhere" if moved else ""
    lines = [f"inputs: {len(inputs)} with the recorded SHA-256{where}"] if inputs else []
    lines += [f"  {item.path} -> {item.found}" for item in moved[:5]]
    return [*lines, f"  and {len(moved) - 5} more"] if len(moved) > 5 else lines


def _software(result: Reproduction) -> list[str]:
    if not result.software:
        return ["software: as recorded"]
    lines = [
        f"  {item.what} {item.name}: {_short(item.recorded)} then, {_short(item.present)} now"
        for item in result.software
    ]
    if any(item.decides for item in result.software):
        return ["software: differs", *lines]
    return ["software: as recorded where it decides results; besides", *lines]


def _products(products: list[ProductVerdict]) -> list[str]:
    # what is not identical first cannot be: a reader looks for a step in the order of the plan
    shown = products if len(products) <= _MOST_LISTED else []
    shown = shown or [item for item in products if item.verdict is not Verdict.IDENTICAL]
    width = max((len(f"{item.task}.{item.port}") for item in shown), default=0)
    lines = []
    for item in shown[:_MOST_LISTED]:
        name = f"{item.task}.{item.port}".ljust(width)
        lines.append(f"  {name}  {item.verdict}{_detail(item)}")
    if len(shown) > _MOST_LISTED:
        lines.append(f"  and {len(shown) - _MOST_LISTED} more, see reproduction.json")
    return ["products:", *lines]


def _detail(item: ProductVerdict) -> str:
    if item.note:
        return f": {item.note}"
    if item.deviation is None or item.verdict is Verdict.SAME_DATA:
        return ""
    if item.deviation == float("inf"):
        return f": {item.place}"
    return f": {item.deviation:.2g} (allowed {item.tolerance:g}) at {item.place}"


def _last(result: Reproduction) -> str:
    if result.verdict is None:
        return "interrupted: the same command with this folder goes on"
    counts = _counts(result.products)
    words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    head = "reproduced" if result.is_good else "NOT reproduced"
    return f"{head}: {words}"


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == 64 else text
