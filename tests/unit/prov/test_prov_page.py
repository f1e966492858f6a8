"""The page of a record in a real browser: what is seen, clicked, typed and touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from chromium_pipe import Chromium, find_chromium
from picture_plans import busy_plan, busy_run

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.prov.draw import draw_file
from gpwf.prov.stream import write_record

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed"),
    pytest.mark.xdist_group("chromium"),
]
EVIL = "<img src=x onerror=alert(1)>\"'&\n\u202egnp.exe \u05d0\u05d1 {{data}} ]]></script>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


class Page:
    """A page on a run, and what one does with it."""

    def __init__(self, browser: Chromium, path: Path) -> None:
        self.browser = browser
        browser.resize(1280, 800)
        browser.media(prefers_color_scheme="light")
        browser.open(path)

    def value(self, expression: str) -> Any:
        return self.browser.value(expression)

    def number(self, name: str) -> int:
        """Return the number of the node of this name."""
        nodes = json.loads(self.value("document.getElementById('data').textContent"))["nodes"]
        (found,) = [
            n for n, node in enumerate(nodes) if node["name"] == name and node["kind"] == "activity"
        ]
        return found

    def centre(self, selector: str) -> tuple[float, float]:
        box = self.value(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )
        return box[0], box[1]

    def click(self, selector: str) -> None:
        self.browser.click(*self.centre(selector))

    def choose(self, name: str) -> str:
        """Click a node and return what the details say."""
        self.click(f"[data-node='{self.number(name)}'] > .shape")
        return str(self.value("document.getElementById('details').innerText"))

    def view(self) -> list[float]:
        words = self.value("document.getElementById('picture').getAttribute('viewBox')").split()
        return [float(word) for word in words]

    def names(self, selector: str) -> set[str]:
        """Return the labels of what a selector finds."""
        return set(
            self.value(
                f"[...document.querySelectorAll({json.dumps(selector)})]"
                ".map((e) => e.getAttribute('aria-label'))"
            )
        )


def write_page(folder: Path, plan: Plan, events: list[RunEvent], **options: Any) -> Path:
    write_record(folder / "prov.json", plan, events)
    return draw_file(folder / "prov.json", path=folder / "page.html", **options)


@pytest.fixture
def mixed(browser: Chromium, tmp_path: Path) -> Page:
    plan = factory.make_plan()
    logs = {"flux-points": ["09:27:05 error gammapy: </script><b>no counts</b>"]}
    return Page(browser, write_page(tmp_path, plan, factory.mixed_run(plan), logs=logs))


@pytest.fixture
def busy(browser: Chromium, tmp_path: Path) -> Page:
    plan = busy_plan(60)
    return Page(browser, write_page(tmp_path, plan, busy_run(plan)))


def test_page_asks_for_nothing_and_breaks_no_rule(mixed: Page) -> None:
    assert [url.partition("://")[0] for url in mixed.browser.requests()] == ["file"]
    assert mixed.browser.problems() == []
    # the policy holds: a script that the page does not bring does not run
    mixed.value(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.bad = 1';"
        " document.body.append(s) })()"
    )
    assert mixed.value("window.bad === undefined")
    assert any("Content Security Policy" in text for text in mixed.browser.problems())


def test_click_shows_settings_times_errors_and_log(mixed: Page) -> None:
    assert mixed.value("document.getElementById('details').hidden")
    details = mixed.choose("flux-points")
    for text in (
        "1.0  (workflow)",
        "above 10 TeV; token: [redacted]",
        "lower the range",
        "wall time",
        "250.0 MB",
        "</script><b>no counts</b>",
    ):
        assert text in details
    assert mixed.value("document.querySelectorAll('#details b').length") == 0
    assert "1.0 TeV  (workflow)" in mixed.choose("fit")
    mixed.browser.key("Escape")
    assert mixed.value("document.getElementById('details').hidden")


def test_lineage_of_the_chosen_node_is_marked(mixed: Page) -> None:
    mixed.choose("fit")
    up, down = mixed.names(".node.up"), mixed.names(".node.down")
    assert any(name.startswith("task datasets") for name in up)
    assert any(name.startswith("task plot-sed") for name in down)
    assert mixed.value("document.querySelectorAll('.node.up.down').length") == 0
    mixed.click("#details .choices button:nth-child(1)")
    assert mixed.names(".node.down") == set()
    assert mixed.names(".node.up") == up
    assert any(name.startswith("task plot-sed") for name in mixed.names(".node.faint"))


def test_lineage_goes_through_the_tasks_of_a_folded_step(busy: Page) -> None:
    busy.click("#fold")
    busy.choose("fit[seed=7]")
    tasks = {name.partition(",")[0] for name in busy.names(".cell.up")}
    assert tasks == {"task toy/simulate[seed=7]", "task toy/reduce[seed=7]"}
    assert {name.partition(",")[0] for name in busy.names(".node.down:not(.box)")} == {
        "product result",
        "task table",
        "product table",
        "task figure",
        "product figure",
    }
    assert busy.value("document.querySelectorAll('.cell.faint').length") == 180 - 3


def test_steps_and_nested_workflows_fold(busy: Page) -> None:
    assert busy.value("document.querySelectorAll('.cell').length") == 0
    fit = busy.number("fit")
    busy.click(f"[data-toggle='{fit}'] circle")
    assert busy.value("document.querySelectorAll('.cell').length") == 60
    assert busy.value(f"document.querySelector('[data-node=\"{fit}\"]').ariaExpanded") == "true"
    busy.click("#fold")
    assert busy.value("document.querySelectorAll('.cell').length") == 180
    assert busy.value("document.getElementById('fold').textContent") == "Fold all"
    busy.click("[data-toggle='-2'] circle")  # the workflow `toy` with two of the steps
    assert busy.value("document.querySelectorAll('.cell').length") == 60
    assert busy.browser.problems() == []


def test_nodes_do_not_overlap_folded_or_not(busy: Page) -> None:
    count = """(() => {
      const boxes = [...document.querySelectorAll('.node:not(.box)')].map(
        (e) => e.querySelector('.shape').getBoundingClientRect());
      let n = 0;
      boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
        if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) n += 1;
      }));
      return n })()"""
    assert busy.value(count) == 0
    busy.click("#fold")
    assert busy.value(count) == 0


def test_states_of_all_tasks_are_counted_and_filter(busy: Page) -> None:
    legend = busy.value("document.getElementById('legend').innerText").split("\n")
    assert [word.strip() for word in legend if word.strip()][:6] == [
        "ok 171",
        "cached 8",
        "failed 1",
        "blocked 2",
        "skipped 1",
        "tried again 5",
    ]
    busy.click("#fold")
    busy.click("#legend .state-ok")
    assert busy.value("document.querySelector('#legend .state-ok').ariaPressed") == "false"
    seen = {name.rpartition(", ")[2] for name in busy.names(".cell:not(.off)")}
    assert seen == {"cached", "failed", "blocked", "skipped"}
    busy.click("#legend .state-ok")
    assert busy.value("document.querySelectorAll('.off').length") == 0


def test_finding_goes_from_one_to_the_next(busy: Page) -> None:
    busy.browser.key("/")
    busy.browser.type("reduce[seed=5")
    assert busy.value("document.getElementById('found').value") == "12 found"
    assert any(name.startswith("step toy/reduce") for name in busy.names(".node.found"))
    busy.browser.key("Enter")
    assert busy.value("document.querySelector('#details h2').textContent") == "toy/reduce[seed=5]"
    busy.browser.key("Enter")
    assert busy.value("document.querySelector('#details h2').textContent") == "toy/reduce[seed=50]"
    busy.browser.key("Enter", shift=True)
    assert busy.value("document.getElementById('found').value") == "1 of 12"
    busy.browser.key("Escape")
    assert busy.value("document.querySelectorAll('.found').length") == 0
    busy.browser.type("no such thing")
    assert busy.value("document.getElementById('found').value") == "0 found"


def test_a_digest_finds_its_task(busy: Page) -> None:
    busy.value("document.getElementById('search').focus()")
    plan = busy_plan(60)
    task = plan.task("fit[seed=33]")
    busy.browser.type(factory.product_of(task, task.output_ports[0]).files[0].digest[:20])
    busy.browser.key("Enter")
    assert busy.value("document.querySelector('#details h2').textContent") == "fit[seed=33]"


def test_wheel_drag_keys_and_fingers_move_the_picture(mixed: Page) -> None:
    browser = mixed.browser
    start = mixed.view()
    browser.mouse("mouseWheel", 300, 300, deltaX=0, deltaY=-200)
    assert mixed.view()[2] < start[2]
    browser.key("0")
    assert mixed.view() == pytest.approx(start)
    browser.mouse("mousePressed", 60, 600, button="left", clickCount=1)
    browser.mouse("mouseMoved", 160, 560, button="left", buttons=1)
    browser.mouse("mouseReleased", 160, 560, button="left")
    moved = mixed.view()
    assert (moved[0] < start[0], moved[1] > start[1]) == (True, True)
    assert moved[2:] == pytest.approx(start[2:])
    mixed.click("#fit")
    browser.touch("touchStart", (300, 300), (500, 300))
    browser.touch("touchMove", (200, 300), (600, 300))
    browser.touch("touchEnd")
    assert mixed.view()[2] < 0.7 * start[2]
    mixed.click("#fit")
    mixed.click("#in")
    assert mixed.view()[2] == pytest.approx(0.8 * start[2])


def test_keys_alone_are_enough(busy: Page) -> None:
    browser = busy.browser
    busy.value("document.querySelector('.node[tabindex=\"0\"]').focus()")
    assert busy.value("document.querySelectorAll('.node[tabindex=\"0\"]').length") == 1
    first = busy.value("document.activeElement.dataset.node")
    horizontal = busy.value("document.activeElement.getBoundingClientRect().width") > 0
    assert horizontal
    for _ in range(8):
        browser.key("ArrowRight")
        browser.key("ArrowDown")
    assert busy.value("document.activeElement.dataset.node") != first
    before = busy.view()
    browser.key("ArrowLeft", shift=True)
    assert busy.view()[0] < before[0]
    fit = busy.number("fit")
    busy.value(f"document.querySelector('[data-node=\"{fit}\"]').focus()")
    browser.key("f")
    assert busy.value("document.querySelectorAll('.cell').length") == 60
    browser.key("Enter")
    assert busy.value("document.querySelector('#details h2').textContent") == "fit"
    assert "60 tasks" in busy.value("document.getElementById('details').innerText")
    browser.key("Escape")
    assert busy.value("document.activeElement.dataset.node") == str(fit)
    unnamed = "[...document.querySelectorAll('button, input, [role=button]')]" + (
        ".filter((e) => !(e.ariaLabel || e.textContent.trim())).length"
    )
    assert busy.value(unnamed) == 0


def test_failed_tasks_come_first_and_lead_to_their_details(busy: Page) -> None:
    busy.choose("toy/reduce")
    assert "1 failed" in busy.value("document.querySelector('#details .kind').textContent")
    first = busy.value("document.querySelector('#details .task').textContent")
    assert first == "seed=2 · failed"
    busy.value("document.querySelector('#details .task').click()")
    details = busy.value("document.getElementById('details').innerText")
    assert "no counts above 10 TeV" in details
    busy.choose("fit[seed=2]") if busy.value(
        "document.querySelectorAll('.cell').length"
    ) > 60 else None


def test_dark_light_and_paper(mixed: Page) -> None:
    browser = mixed.browser
    colour = "getComputedStyle(document.body).backgroundColor"
    assert mixed.value(colour) == "rgb(255, 255, 255)"
    browser.media(prefers_color_scheme="dark")
    assert mixed.value(colour) == "rgb(20, 23, 28)"
    mixed.click("#theme")
    assert mixed.value(colour) == "rgb(255, 255, 255)"
    browser.media(type="print", prefers_color_scheme="dark")
    mixed.value("window.dispatchEvent(new Event('beforeprint'))")
    assert mixed.value("getComputedStyle(document.querySelector('.tools')).display") == "none"
    whole = mixed.value(
        "(() => { const b = document.getElementById('picture').getBBox(),"
        " v = document.getElementById('picture').viewBox.baseVal;"
        " return v.x <= b.x && v.y <= b.y && v.x + v.width >= b.x + b.width })()"
    )
    assert whole
    browser.media()
    mixed.value("window.dispatchEvent(new Event('afterprint'))")


def test_hostile_names_are_only_text(browser: Chromium, tmp_path: Path) -> None:
    plan = factory.make_plan(("models",))
    (task,) = plan.tasks
    task = replace(task, settings={**task.settings, "note": EVIL}, types={"note": "str"})
    plan = replace(plan, name=EVIL + "x" * 5000, tasks=(task,))
    page = Page(
        browser, write_page(tmp_path, plan, factory.good_run(plan), logs={"models": [EVIL]})
    )
    assert browser.problems() == []
    assert page.value("document.querySelectorAll('img, script[src]').length") == 0
    assert page.value("document.querySelector('h1').textContent").startswith("<img src=x")
    assert page.value("document.body.scrollWidth <= innerWidth")
    details = page.choose("models")
    assert "alert(1)>" in details
    assert "\u202e" not in page.value("document.documentElement.outerHTML")
    assert "\u05d0\u05d1" in details
    assert "{{data}} ]]></script>" in details
    assert page.value("document.querySelectorAll('#details img').length") == 0


@pytest.mark.parametrize("detail", ["workflow", "task", "full"])
def test_every_detail_makes_a_page(browser: Chromium, tmp_path: Path, detail: str) -> None:
    plan = busy_plan(3)
    path = write_page(tmp_path, plan, busy_run(plan), detail=detail)
    page = Page(browser, path)
    assert page.browser.problems() == []
    shown = page.value("document.querySelectorAll('.node').length")
    arrows = page.value("document.querySelectorAll('.edge').length")
    assert shown > 8 or detail == "workflow"
    assert arrows >= shown - 3
    broken = (
        "[...document.querySelectorAll('.way')].filter((e) => /NaN|undefined/.test(e.outerHTML))"
    )
    assert page.value(f"{broken}.length") == 0


def test_narrow_screen_has_picture_and_details(browser: Chromium, tmp_path: Path) -> None:
    plan = factory.make_plan()
    page = Page(browser, write_page(tmp_path, plan, factory.mixed_run(plan)))
    browser.resize(390, 800)
    page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.choose("fit")
    assert page.value("document.body.scrollWidth <= innerWidth")
    height = "document.getElementById('picture').getBoundingClientRect().height"
    assert page.value(height) > 150
