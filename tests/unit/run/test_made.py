"""What tasks have made stays in memory as long as somebody needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest, TaskKey, digest_bytes
from gpwf.core.plan import Plan, Task, TaskOutput
from gpwf.core.runs import Product
from gpwf.core.spec import Port
from gpwf.run.made import MadeProducts
from gpwf.store.results import StoredResult
from gpwf.store.store import Store

OUT = (Port(name="out", kind="text"),)


def _task(name: str, *above: str, **more: Any) -> Task:
    refs = tuple(TaskOutput(task=up, product="out") for up in above)
    return Task(
        id=name,
        step=name,
        tag="act",
        version="1",
        settings={},
        types={},
        origins={},
        inputs={"in": refs} if refs else {},
        input_ports=(),
        output_ports=OUT,
        **more,
    )


def _plan(*tasks: Task) -> Plan:
    return Plan(name="p", workflow_digest=digest_bytes(b""), tasks=tasks, steps=())


def _products(text: str) -> dict[str, Product]:
    return {"out": Product(kind="text", digest=digest_bytes(text.encode()), files=())}


def _key(text: str) -> TaskKey:
    return TaskKey(digest_bytes(text.encode()))


def _record(store: Store, name: str) -> None:
    result = StoredResult(
        key=_key(name),
        products=_products(name),
        run_id="r",
        attempt_id="a",
        started="",
        ended="",
        tag="act",
    )
    store.results.put(_key(name), result)


def test_products_go_with_their_last_reader_and_are_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, two, three = _task("one"), _task("two", "one"), _task("three", "one", "two")
    made = MadeProducts(_plan(one, two, three), store.results)
    made.add("one", _key("one"), _products("one"))
    made.add("two", _key("two"), _products("two"))
    made.used_by(two)
    assert made.inputs(three)["in"] == (*_products("one").values(), *_products("two").values())
    made.used_by(three)
    assert made.of("one") == {}  # not in memory, and nothing is recorded here
    _record(store, "one")
    assert made.of("one") == _products("one")
    assert made.of("nobody") == {}


def test_a_gathering_task_takes_what_there_is(tmp_path: Path) -> None:
    labels = {"in": ({"seed": "1"}, {"seed": "2"})}
    gathering = _task("all", "one", "two", labels=labels)
    made = MadeProducts(_plan(_task("one"), _task("two"), gathering), Store(tmp_path).results)
    made.add("two", _key("two"), _products("two"))
    found = made.gathered(gathering)
    assert [ref.task for ref in found.inputs["in"]] == ["two"]
    assert found.labels == {"in": ({"seed": "2"},)}
    assert made.absent(found) == ""
    assert made.absent(gathering) == "one gave no out"


def test_makers_of_damaged_bytes_are_named(tmp_path: Path) -> None:
    from gpwf.core.runs import ProductFile

    below = _task("below", "one", "two")
    made = MadeProducts(_plan(_task("one"), _task("two"), below), Store(tmp_path).results)
    for name in ("one", "two"):
        file = ProductFile(name="f", digest=digest_bytes(name.encode()), size=1)
        product = Product(kind="text", digest=Digest("d" * 64), files=(file,))
        made.add(name, _key(name), {"out": product})
    assert made.makers(below, {digest_bytes(b"two")}) == ["two"]
