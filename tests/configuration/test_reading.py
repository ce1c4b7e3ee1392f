"""What a file says, and every mistake in it with its line and the word that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from runworthy.configuration.finding import Found
from runworthy.configuration.model import Configuration
from runworthy.configuration.reading import configuration
from runworthy.configuration.toml import lines
from runworthy.model.errors import UsageError
from runworthy.model.waiver import Waiver

WHOLE = """\
subjects = ["build/app", "dist/*.whl"]
on = "@production"
page-size = "64k"
env = { LD_LIBRARY_PATH = "/opt/lib" }
fail-on = "risky"
max-unknown = 2

[targets]
production = ["alpine:3.20", "debian:12"]

[[check]]
subjects = "plugin.so"
loaded-by = "/usr/bin/app"
on = "debian:12"

[floor]
max-glibc = "2.28"

[[waiver]]
code = "RW301"
reason = "known"
expires = 2027-01-31

[[waiver]]
code = ["RW202", "version-too-new"]
subject = "dist/*.whl"
target = ["alpine:*"]
fingerprint = "0123456789abcdef"
reason = "known too"
expires = "never"
"""


EXPIRES = "it says the day from which it counts again, as 2027-01-31, or `never`"


def read(text: str, name: str = "runworthy.toml") -> Configuration:
    return configuration(Found(path=name, data=text.encode()))


def refusal(text: str) -> list[str]:
    with pytest.raises(UsageError) as refused:
        read(text)
    error = refused.value
    return [str(error), *getattr(error, "__notes__", ()), *([f"hint: {error.hint}"] if error.hint else [])]


def test_everything() -> None:
    held = read(WHOLE)
    assert held.options == {
        "on": ("@production",),
        "page-size": "64k",
        "env": {"LD_LIBRARY_PATH": "/opt/lib"},
        "fail-on": "risky",
        "max-unknown": 2,
    }
    own = {"on": ("@production",), "page-size": "64k", "env": {"LD_LIBRARY_PATH": "/opt/lib"}}
    assert [(check.subjects, check.options, check.place) for check in held.checks] == [
        (("build/app", "dist/*.whl"), own, ()),
        (("plugin.so",), {**own, "loaded-by": "/usr/bin/app", "on": ("debian:12",)}, ("check", 0)),
    ]
    assert held.sets == {"production": ("alpine:3.20", "debian:12")}
    assert held.floor == {"max-glibc": "2.28"}
    assert held.waivers == (
        Waiver(codes=("RW301",), reason="known", expires="2027-01-31", file="runworthy.toml", line=19),
        Waiver(
            codes=("RW202", "version-too-new"),
            subjects=("dist/*.whl",),
            targets=("alpine:*",),
            fingerprint="0123456789abcdef",
            reason="known too",
            expires="never",
            file="runworthy.toml",
            line=24,
        ),
    )
    assert held.place(("check", 0, "on")) == "runworthy.toml line 14"
    assert held.place(("env", "LD_LIBRARY_PATH")) == "runworthy.toml line 4"


def test_the_table_of_pyproject_says_the_same() -> None:
    shared = WHOLE.replace("[targets]", "[tool.runworthy.targets]").replace("[floor]", "[tool.runworthy.floor]")
    shared = shared.replace("[[check]]", "[[tool.runworthy.check]]").replace("[[waiver]]", "[[tool.runworthy.waiver]]")
    held = read(f"[project]\nname = 'x'\n[tool.runworthy]\n{shared}", "pyproject.toml")
    own = read(WHOLE)
    assert (held.options, held.checks, held.sets, held.floor) == (own.options, own.checks, own.sets, own.floor)
    assert [waiver.line for waiver in held.waivers] == [22, 27]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("onn = 'x'", ["runworthy.toml line 1: there is no key `onn`", "hint: did you mean `on`?"]),
        (
            "\nassume_present = 'x'",
            ["runworthy.toml line 2: there is no key `assume_present`", "hint: did you mean `assume-present`?"],
        ),
        (
            "kernel = 5.1",
            [
                "runworthy.toml line 1: `kernel` is 5.1, and no text",
                'hint: write it in quotes: kernel = "5.1"',
            ],
        ),
        ("on = []", ["runworthy.toml line 1: `on` is an empty list, and no text or a list of texts"]),
        ("on = ['a', 1]", ["runworthy.toml line 1: `on` is a list, and no text or a list of texts"]),
        ("strict = 'yes'", ["runworthy.toml line 1: `strict` is `yes`, and not true or false"]),
        ("max-fails = -1", ["runworthy.toml line 1: `max-fails` is -1, and no whole number that is not below 0"]),
        ("fail-on = 'all'", ["runworthy.toml line 1: `fail-on` is `all`", "hint: it can be fails and risky"]),
        ("check = 'app'", ["runworthy.toml line 1: `check` is `app`, and no array of tables",
                           "hint: write it as [[check]]"]),
        ("[check]\non = 'x'", ["runworthy.toml line 1: `check` is a table, and no array of tables",
                               "hint: write it as [[check]]"]),
        ("[[check]]\non = 'x'", ["runworthy.toml line 1: [[check]] has no `subjects`",
         "hint: it says files, directories, and patterns of such, from the directory of this file"]),
        ("[env]\nlang = 'x'", ["runworthy.toml line 2: `lang` is no name for a variable"]),
        ("[env]\nHOME = 1", ["runworthy.toml line 2: `HOME` is 1, and no text",
                             'hint: write it in quotes: HOME = "1"']),
        ("[targets]\n'a b' = 'x'", ["runworthy.toml line 2: `a b` is no name for a set"]),
        ("[targets]\na = 1", ["runworthy.toml line 2: `a` is 1, and no text or a list of texts"]),
        (
            "# first\n\n[[waiver]]\ncode = 'RW301'\nexpires = 'soon'\n\n[[waiver]]\nreasn = 'x'\n",
            [
                "runworthy.toml line 5: `expires` is `soon`, and no day as 2027-01-31, or `never`",
                "runworthy.toml line 3: [[waiver]] has no `reason` (it says why it does not count)",
                "runworthy.toml line 8: there is no key `reasn` in [[waiver]] (did you mean `reason`?)",
                "runworthy.toml line 7: [[waiver]] has no `code` (it says codes or names of findings)",
                "runworthy.toml line 7: [[waiver]] has no `reason` (it says why it does not count)",
                f"runworthy.toml line 7: [[waiver]] has no `expires` ({EXPIRES})",
            ],
        ),
        ("[[waiver]]\ncode='RW301'\nreason='x'\nexpires = 2027-01-31T00:00:00Z",
         ["runworthy.toml line 4: `expires` is 2027-01-31 00:00:00+00:00, and no day as 2027-01-31, or `never`"]),
        ("[[waiver]]\ncode='RW301'\nreason=''\nexpires = 'never'",
         ["runworthy.toml line 3: `reason` is ``, and no text"]),
    ],
)  # fmt: skip
def test_mistakes(text: str, told: list[str]) -> None:
    assert refusal(text) == told


def test_no_more_is_told_than_a_person_reads() -> None:
    told = refusal("\n".join(f"key{number} = 1" for number in range(200)))
    assert len(told) == 11
    assert told[9] == "and 191 more like these"
    assert all(len(line) < 1000 for line in told)


def test_lines_of_what_is_hard_to_scan() -> None:
    text = (
        'a = """\n[no]\nb = 1\n"""\n'
        'c = [ # ]\n  \'x]\', "y\\"]",\n  [1, {d = 2}],\n]\n'
        "'e.f' = 1\n"
        "[g . \"h\"]\ni.j = '''\n'''\n"
        "[[k]]\n[[k]]\nl = 1\n[k.m]\nn = 1\n[[k.o]]\np = 1\n"
        'q = """x"""""\nr = 1\r\ns = 1\n'
    )
    assert lines(text) == {
        ("a",): 1,
        ("c",): 5,
        ("e.f",): 9,
        ("g", "h"): 10,
        ("g", "h", "i", "j"): 11,
        ("k", 0): 13,
        ("k", 1): 14,
        ("k", 1, "l"): 15,
        ("k", 1, "m"): 16,
        ("k", 1, "m", "n"): 17,
        ("k", 1, "o", 0): 18,
        ("k", 1, "o", 0, "p"): 19,
        ("k", 1, "o", 0, "q"): 20,
        ("k", 1, "o", 0, "r"): 21,
        ("k", 1, "o", 0, "s"): 22,
    }


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    held = read("")
    assert (held.options, held.checks, held.waivers) == ({}, (), ())
