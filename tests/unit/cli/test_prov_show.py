"""`gpwf prov show`: what it writes, and what it says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gpwf.api.log_excerpts import log_excerpts


def page(path: Path) -> dict:
    text = path.read_text()
    start = text.index('id="data">') + len('id="data">')
    return json.loads(text[start : text.index("</script>", start)])


def test_the_page_has_the_end_of_the_log(gpwf, make_run, tmp_path):
    run = make_run()
    with (run / "log.jsonl").open("a") as log:
        for number in range(30):
            line = {
                "time": f"2026-01-02T03:04:{number:02}Z",
                "level": "warning",
                "event": "log.record",
                "task_id": "observations",
                "attempt": 2,
                "logger": "gammapy",
                "message": f"line {number} token=s3cr3tvalue \x1b[31m",
            }
            log.write(json.dumps(line) + "\n")
        log.write('{"torn')
    assert gpwf("prov", "show", run, "-o", tmp_path / "x.html").exit_code == 0
    lines = page(tmp_path / "x.html")["logs"]["observations"]
    assert len(lines) == 20
    assert lines[-1].startswith("03:04:29 warning attempt 2 gammapy line 29 token=")
    assert "s3cr3tvalue" not in (tmp_path / "x.html").read_text()
    assert "\x1b" not in lines[-1]
    # a record that lies elsewhere is not taken to belong to logs beside it
    copy = tmp_path / "record.json"
    copy.write_bytes((run / "prov" / "prov.json").read_bytes())
    assert gpwf("prov", "show", copy, "-o", tmp_path / "y.html").exit_code == 0
    assert page(tmp_path / "y.html")["logs"] == {}


def test_excerpts_are_bounded(tmp_path):
    log = tmp_path / "log.jsonl"
    with log.open("w") as stream:
        for number in range(2100):
            line = {"task_id": f"t{number}", "event": "x", "message": "m" * 1000}
            stream.write(json.dumps(line) + "\n")
        stream.write('{"task_id": 7}\n[]\n{"event": "y"}\n')
    found = log_excerpts(log)
    assert len(found) == 2000
    assert max(len(line) for lines in found.values() for line in lines) == 400
    assert log_excerpts(tmp_path / "nothing.jsonl") == {}
    assert log_excerpts(tmp_path) == {}


@pytest.mark.parametrize("detail", ["workflow", "step", "task", "full"])
def test_every_detail(gpwf, make_run, tmp_path, detail):
    make_run()
    result = gpwf("prov", "show", "--detail", detail, "-o", tmp_path / "x.dot")
    assert result.exit_code == 0
    assert "digraph" in (tmp_path / "x.dot").read_text()


def test_parameters_are_written_in_the_nodes(gpwf, make_run, tmp_path):
    make_run()
    assert gpwf("prov", "show", "--parameters", "all", "-o", tmp_path / "x.dot").exit_code == 0
    plain = gpwf("prov", "show", "-o", tmp_path / "y.dot")
    assert plain.exit_code == 0
    refused = gpwf("prov", "show", "--parameters", "nix", "-o", tmp_path / "z.dot")
    assert refused.exit_code != 0
    assert "no setting is called 'nix'" in refused.stderr


def test_a_damaged_record_is_drawn_with_a_note(gpwf, make_run, tmp_path):
    run = make_run()
    gpwf("prov", "export")
    gpwf("prov", "show", run, "-o", tmp_path / "x.dot")
    data = (run / "prov" / "prov.json").read_bytes()
    torn = tmp_path / "torn.json"
    torn.write_bytes(data[: len(data) * 9 // 10])
    result = gpwf("prov", "show", torn, "-o", tmp_path / "torn.dot")
    assert result.exit_code == 0
    assert "note:" in result.stderr
    assert "is damaged at line" in result.stderr
    assert "observations" in (tmp_path / "torn.dot").read_text()


def test_mistakes_are_told(gpwf, make_run, tmp_path):
    run = make_run()
    wrong = gpwf("prov", "show", run, "--of", "observatons", "-o", tmp_path / "x.dot")
    assert wrong.exit_code != 0
    assert "observations" in wrong.stderr
    form = gpwf("prov", "show", run, "-o", tmp_path / "x.gif")
    assert "formats: svg, png, pdf, dot, html" in form.stderr
    if os.geteuid():
        (tmp_path / "shut").mkdir(mode=0o500)
        shut = gpwf("prov", "show", run, "-o", tmp_path / "shut" / "x.dot")
        assert "cannot write" in shut.stderr
    below = gpwf("prov", "show", run, "-o", run / "plan.json" / "x.dot")
    assert below.exit_code != 0
    assert "cannot write" in below.stderr
    empty = tmp_path / "empty.json"
    empty.write_text('{"entity": {}}')
    nothing = gpwf("prov", "show", empty, "-o", tmp_path / "x.dot")
    assert "nothing to draw" in nothing.stderr
    assert not (tmp_path / "x.dot").exists()
