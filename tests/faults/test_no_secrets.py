"""Canaries in everything that a run is given: no record, no log and no command sings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpwf.cli.main import cli

HERE = Path(__file__).parent

CANARIES = {
    "env": "envCanary-4711",
    "short": "x7",  # not looked for in texts; the setting is left out
    "unused": "unusedCanary-4712",
    "named": "namedCanary-4713",
    "param": "paramCanary 4714",
    "file": "fileCanary-4715",
    "set": "setCanary-4716",
    "url": "urlCanary4717",
    "meta": "metaCanary-4718",
    "folder": "folderCanary-4719",
}
GITHUB = "ghp_" + "aZ9" * 12  # known by its look alone
LISTED = "openly-listed"

#: Where a canary may be, and why.
ALLOWED = {
    "workflow.yaml": "the document as it was given; its owner wrote the secret into it",
    "work/": "folders of failed attempts, as the programs left them",
    "store/cache/inputs.jsonl": "how the store finds input files again: their paths",
}

WORKFLOW = """
gpwf: 1
name: canaries
metadata: {api_key: %(meta)s}
params:
  url: "https://me:${env.CANARY}@example.org"
  api_token: none
  db_password: {type: string, default: none}
  auth_key: {type: string, default: none}
  address: none
  pin: {type: string, default: "${env.CANARY_SHORT}"}
  listed: {type: string, default: "${env.CANARY_LISTED}"}
tables: {rows: [{name: a, value: 1}, {name: b, value: 2}]}
steps:
  - name: good
    tag: command
    foreach: {row: "${tables.rows}"}
    config:
      argv: [sh, -c, 'echo "$@"; echo "$@" >&2; echo fine > "$OUT"', sh, "${params.url}",
             "${params.api_token}", --token, "${params.db_password}", "${params.auth_key}",
             "${params.address}", "${row.name}"]
      inputs: {given: "${env.CANARY_FOLDER}/given.txt"}
      outputs: {text: fine.txt}
  - name: pinned
    tag: command
    when: ${env.CANARY} != "other"
    config:
      argv: [sh, -c, 'echo fine > fine.txt', "a${params.pin}b", "${params.listed}"]
      outputs: {text: fine.txt}
  - name: bad
    tag: python
    config:
      callable: canary_kit:bad
      outputs: {out: file}
      arguments: {token: "${params.api_token}", url: "${params.url}"}
execution: {record_env: [CANARY_LISTED]}
""".replace('> "$OUT"', "> fine.txt")

KIT = """
import logging, os, sys, warnings

def bad(token, url):
    print("printed", token, url, os.environ.get("GPWF_API_TOKEN"))
    print("lines\\n" + url + "\\n" + repr({"it's": token}), file=sys.stderr)
    logging.getLogger("kit").warning("logged %s %s", url, token)
    warnings.warn(f"warned of {token} and GITHUB")
    try:
        raise KeyError(token)
    except KeyError as error:
        raise ValueError(f"failed with {url}, {token}, password: hunter2-4720, GITHUB") from error
""".replace("GITHUB", GITHUB)

COMMANDS = """
validate w.gpwf.yaml {options}
plan w.gpwf.yaml {options}
plan w.gpwf.yaml --tasks --why {options}
plan w.gpwf.yaml --tasks --why --format json {options}
show w.gpwf.yaml {options}
show w.gpwf.yaml --format json {options}
graph w.gpwf.yaml {options} -o graph.mmd
graph w.gpwf.yaml {options} -o graph.html
graph w.gpwf.yaml {options} --tasks -o graph.dot
run w.gpwf.yaml --dry-run {options}
runs
runs --format json
status run
status run --format json
logs run --level debug
logs run bad --format json
products run
products run --format json
why run good
why run bad --format json
prov show run --detail full -o prov.html
prov show run --detail task -o prov.dot
prov export run --format json -o prov.json
prov export run --format provn -o prov.provn
prov export run --format jsonld -o prov.jsonld
prov query run --of good --parameters
prov query run --attempts
prov diff run again
prov diff run again --format json
prov validate run
"""


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fill a folder with a workflow and its secrets; return the options that give the others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / CANARIES["folder"]).mkdir()
    (tmp_path / CANARIES["folder"] / "given.txt").write_text("given\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "canary_kit.py").write_text(KIT)
    (tmp_path / "w.gpwf.yaml").write_text(WORKFLOW % CANARIES)
    (tmp_path / "given.yaml").write_text(f"db_password: {CANARIES['file']}\n")
    for name, value in {
        "CANARY": CANARIES["env"],
        "CANARY_SHORT": CANARIES["short"],
        "CANARY_LISTED": LISTED,
        "CANARY_FOLDER": str(tmp_path / CANARIES["folder"]),
        "CANARY_UNUSED": CANARIES["unused"],
        "GPWF_API_TOKEN": CANARIES["named"],
        "PYTHONPATH": str(tmp_path / "lib"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    return [
        *("-p", f"api_token={CANARIES['param']}", "--params", "given.yaml"),
        *(
            "--set",
            f"params.auth_key={CANARIES['set']}",
        ),
        *("-p", f"address=https://me:{CANARIES['url']}@example.org/x", "--store", "store"),
    ]


def run_gpwf(*arguments: str) -> str:
    """Run the command line in a process of its own; return all it says."""
    done = subprocess.run(
        [sys.executable, str(HERE / "quickcli.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    return done.stdout + done.stderr


def canaries_in(text: str) -> list[str]:
    """Return the canaries that a text has; the short one is looked for alone."""
    found = [name for name in CANARIES if name != "short"]
    hits = [name for name in found if CANARIES[name] in text]
    return hits + [name for name in (GITHUB, "hunter2-4720") if name in text]


def files_in(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield every file below some folders, with its path, which is a text as well."""
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                yield str(path), f"{path}\n{path.read_bytes().decode(errors='replace')}"


def test_no_file_and_no_command_tells_a_secret(secrets: list[str], tmp_path: Path) -> None:
    said = run_gpwf("run", "w.gpwf.yaml", *secrets, "--run-dir", "run", "--progress", "plain")
    assert "raised ValueError: failed with https://me:[redacted]@example.org" in said
    assert canaries_in(said) == []
    told = {path: canaries_in(text) for path, text in files_in("run", "store")}
    assert len(told) > 12
    found = {path: names for path, names in told.items() if names}
    assert {path for path in found if not any(part in path for part in ALLOWED)} == set()
    assert found["run/workflow.yaml"] == ["meta"]
    assert {name for path in found if "inputs.jsonl" in path for name in found[path]} == {"folder"}

    again = run_gpwf("run", "w.gpwf.yaml", *secrets, "--run-dir", "again", "--progress", "plain")
    assert "2 cached" in again or "3 cached" in again
    assert canaries_in(again) == []
    options = [item for item in secrets if item not in ("--store", "store")]
    for line in COMMANDS.strip().splitlines():
        words = [part for word in line.split() for part in _filled(word, options)]
        result = CliRunner().invoke(cli, words, env={"GPWF_STORE": str(tmp_path / "store")})
        no_dot = "Graphviz" in result.output
        assert isinstance(result.exception, (SystemExit, type(None))), (line, result.exception)
        assert result.exit_code in (0, 1) or no_dot, (line, result.output)
        assert canaries_in(result.output) == [], line
    made = [path for path in tmp_path.iterdir() if path.is_file() and "prov" in path.name]
    assert len(made) >= 5
    for path in (*made, *tmp_path.glob("graph.*")):
        assert canaries_in(path.read_text()) == [], path


def _filled(word: str, options: list[str]) -> list[str]:
    return options if word == "{options}" else [word]


def test_what_is_listed_is_recorded_and_what_is_short_is_left_out(secrets: list[str]) -> None:
    run_gpwf("run", "w.gpwf.yaml", *secrets, "--run-dir", "run", "-q", "--target", "pinned")
    plan = json.loads(Path("run/plan.json").read_text())
    (shape,) = plan["shapes"]
    assert shape["settings"]["argv"][3:] == ["[redacted]", LISTED]
    assert list(shape["sealed"]) == ["argv.3"]
    (decision,) = next(s for s in plan["steps"] if s["name"] == "pinned")["condition"]["cases"]
    assert decision["values"] == {"env.CANARY": "[redacted]"}
    assert LISTED in Path("run/prov/prov.json").read_text()


def test_anonymous_runs_say_neither_who_nor_where(
    secrets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    home = tmp_path / "homes" / "ada-lovelace"
    home.mkdir(parents=True)
    (home / "given.txt").write_text("x")
    for name, value in {
        "HOME": str(home),
        "USER": "ada-lovelace",
        "LOGNAME": "ada-lovelace",
    }.items():
        monkeypatch.setenv(name, value)
    text = (tmp_path / "w.gpwf.yaml").read_text()
    (home / "w.gpwf.yaml").write_text(
        text.replace("${env.CANARY_FOLDER}/given.txt", f"{home}/given.txt")
    )
    where = ["--run-dir", "run", "--progress", "plain", *secrets]
    run_gpwf("run", str(home / "w.gpwf.yaml"), *where, "--anonymous")
    names = ["ada-lovelace"]
    if not socket.gethostname().startswith("localhost"):
        names.append(f'"{socket.gethostname()}"')
    files = dict(files_in("run"))
    for path, found in files.items():
        if "work" not in path.split("/"):
            assert [name for name in names if name in found] == [], path
    assert "~/given.txt" in files["run/plan.json"]
    assert '"gpwf:user"' not in files["run/prov/prov.json"]
    assert '"gpwf:host"' not in files["run/prov/prov.json"]

    run_gpwf("run", str(home / "w.gpwf.yaml"), *where[2:], "--run-dir", "open")
    assert '"gpwf:user":"ada-lovelace"' in Path("open/prov/prov.json").read_text()
    result = CliRunner().invoke(cli, ["prov", "export", "open", "--anonymous", "-o", "a.json"])
    assert result.exit_code == 0, result.output
    record = json.loads(Path("a.json").read_text())
    assert "gpwf:user-anonymous" in record["agent"]
    assert [name for name in names if name in Path("a.json").read_text()] == []
    checked = CliRunner().invoke(cli, ["prov", "validate", "a.json"])
    assert checked.exit_code == 0, checked.output
