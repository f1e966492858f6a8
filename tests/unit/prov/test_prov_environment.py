"""What is recorded of the machine, and what never is."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path

import pytest

from gpwf.core.redact import REDACTED, looks_secret, redact_environment, redact_text
from gpwf.prov.environment import capture_agent, capture_environment, redact_command


def test_distributions_are_those_of_importlib() -> None:
    """The fast way over folder names finds what the slow way over metadata finds."""
    found = capture_environment()["distributions"]
    expected: dict[str, str] = {}
    for item in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", item.metadata["Name"]).lower()
        expected.setdefault(name, item.version)
    assert found == expected
    assert found["prov"] == importlib.metadata.version("prov")


def test_environment_is_plain_and_repeatable() -> None:
    first = capture_environment({"OMP_NUM_THREADS": "1", "GPWF_STORE": "/s", "HOME": "/h"})
    assert json.loads(json.dumps(first)) == first
    assert first == capture_environment({"OMP_NUM_THREADS": "1", "GPWF_STORE": "/s", "HOME": "/h"})
    assert first["threads"] == {"OMP_NUM_THREADS": "1"}
    assert first["variables"] == {"GPWF_STORE": "/s"}
    assert first["python"]["executable"] == sys.executable
    assert first["cpus"] >= 1
    assert first["cpu"]


def test_broken_folders_on_the_path_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Some_Thing.else-1.2.dist-info").mkdir()
    (tmp_path / "old-3.4-py3.11.egg-info").mkdir()
    before = capture_environment({})["distributions"]
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path), *sys.path])
    found = capture_environment({})["distributions"]
    assert found == before | {"some-thing-else": "1.2", "old": "3.4"}


def test_agent_names_user_and_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = capture_agent()
    assert agent["engine"] == "gpwf"
    assert agent["version"] == importlib.metadata.version("gpwf")
    assert agent["user"]

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("gpwf.prov.environment.getpass.getuser", nobody)
    assert capture_agent()["user"].startswith("uid-")


@pytest.mark.parametrize(
    "name",
    ["token", "API_KEY", "api-key", "dbPassword", "x.secret", "MY_ACCESS_KEY", "credentials"],
)
def test_secret_names(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name", ["author", "key", "obs_ids", "monkey", "tokenizer", "selection", "compass", "keyword"]
)
def test_harmless_names(name: str) -> None:
    assert not looks_secret(name)


def test_command_line_loses_secrets_and_nothing_else() -> None:
    words = [
        *("gpwf", "run", "a.yaml", "-p", "e_min=1 TeV", "--token", "abc", "--api-key=abc"),
        *("-p", "password=a b=c", "--url", "https://me:pw@host/x", "--token"),
    ]
    assert redact_command(words) == (
        *("gpwf", "run", "a.yaml", "-p", "e_min=1 TeV", "--token", REDACTED),
        f"--api-key={REDACTED}",
        *("-p", f"password={REDACTED}", "--url", f"https://me:{REDACTED}@host/x", "--token"),
    )


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1B2" * 9,
        "AKIA" + "ABCD" * 4,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_secret_values_go_whatever_their_name(secret: str) -> None:
    assert redact_text(f"note: before {secret} after") == f"note: before {REDACTED} after"


@pytest.mark.parametrize(
    "text",
    [
        "params: {password: {type: string, default: SECRET}}",
        "params: {n: {default: 1}, apiToken: {default: SECRET, type: string}}",
        'params: {"token": {"choices": {"a": 1}, "default": "SECRET"}}',
        "params:\n  my_password:\n    type: string\n\n    # why\n    default: 'SECRET words'\n",
        "params:\n  password: # for the archive\n      default: SECRET\n      help: text\n",
        "params: {password: SECRET}",
    ],
)
def test_the_default_of_a_secret_parameter_goes(text: str) -> None:
    shown = redact_text(text)
    assert "SECRET" not in shown
    before, _, after = text.partition("SECRET")
    assert shown.startswith(before.rstrip("'\""))
    assert shown.endswith(after.lstrip(" words'\""))


@pytest.mark.parametrize(
    "text",
    [
        "params:\n  author: {default: x}\n  token: ${env.TOKEN}\n  n: {default: 1}\n",
        "params:\n  password: {default: '${env.X}'}\n",
        "steps:\n- name: token\n  config: {default: 3}\n",
        "password:\nother:\n  default: harmless\n",
    ],
)
def test_other_defaults_stay(text: str) -> None:
    assert redact_text(text) == text


def test_text_of_a_workflow_keeps_everything_else() -> None:
    text = 'steps:\n  - tag: fit # author: me\n    config: {n: 1, "api_token": "a b", x: 2}\n'
    assert redact_text(text) == text.replace('"a b"', REDACTED)
    reference = "api_token: ${env.TOKEN}\n"
    assert redact_text(reference) == reference


def test_environment_variables_are_an_allow_list() -> None:
    variables = {"GPWF_TOKEN": "x", "PATH": "/bin", "TZ": "UTC", "AWS_SECRET_ACCESS_KEY": "y"}
    assert redact_environment(variables) == {"GPWF_TOKEN": REDACTED, "TZ": "UTC"}
