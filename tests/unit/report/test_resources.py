"""Where the time of a run went."""

from dataclasses import replace
from datetime import datetime, timedelta

import click
import pytest
import report_fakes as fakes

from gpwf.core.runs import RunEvent
from gpwf.core.view import RunView, fold
from gpwf.report.resources import resources_data, run_use
from gpwf.report.status import resources_text, status_text


def near(expected):
    """Return a value to compare times of day with: they are as fine as a float is."""
    return pytest.approx(expected, abs=1e-5)


def view_of(events: list[RunEvent]) -> RunView:
    return fold(fakes.make_plan(), events)


def test_steps_workers_and_the_longest_chain():
    use = run_use(view_of(fakes.good_run()))
    assert use is not None
    assert (use.wall_s, use.workers) == (2.5, 2)
    assert (use.worked_s, use.cpu_s) == pytest.approx((3.0, 2.7))
    assert use.busy == pytest.approx(3.0 / 5.0)
    assert use.cores_used == pytest.approx(2.7 / 2.5)
    assert [step.name for step in use.steps] == ["datasets", "fit"]
    # observations was found at 0.1 s; the workers began at 0.2 s and 0.3 s
    assert use.steps[0].waits_s == near([0.1, 0.2])
    assert use.steps[1].waits_s == near([0.1])
    assert [link.task for link in use.chain] == ["datasets[run=2]", "fit"]
    assert [link.waited_s for link in use.chain] == near([0.3, 0.1])
    assert use.chain_s == near(2.0)


def test_every_attempt_counts():
    use = run_use(view_of(fakes.failed_run()))
    assert use is not None
    (datasets,) = use.steps
    assert datasets.walls_s == [1.0, 1.0, 1.0]
    assert [link.task for link in use.chain] == ["datasets[run=2]"]


def test_a_run_in_which_nothing_ran_used_nothing():
    assert run_use(view_of([])) is None
    assert run_use(view_of([fakes.started(), fakes.cached("fit", 1)])) is None
    assert run_use(view_of([fakes.started(), fakes.begin("fit", 1)])) is None
    assert resources_data(None) is None


def test_a_live_run_is_measured_up_to_now():
    view = view_of(fakes.good_run()[:5])
    now = datetime.fromisoformat(fakes.stamp(11.2))
    use = run_use(view, now)
    assert use is not None
    assert use.wall_s == near(11.2)
    assert run_use(view).wall_s == near(1.2), "up to the last thing that is known"


def test_a_clock_that_went_backwards_makes_nothing_negative():
    events = [
        replace(event, started=fakes.stamp(1), ended=fakes.stamp(0.5))
        if hasattr(event, "ended")
        else event
        for event in fakes.good_run()
    ]
    data = resources_data(run_use(view_of(events)))
    assert data is not None
    assert all(link["wall_s"] >= 0 and link["waited_s"] >= 0 for link in data["critical_path"])


def test_the_data_is_plain_and_its_shares_make_one():
    data = resources_data(run_use(view_of(fakes.good_run())))
    assert data is not None
    assert sum(step["share"] for step in data["steps"]) == pytest.approx(1.0, abs=1e-5)
    assert data["steps"][0] == {
        "name": "datasets",
        "n": 2,
        "wall_s": 2.0,
        "share": 0.666667,
        "wall_median_s": 1.0,
        "wall_max_s": 1.0,
        "cpu_s": 1.8,
        "peak_rss_bytes": 312_000_000,
        "waited_s": 0.3,
        "waited_median_s": 0.15,
    }


def test_the_text_at_two_widths():
    use = run_use(view_of(fakes.good_run()))
    assert use is not None
    assert click.unstyle(resources_text(use)).splitlines() == [
        "step      n   wall  share  median  longest    cpu  memory  waited",
        "datasets  2  2.0 s   67 %   1.0 s    1.0 s  1.8 s  312 MB   0.2 s",
        "fit       1  1.0 s   33 %   1.0 s    1.0 s  0.9 s  312 MB   0.1 s",
        "",
        "2 workers, busy 60 % of 2.5 s; 1.1 cores used",
        "longest chain: 2.0 s of 2.5 s, datasets[run=2] 1.0 s, fit 1.0 s; 0.4 s waiting for a "
        "worker or the engine",
        "slowest: datasets[run=1] 1.0 s, datasets[run=2] 1.0 s, fit 1.0 s",
    ]
    narrow = click.unstyle(resources_text(use, 40)).splitlines()
    assert narrow[0] == "step      n   wall  share  longest"
    assert max(map(len, narrow)) <= 40


def test_a_task_that_runs_has_the_time_since_it_began():
    view = view_of(fakes.good_run()[:3])
    now = datetime.fromisoformat(fakes.stamp(0.2)) + timedelta(seconds=75)
    lines = click.unstyle(status_text(view, "runs/x", 80, now=now)).splitlines()
    assert lines[0].endswith(", for 1:15")
    assert lines[1] == "1 cached, 1 running, 2 waiting  runs/x"
    assert next(line for line in lines if line.startswith("datasets[run=1]")).split() == [
        "datasets[run=1]", "running", "1:15", "-", "-", "1",
    ]  # fmt: skip
    assert "longest chain" not in "\n".join(lines)
