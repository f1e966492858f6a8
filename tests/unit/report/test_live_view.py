"""What the live view shows, at fixed sizes, and how it is drawn in place."""

import io
import os

import pytest
import report_fakes as fakes

from gpwf.core.runs import TaskState
from gpwf.report.console import PlainConsole, open_console
from gpwf.report.frame import Glyphs, Used, frame
from gpwf.report.live import LiveView
from gpwf.report.progress import Progress
from gpwf.report.screen import Screen


def at_second(second: float, events=None) -> Progress:
    progress = Progress(fakes.make_plan())
    for event in fakes.good_run() if events is None else events:
        if event.clock_s <= second:
            progress.apply(event, event.clock_s)
    return progress


def shown(progress: Progress, now_s: float, width=60, height=24, used=None, **kwargs) -> list[str]:
    lines = frame(
        progress,
        now_s,
        started_s=0.0,
        width=width,
        height=height,
        used=used or {},
        glyphs=kwargs.get("glyphs", Glyphs()),
    )
    assert all(line.cell_len < width for line in lines)
    assert len(lines) < max(height, 2)
    return [line.plain.rstrip() for line in lines]


def test_a_run_half_way():
    progress = at_second(1.25)
    progress.note("datasets[run=2]", "3/12 bins")
    used = {"datasets[run=2]-1": Used(wall_s=1.0, rss_bytes=312_000_000)}
    assert shown(progress, 1.25, width=80, used=used) == [
        "crab ━━━━━━━━━━━━━━━━━━━━──────────────────── 2/4  50%",
        "  1 s elapsed   about 1 s left   1/2 workers busy   1 cached",
        "  observations ━━━━━━━━━━━━ 1/1  cached",
        "  datasets     ━━━━━━────── 1/2  1 running",
        "  fit          ──────────── 0/1  waiting",
        "  ▸ datasets[run=2]  1.0 s  312 MB  3/12 bins",
    ]
    assert shown(progress, 1.25, width=40, height=10, used=used) == [
        "crab ━━━━━━━━━━━━───────────── 2/4  50%",
        "  1 s elapsed   about 1 s left",
        "  observations ━━━━━━━━ 1/1  cached",
        "  datasets     ━━━━──── 1/2  1 running",
        "  fit          ──────── 0/1  waiting",
        "  ▸ datasets[run=2]  1.0 s  312 MB  3/…",
    ]
    assert shown(progress, 1.25, width=20, height=6, used=used) == [
        "crab ━━─── 2/4  50%",
        "  about 1 s left",
        "  datasets 1/2  1 …",
        "  and 2 steps: 1 w…",
        "  ▸ datasets…  1.0…",
    ]


@pytest.mark.parametrize("width", range(2, 24))
@pytest.mark.parametrize("height", [1, 2, 3, 5, 9])
def test_no_terminal_is_too_small(width, height):
    shown(at_second(1.25), 1.25, width=width, height=height)  # it looks at widths and heights


def test_failures_are_counted_in_characters_that_the_terminal_has():
    progress = at_second(2.55, fakes.failed_run())
    assert shown(progress, 2.55, glyphs=Glyphs.of("latin-1")) == [
        "crab ##############################---------- 3/4  75%",
        "  3 s elapsed   time left unknown   1 failed   1 cached",
        "  observations ############ 1/1  cached",
        "  datasets     ############ 2/2  1 failed",
        "  fit          ------------ 0/1  waiting",
    ]


def test_of_many_steps_those_that_run_are_shown():
    progress = Progress(fakes.wide_plan(30))
    for number in range(4):
        progress.apply(fakes.cached(f"step-00[run={number}]", 0), 0.0)
    for number in range(3):
        progress.apply(fakes.begin(f"step-05[run={number}]", 0), 0.0)
    progress.apply(fakes.end("step-05[run=0]", 1), 1.0)
    progress.apply(fakes.begin("step-20[run=1]", 1), 1.0)
    assert shown(progress, 2.0, height=12) == [
        "wide ━─────────────────────────────────────── 5/120   4%",
        "  2 s elapsed   1/1 workers busy   4 cached",
        "  step-05 ━━━───────── 1/4  2 running",
        "  step-20 ──────────── 0/4  1 running",
        "  and 28 steps: 27 waiting, 1 done",
        "  ▸ step-05[run=1]  2.0 s",
        "  ▸ step-05[run=2]  2.0 s",
        "  ▸ step-20[run=1]  1.0 s",
    ]


def test_a_task_that_waits_for_a_worker_does_not_run():
    progress = at_second(0.25)
    used = {f"datasets[run={n}]-1": Used(wall_s=3.0 * (n == 1)) for n in (1, 2)}
    lines = shown(progress, 0.25, width=80, used=used)
    assert "1/2 workers busy" in lines[1]
    assert lines[3] == "  datasets     ──────────── 0/2  1 running"
    assert [line for line in lines if "▸" in line] == ["  ▸ datasets[run=1]  3.0 s"]
    used = {handle: Used(wall_s=0.0) for handle in used}
    assert "starting workers" in shown(progress, 0.25, width=80, used=used)[1]


def test_names_are_cut_by_the_cells_that_they_take():
    glyphs = Glyphs()
    assert glyphs.fit("かに星雲", 8) == "かに星雲"
    assert glyphs.fit("かに星雲", 6) == "かに …"
    assert glyphs.text("a\x1b[2J\nb") == "a\\x1b[2J b"
    assert Glyphs.of("latin-1").text("gégé かに") == "gégé ??"
    assert Glyphs.of("no-such-codec").text("é") == "?"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Emulated:
    """A terminal that knows the few control sequences that are used, and shows what is on it."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream
        self.lines = [""]
        self.row = self.column = 0
        self.is_hidden = False

    def show(self) -> list[str]:
        text, at = self.stream.getvalue(), 0
        while at < len(text):
            if text[at] == "\x1b":
                end = at + 2
                while not text[end].isalpha():
                    end += 1
                self._control(text[at + 2 : end], text[end])
                at = end + 1
                continue
            self._char(text[at])
            at += 1
        self.stream.seek(0)
        self.stream.truncate()
        return [line.rstrip() for line in self.lines]

    def _char(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
            self.column = 0
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _control(self, number: str, letter: str) -> None:
        if letter == "A":
            assert int(number) <= self.row, "above the top"
            self.row -= int(number)
        elif letter == "B":
            self._down()
        elif letter in "KJ":
            self.lines[self.row] = self.lines[self.row][: self.column]
            if letter == "J":
                del self.lines[self.row + 1 :]
        elif letter in "hl":
            self.is_hidden = letter == "l"
        else:
            assert letter == "m", letter


def draw(screen: Screen, *lines: str) -> None:
    screen.draw(lines, [len(line) for line in lines])


def test_lines_are_drawn_in_place_and_taken_away(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal("$ gpwf run\n")
    stream.seek(0, 2)
    screen, terminal = Screen(stream), Emulated(stream)
    draw(screen, "one", "two two", "three")
    assert terminal.show() == ["$ gpwf run", "one", "two two", "three"]
    assert terminal.is_hidden
    draw(screen, "1", "2")
    assert terminal.show() == ["$ gpwf run", "1", "2"]
    screen.above("failed: a\nfailed: b")
    assert terminal.show() == ["$ gpwf run", "failed: a", "failed: b", "1", "2"]
    draw(screen, "x", "y", "z")
    assert terminal.show()[-3:] == ["x", "y", "z"]
    screen.clear()
    assert terminal.show()[:3] == ["$ gpwf run", "failed: a", "failed: b"]
    assert terminal.row == 3
    assert not any(terminal.show()[3:])
    assert not terminal.is_hidden
    screen.clear()
    assert stream.getvalue() == ""


def test_a_narrower_terminal_has_folded_the_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    screen = Screen(stream)
    draw(screen, "x" * 39, "y" * 10, "z" * 39)
    stream.seek(0)
    stream.truncate()
    monkeypatch.setenv("COLUMNS", "15")
    draw(screen, "a", "b")
    assert stream.getvalue().startswith("\r\x1b[4A"), "3 rows of x, 1 of y"


def test_a_text_is_cut_to_the_height(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "4")
    stream = Terminal()
    screen, terminal = Screen(stream), Emulated(stream)
    screen.draw_text("\x1b[32mone\x1b[0m\ntwo\nthree\nfour\nfive")
    assert terminal.show() == ["one", "two", "..."]


class Meter:
    """An executor that knows what tasks use."""

    def __init__(self) -> None:
        self.looks = 0
        self.fails = False

    def running_s(self, handle: str) -> float:
        if self.fails:
            raise RuntimeError("dictionary changed size during iteration")
        return 12.5

    def resident_bytes(self, handle: str) -> int | None:
        self.looks += 1
        return 312_000_000


def test_the_view_asks_for_memory_seldom_and_survives_a_table_that_changes(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream, meter = Terminal(), Meter()
    view = LiveView(at_second(0.25), stream, started_s=0.0, meter=meter)
    assert view.draw() >= 0.2
    assert "312 MB" in stream.getvalue()
    assert meter.looks == 2
    meter.fails = True
    view.draw()
    assert stream.getvalue().count("12.5 s") == 4
    assert meter.looks == 2
    view.stop()


def test_progress_knows_ends_by_state_and_by_step():
    progress = at_second(9, fakes.failed_run())
    assert progress.ended[TaskState.CACHED] == 1
    assert progress.steps["datasets"].failed == 1
    assert progress.steps["fit"].left == 0


def test_a_terminal_of_somebody_else_is_left_alone(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    view = LiveView(at_second(0.25), stream, started_s=0.0)
    view.draw()
    before = stream.getvalue()
    monkeypatch.setattr(stream, "fileno", lambda: 2)
    monkeypatch.setattr("os.tcgetpgrp", lambda handle: os.getpgrp() + 1)
    assert isinstance(open_console(fakes.make_plan(), stream=stream), PlainConsole)
    view.draw()
    assert stream.getvalue() == before
    monkeypatch.setattr("os.tcgetpgrp", lambda handle: os.getpgrp())
    view.draw()
    again = stream.getvalue().removeprefix(before)
    assert again.startswith("\x1b[1mcrab"), "drawn anew, not over what others wrote"
    view.stop()


def test_earlier_runs_are_asked_once_and_after_the_first_drawing(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream, asked = Terminal(), []

    def history() -> dict[str, float]:
        asked.append(stream.getvalue())
        return {"observations": 60.0, "datasets": 60.0, "fit": 60.0}

    view = LiveView(at_second(0.0), stream, started_s=0.0, history=history)
    for _ in range(3):
        view.draw()
    view.stop()
    assert len(asked) == 1
    assert "time left unknown" in asked[0]
    assert "about 3:00 left" in stream.getvalue().removeprefix(asked[0])
