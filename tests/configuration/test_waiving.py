"""Waivers on reports: what they are of, what the exit code then says, and what is amiss with them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from runworthy.configuration.waiving import waived
from runworthy.model.errors import UsageError
from runworthy.model.finding import VERDICTS, Finding, Limits, Report, Result, Verdict
from runworthy.model.records import replace
from runworthy.model.waiver import Waiver
from tests.report.made import finding, report, result

DAY = "2026-12-01"


def waiver(*codes: str, **more: object) -> Waiver:
    fields: dict[str, object] = {"codes": codes or ("RW301",), "reason": "known", "expires": "never", "line": 7}
    return Waiver(**(fields | {"file": "runworthy.toml"} | more))  # type: ignore[arg-type] # the fields of the test's choice


def fails(code: str = "RW301", weight: Verdict = "fails") -> Finding:
    names = {"RW301": "version-too-new", "RW202": "missing-library", "RW207": "outside-core"}
    return finding(code=code, name=names.get(code, "other"), weight=weight)


def cell(target: str, verdict: Verdict, *findings: Finding, rest: Verdict = "runs", subject: str = "app") -> Result:
    return result(target, verdict, *findings, subject=subject, rest=rest)


def codes_of(held: Report) -> list[str]:
    return [one.code for one in held.results[-1].findings] if not held.results[-1].target else []


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("first", "second", "rest"), [*product(VERDICTS, repeat=3)])
def test_what_counts_is_the_worst_of_what_is_not_waived(
    first: Verdict, second: Verdict, rest: Verdict, *, both: bool
) -> None:
    verdict = max((first, second, rest), key=VERDICTS.index)
    before = report(cell("debian:12", verdict, fails("RW301", first), fails("RW202", second), rest=rest))
    after = waived(before, [waiver(*(("RW301", "RW202") if both else ("RW301",)))], day=DAY)
    (found,) = after.results
    left = (rest,) if both else (second, rest)
    assert found.verdict == verdict
    assert found.counted == max(left, key=VERDICTS.index)
    assert after.waived == 1 + both
    for risky, strict in product((False, True), repeat=2):
        expected = {"runs": 0, "risky": int(risky), "unknown": 1 if strict else 4, "fails": 1}[found.counted]
        assert after.exit_code(fail_on_risky=risky, strict=strict) == expected


@pytest.mark.parametrize(
    ("verdicts", "limits", "codes"),
    [  # codes: usual, with --fail-on risky, with --strict
        (("fails",), Limits(), (1, 1, 1)),
        (("fails",), Limits(fails=1), (0, 0, 0)),
        (("fails", "fails"), Limits(fails=1), (1, 1, 1)),
        (("fails", "unknown"), Limits(fails=1), (4, 4, 1)),
        (("unknown", "unknown"), Limits(unknown=2), (0, 0, 0)),
        (("unknown", "unknown"), Limits(unknown=1), (4, 4, 1)),
        (("risky", "risky"), Limits(), (0, 1, 0)),
        (("risky", "risky"), Limits(risky=1), (1, 1, 1)),
        (("risky", "risky"), Limits(risky=2), (0, 0, 0)),
        (("risky",), Limits(risky=0), (1, 1, 1)),
        (("runs",), Limits(), (0, 0, 0)),
    ],
)
def test_limits(verdicts: tuple[Verdict, ...], limits: Limits, codes: tuple[int, int, int]) -> None:
    held = report(*(cell(f"x:{number}", verdict) for number, verdict in enumerate(verdicts)))
    ways: tuple[dict[str, bool], ...] = ({}, {"fail_on_risky": True}, {"strict": True})
    assert tuple(held.exit_code(limits=limits, **way) for way in ways) == codes


@pytest.mark.parametrize(
    ("held", "is_of"),
    [
        (waiver(), True),
        (waiver("rw301"), True),
        (waiver("version-too-new"), True),
        (waiver("Version_Too_New"), True),
        (waiver("RW202"), False),
        (waiver("RW202", "RW301"), True),
        (waiver(subjects=("dist/*.whl",)), True),
        (waiver(subjects=("dist/a.whl!pkg/*",)), True),
        (waiver(subjects=("_core.so",)), True),
        (waiver(subjects=("build",)), False),
        (waiver(subjects=("build", "dist")), True),
        (waiver(targets=("debian:12",)), True),
        (waiver(targets=("debian:12/arm64",)), True),
        (waiver(targets=("*/amd64",)), False),
        (waiver(targets=("@production",)), True),
        (waiver(targets=("@other", "debian:*")), True),
        (waiver(targets=("@production/arm64",)), True),
        (waiver(targets=("@production/amd64",)), False),
        (waiver(targets=("@glibc",)), True),  # of the catalogue
        (waiver(targets=("@release/arm64",)), True),
        (waiver(targets=("@musl",)), False),
        (waiver(targets=("@windows",)), False),  # it has no roots, and is not every target
        (waiver(subjects=("dist",), targets=("alpine:*",)), False),
        (waiver(fingerprint="0123456789abcdef"), True),
        (waiver(fingerprint="0123456789abcdee"), False),
        (waiver(expires="2026-12-01"), False),
        (waiver(expires="2026-12-02"), True),
    ],
)
def test_what_a_waiver_is_of(held: Waiver, *, is_of: bool) -> None:
    before = report(cell("debian:12/aarch64", "fails", fails(), subject="dist/a.whl!pkg/_core.so"))
    after = waived(before, [held], day=DAY, sets={"production": ("debian:12",), "other": ("x",)})
    assert bool(after.results[0].findings[0].waived) is is_of
    assert after.exit_code() == (0 if is_of else 1)


@pytest.mark.parametrize(
    ("pattern", "counts"), [("*/arm64", 0), ("*/amd64", 1), ("debian:12", 0), ("debian:12/arm64", 0)]
)
def test_a_target_has_the_architecture_of_the_subject_that_it_took(pattern: str, counts: int) -> None:
    row = replace(cell("debian:12", "fails", fails()), machine="aarch64", arch_stated=False)
    assert waived(report(row), [waiver(targets=(pattern,))], day=DAY).exit_code() == counts


def test_a_waiver_on_a_set_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="@nowhere is no set") as caught:
        waived(report(cell("debian:12", "fails", fails())), [waiver(targets=("@nowhere",))], day=DAY)
    assert "runworthy.toml line" in caught.value.__notes__[0]


def test_subjects_are_named_from_the_directory_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path / "build")
    for name in ("app", "./app", "../build/app", str(tmp_path / "build" / "app")):
        before = report(cell("debian:12", "fails", fails(), subject=name))
        after = waived(before, [waiver(subjects=("build/app",))], day=DAY, directory=str(tmp_path))
        assert after.exit_code() == 0


def test_the_first_waiver_that_still_counts_is_named() -> None:
    rows = [waiver(reason="gone", expires="2020-01-01"), waiver(reason="first"), waiver(reason="second")]
    after = waived(report(cell("debian:12", "fails", fails())), rows, day=DAY)
    found = after.results[0].findings[0].waived
    assert found is not None
    assert found.reason == "first"
    assert codes_of(after) == ["RW601"]  # and the second is not without use: it would do the same


@pytest.mark.parametrize(
    ("held", "complete", "codes"),
    [
        (waiver(), True, []),
        (waiver(expires="2026-01-01"), True, ["RW601"]),
        (waiver(expires="2026-01-01"), False, ["RW601"]),
        (waiver("RW202"), True, ["RW602"]),
        (waiver("RW202"), False, ["RW602"]),  # all was judged that it is of
        (waiver("RW202", subjects=("other",)), True, ["RW602"]),
        (waiver("RW202", subjects=("other",)), False, []),
        (waiver("RW202", targets=("other:1",)), False, []),
        (waiver(fingerprint="f"), True, ["RW602"]),
        (waiver(fingerprint="f"), False, []),
        (waiver("RW999"), True, ["RW603"]),
        (waiver("RW999", subjects=("other",)), False, ["RW603"]),
        (waiver("RW999", "RW301"), True, ["RW603"]),
        (waiver("RW999", "RW202"), True, ["RW602", "RW603"]),
        (waiver("RW999", expires="2026-01-01"), True, ["RW601"]),
    ],
)
def test_what_is_amiss(held: Waiver, codes: list[str], *, complete: bool) -> None:
    after = waived(report(cell("debian:12", "fails", fails())), [held], day=DAY, complete=complete)
    assert codes_of(after) == codes
    if codes:
        told = after.results[-1]
        assert (told.subject, told.target, told.verdict, told.counted) == ("runworthy.toml", "", "risky", "risky")
        assert len({one.fingerprint for one in told.findings}) == len(codes)


def test_what_is_amiss_with_waivers_can_be_made_to_fail() -> None:
    after = waived(report(cell("debian:12", "runs")), [waiver()], day=DAY)
    assert (after.exit_code(), after.exit_code(fail_on_risky=True)) == (0, 1)


def test_without_waivers_the_report_is_the_same() -> None:
    before = report(cell("debian:12", "fails", fails()))
    assert waived(before, (), day=DAY) is before
