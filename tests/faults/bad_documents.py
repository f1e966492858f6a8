"""Workflow files that ask for too much time, too much memory or too much patience.

Each case is a function that writes what it needs into a folder and returns the path for
``gpwf validate``, with the codes of the problems that must be found. The faults tests check the
codes and the memory; ``benchmarks/bad_input.py`` measures the time.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CASES", "Case"]

HEAD = "gpwf: 1\nsteps:\n  - {tag: models, config: {file: m.yaml}}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A bad input.

    Parameters
    ----------
    name : str
        What it is.
    write : callable
        Takes a folder; returns the path to validate.
    codes : frozenset of str
        Codes of the problems; at least one must be found, and none that is not here.
    line : int, optional
        Line of the first problem.
    """

    name: str
    write: Callable[[Path], Path]
    codes: frozenset[str]
    line: int | None = 1


CASES: list[Case] = []


def _case(
    name: str, codes: str, content: Callable[[], str | bytes] | str | bytes, line: int | None = 1
) -> None:
    """Add a case whose file has some content."""

    def write(folder: Path) -> Path:
        path = folder / "w.yaml"
        data = content() if callable(content) else content
        path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
        return path

    CASES.append(Case(name=name, write=write, codes=frozenset(codes.split()), line=line))


def _special(name: str, codes: str, make: Callable[[Path], None]) -> None:
    """Add a case whose path is no ordinary file."""

    def write(folder: Path) -> Path:
        path = folder / "w.yaml"
        make(path)
        return path

    CASES.append(Case(name=name, write=write, codes=frozenset(codes.split()), line=1))


def _many(count: int, form: str) -> str:
    return "".join(form.format(n, n + 1) for n in range(count))


# bombs
_case(
    "a bomb of lists",
    "GP110",
    lambda: "a0: &a0 [x, x]\n" + _many(60, "a{1}: &a{1} [*a{0}, *a{0}]\n"),
    None,
)
_case(
    "a bomb of mappings",
    "GP110",
    lambda: "a0: &a0 {x: 1}\n" + _many(60, "a{1}: &a{1} {{l: *a{0}, r: *a{0}}}\n"),
    None,
)
_case(
    "nested merges",
    "GP107 GP110",
    lambda: "a0: &a0 {x: 1}\n" + _many(60, "a{1}: &a{1} {{<<: [*a{0}, *a{0}], k{0}: 1}}\n"),
    None,
)
_case(
    "one long list, many times",
    "GP110",
    lambda: "a: &a [" + "1," * 10_000 + "]\nb: [" + "*a," * 10_000 + "]\n",
    None,
)
_case(
    "one long text, many times",
    "GP201 GP110",
    lambda: HEAD + "a: &a '" + "x" * 100_000 + "'\nb: [" + "*a," * 50_000 + "]\n",
    None,
)
_case(
    "one long text as a key, many times",
    "GP106 GP201 GP110",
    lambda: "a: &a '" + "x" * 100_000 + "'\nb:\n" + " *a : 1\n" * 50_000,
    None,
)
_case("an alias inside its anchor", "GP112", HEAD + "metadata: &m {a: *m, b: [*m, *m]}\n", 4)
_case("two circular aliases", "GP112", HEAD + "metadata: {a: &a [*b], b: &b [*a]}\n", 4)
_case("a chain of anchors", "GP201 GP110", lambda: _many(100_000, "a{1}: &a{1} x\n"), None)

# nesting
_DEEP = 100_000
for _word, _unit in (
    ("flow lists", "["),
    ("flow mappings", "{a: "),
    ("flow mappings without keys", "{"),
    ("lists in mappings", "[{a: "),
    ("block lists", "- "),
    ("explicit keys", "? "),
    ("empty keys", ": "),
    ("lists with tags", "!a ["),
    ("lists with anchors", "&a ["),
    ("anchored block lists", "- &a "),
):
    _case(
        f"{_DEEP} deep: {_word}",
        "GP104 GP108 GP110 GP111 GP112",
        lambda unit=_unit: unit * _DEEP,
        None,
    )
_case(
    f"{_DEEP} deep: closed lists",
    "GP110",
    lambda: "a: " + "[" * _DEEP + "]" * _DEEP,
)
_case(
    f"{_DEEP} deep: closed mappings",
    "GP110",
    lambda: "a: " + "{a: " * _DEEP + "1" + "}" * _DEEP,
)
_case(
    "1900 deep: block mappings",
    "GP110",
    lambda: "".join(" " * n + "a:\n" for n in range(1900)),
    None,
)
_case(
    "1900 deep: block lists over lines",
    "GP110",
    lambda: "".join(" " * n + "-\n" for n in range(1900)),
    None,
)
_case(
    f"{_DEEP} closing brackets",
    "GP104",
    lambda: "a: [" + "]" * _DEEP,
)

# size


def _sparse(size: int, head: bytes = b"gpwf: 1\n") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as stream:
            stream.write(head)
            stream.truncate(size)

    return make


def _socket(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is at most 107 bytes
    try:
        server.bind(path.name)
    finally:
        os.chdir(here)
        server.close()


_special("1 GB, sparse", "GP110", _sparse(10**9))
_special("1 TB, sparse", "GP110", _sparse(10**12))
_special("NUL bytes only, 3 MB", "GP103", _sparse(3_000_000, b""))
_special("/dev/zero", "GP101 GP110", lambda path: path.symlink_to("/dev/zero"))
_special("/dev/urandom", "GP101 GP110 GP102", lambda path: path.symlink_to("/dev/urandom"))
_special("/dev/full", "GP101 GP110", lambda path: path.symlink_to("/dev/full"))
_special("/dev/null", "GP101 GP114", lambda path: path.symlink_to("/dev/null"))
_special("/proc/self/mem", "GP101", lambda path: path.symlink_to("/proc/self/mem"))
_special("a pipe that nobody writes to", "GP101", lambda path: os.mkfifo(path))
_special("a socket", "GP101", _socket)
_special("a link to itself", "GP101", lambda path: path.symlink_to(path.name))
_special("a folder", "GP101", lambda path: path.mkdir())
_special("no file", "GP101", lambda _: None)

_case("a text of 10 MB", "GP110", lambda: "a: " + "x" * 10_000_000)
_case("a text of 3.9 MB", "GP201 GP202", lambda: "a: " + "x" * 3_900_000)
_case("words of 3.9 MB", "GP201 GP202", lambda: "a: " + "xyz " * 975_000)
_case("quotes of 3.9 MB", "GP201 GP202", lambda: "a: '" + "x''" * 1_300_000 + "'")
_case("escapes of 3.9 MB", "GP201 GP202", lambda: 'a: "' + "\\x41" * 975_000 + '"')
_case("a folded text of 1 300 000 lines", "GP201 GP202", lambda: "a:\n" + " x\n" * 1_300_000)
_case("a block of 1 300 000 lines", "GP201 GP202", lambda: "a: |\n" + " x\n" * 1_300_000)
_case("comments of 3.9 MB", "GP114", lambda: "#\n" * 1_950_000)
_case("3.9 million empty lines", "GP114", lambda: "\n" * 3_900_000)
_case("3.9 million spaces", "GP114", lambda: " " * 3_900_000)
_case("a gpwf of 3.9 MB", "GP206 GP202", lambda: "gpwf: " + "x" * 3_900_000)
_case("a tag of 3.9 MB", "GP204", lambda: "gpwf: 1\nsteps: [{tag: " + "x" * 3_900_000 + "}]", 2)
_case("a name of 3.9 MB", "GP205", lambda: HEAD + "name: '" + "x\\n" * 1_300_000 + "'", 4)
_case(
    "an expression of 3.9 MB",
    "GP110",
    lambda: "gpwf: 1\nsteps: [{tag: models, config: {file: '" + "${" * 1_950_000 + "'}}]",
    2,
)
_case(
    "500 000 expressions in one text",
    "GP110",
    lambda: "gpwf: 1\nsteps: [{tag: models, config: {file: '" + "${a.b}" * 500_000 + "'}}]",
    2,
)
_case("1 000 000 keys", "GP110", lambda: "".join(f"k{n}:\n" for n in range(1_000_000)))
_case("550 000 keys", "GP110", lambda: _many(550_000, "k{0:x}:\n")[:3_999_000], None)
_case("2 000 000 values", "GP110", lambda: "a: [" + "1," * 1_990_000 + "]")
_case("100 000 steps", "GP110", lambda: "gpwf: 1\nsteps:\n" + "- {tag: fit}\n" * 100_000, None)
_case("the same key 500 000 times", "GP106 GP110", lambda: "a: 1\n" * 500_000, 2)
_case("15 000 unknown keys", "GP201 GP202", lambda: _many(15_000, "k{0}: 1\n"))
_case(
    "1 000 unknown step types",
    "GP204 GP208",
    lambda: "gpwf: 1\nsteps:\n" + _many(1_000, "- {{tag: t{0}}}\n"),
    None,
)
_case(
    "33 000 steps",
    "GP110 GP204 GP208",
    lambda: "gpwf: 1\nsteps:\n" + "- {tag: fit}\n" * 33_000,
    None,
)
_case(
    "10 000 steps, the last one wrong",
    "GP110 GP204",
    lambda: (
        "gpwf: 1\nsteps:\n"
        + _many(10_000, "- {{name: m{0}, tag: models, config: {{file: m.yaml}}}}\n")
        + "- {tag: x}\n"
    ),
    None,
)
_case(
    "1 000 steps, the last one wrong",
    "GP204",
    lambda: (
        "gpwf: 1\nsteps:\n"
        + _many(999, "- {{name: m{0}, tag: models, config: {{file: m.yaml}}}}\n")
        + "- {tag: x}\n"
    ),
    1002,
)
_case(
    "70 000 values in settings",
    "GP302 GP304",
    lambda: (
        "gpwf: 1\nsteps:\n- {tag: observations, config: {datastore: x, obs_ids: ["
        + "1," * 70_000
        + "x]}}\n"
    ),
    3,
)
_case(
    "15 000 wrong settings",
    "GP301",
    lambda: (
        "gpwf: 1\nsteps: [{tag: models, config: {file: m,\n" + _many(15_000, "k{0}: 1,\n") + "}}]"
    ),
    3,
)
_case(
    "4 900 parameters that nothing uses",
    "GP401",
    lambda: (
        "gpwf: 1\nparams:\n"
        + _many(4_900, "  k{0}: '${{params.k{1}}}'\n")
        + "  k4900: '${'\nsteps: [{tag: models, config: {file: m}}]\n"
    ),
    None,
)

# what YAML has and gpwf has not
_case("a Python object", "GP108 GP203", HEAD + "name: !!python/object/apply:os.system [ls]\n", 4)
_case("100 000 tags", "GP108", lambda: "a: [" + "!!int 1," * 100_000 + "]")
_case("a tag of 1 MB", "GP108 GP201 GP202", lambda: "a: !" + "x" * 1_000_000 + " 1\n")
_case("a binary value", "GP108 GP205", HEAD + "name: !!binary aGVsbG8=\n", 4)
_case("an anchor of 1 MB", "GP112 GP201 GP202", lambda: "a: *" + "x" * 1_000_000 + "\n")
_case("100 000 aliases without anchors", "GP112", lambda: "a: [" + "*x," * 100_000 + "]")
_case("100 000 documents", "GP109", lambda: HEAD + "---\na: 1\n" * 100_000, 4)
_case("500 000 directives", "GP104 GP114", lambda: "%a b\n" * 500_000, None)
_case("version 9 of YAML", "GP104", "%YAML 9.9\n---\n" + HEAD, None)
_case("100 000 merge keys", "GP107", lambda: "a:\n" + "  <<: {b: 1}\n" * 100_000, 2)
_case("100 000 wrong keys", "GP111", lambda: "a:\n" + "  [b]: 1\n" * 100_000, 2)

# encodings
for _encoding in ("utf-16", "utf-32"):
    _case(f"{_encoding} with a mark", "GP102", HEAD.encode(_encoding))
    for _order in ("le", "be"):
        _case(f"{_encoding}-{_order}", "GP103", HEAD.encode(f"{_encoding}-{_order}"))
_case("latin-1", "GP102", (HEAD + "name: Höhe\n").encode("latin-1"), 4)
_case("a lone surrogate", "GP102", HEAD + "name: a\ud800b\n", 4)
_case("an escaped lone surrogate", "GP103", HEAD + 'name: "a\\ud800b"\n', 4)
_case("an escape beyond Unicode", "GP103", HEAD + 'name: "\\U00110000"\n', 4)
_case("a NUL", "GP103", HEAD + "name: a\0b\n", 4)
_case("an escaped NUL", "GP103 GP205", HEAD + 'name: "a\\0b"\n', 4)
_case("an escape sequence", "GP103", HEAD + "name: \x1b[31mred\n", 4)
_case("a DEL", "GP103", HEAD + "name: a\x7fb\n", 4)
_case("a second byte order mark", "GP103", "\ufeff\ufeff" + HEAD)
_case("a byte order mark inside", "GP103", HEAD + "name: a\ufeffb\n", 4)
_case("a byte order mark alone", "GP114", "\ufeff")
_case("bytes of a gzip file", "GP102", b"\x1f\x8b\x08\x00\xff\xfe\x00\x01" * 1000)
_case("3.9 MB of 0xff 0x00", "GP102", lambda: b"\xff\x00" * 1_950_000)
_case("a wrong byte at the end", "GP102", lambda: b"a: " + b"x" * 3_900_000 + b"\xff")

# white space
_case("CRLF, then a mistake", "GP201", (HEAD + "nam: x\n").replace("\n", "\r\n"), 4)
_case("CR, then a mistake", "GP201", (HEAD + "nam: x\n").replace("\n", "\r"), 4)
_case(
    "line ends of all kinds",
    "GP201",
    "gpwf: 1\r\nsteps:\r- {tag: models, config: {file: m}}\n\rnam: x",
    5,
)
_case("a tab as indentation", "GP105", "gpwf: 1\nsteps:\n\t- tag: fit\n", 3)
_case("a tab after spaces", "GP105", "gpwf: 1\nsteps:\n  - tag: fit\n  \tname: x\n", 4)
_case("1 000 000 tabs", "GP104 GP105", lambda: "a:\n" + "\t" * 1_000_000 + "b: 1\n", 2)
_case("no-break spaces", "GP202 GP203 GP201", "gpwf:\u00a01\nsteps:\u00a0[]\n", None)

# numbers and versions
_case("1e400", "GP113", HEAD + "metadata: {a: 1e400}\n", 4)
_case("infinity", "GP113", HEAD + "metadata: {a: -.inf}\n", 4)
_case("a whole number of 10 000 digits", "GP113", HEAD + f"metadata: {{a: 1{'0' * 10_000}}}\n", 4)
_case("a whole number of 3.9 MB", "GP113", lambda: HEAD + f"metadata: {{a: {'9' * 3_900_000}}}", 4)
_case(
    "a hexadecimal number of 3.9 MB", "GP113 GP205", lambda: HEAD + "name: 0x" + "f" * 3_900_000, 4
)
_case("a decimal number of 3.9 MB", "GP203", lambda: HEAD + "name: 0." + "1" * 3_900_000, 4)
_case("an exponent of 10 000 digits", "GP113", HEAD + f"metadata: {{a: 1e{'9' * 10_000}}}\n", 4)
_case(
    "a quantity of 3.9 MB",
    "GP302 GP303 GP304 GP305",
    lambda: (
        "gpwf: 1\nsteps: [{tag: flux-points, config: {energy: {min: " + "1" * 3_900_000 + " TeV}}}]"
    ),
    2,
)
for _version in ("2", "0", "-1", "1.1", '"1"', "1e0", "true", "null", "[1]", "{1: 1}", "v1", "01"):
    _case(
        f"gpwf: {_version}",
        "GP206 GP111",
        HEAD.replace("gpwf: 1", f"gpwf: {_version}"),
    )
_case("gpwf: 1.0", "GP206", HEAD.replace("gpwf: 1", "gpwf: 1.0"))
_case("no gpwf", "GP202", HEAD.removeprefix("gpwf: 1\n"))
_case("nothing", "GP114", "")
_case("a number", "GP203", "1")
_case("a text", "GP203", "hello")
_case("a list", "GP203", "- gpwf\n- steps\n")
_case("null", "GP203 GP114", "null\n")

# references
_case(
    "a parameter of itself",
    "GP404 GP411",
    "gpwf: 1\nparams: {a: '${params.a}'}\nsteps: [{tag: models, config: {file: '${params.a}'}}]\n",
    2,
)
_case(
    "a circle of 4 900 parameters",
    "GP404",
    lambda: (
        "gpwf: 1\nparams:\n"
        + "".join(f"  p{n}: '${{params.p{(n + 1) % 4_900}}}'\n" for n in range(4_900))
        + "steps: [{tag: models, config: {file: '${params.p0}'}}]\n"
    ),
    3,
)
_case(
    "texts of texts",
    "GP403",
    lambda: (
        "gpwf: 1\nparams:\n  p0: xxxxxxxxxx\n"
        + "".join(f"  p{n + 1}: '{f'${{params.p{n}}}' * 20}'\n" for n in range(20))
        + "steps: [{tag: models, config: {file: '${params.p20}'}}]\n"
    ),
    None,
)
_case(
    "lists of lists",
    "GP110",
    lambda: "gpwf: 1\nparams:\n  p0: [x]\n"
    + "".join(f"  p{n + 1}: [{f'${{params.p{n}}},' * 20}]\n".replace("$", "'$").replace("},", "}',")
              for n in range(20))
    + "steps: [{tag: models, config: {file: '${params.p20}'}}]\n",
    None,
)  # fmt: skip
_case(
    "brackets within brackets",
    "GP401",
    lambda: (
        "gpwf: 1\nsteps: [{tag: models, config: {file: '${"
        + "params[" * 100_000
        + "a"
        + "]" * 100_000
        + "}'}}]\n"
    ),
    2,
)
