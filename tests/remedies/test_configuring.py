"""Edits of a root's own configuration: what is written, what it comes to, and what takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from runworthy.formats.ld_so_cache import CacheEntry, format_ld_so_cache, read_ld_so_cache
from runworthy.model.edit import Edit, EditText, LinkFile, RunCommand, WriteFile
from runworthy.remedies.configuring import proposals
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.edits import edited, inverse
from runworthy.targets.overlay import Overlay
from tests.elfwriter import elf
from tests.remedies.made import situation, target_of, view_tree, write_tree

LOADER = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"
STATIC = elf(kind=2, dynamic=False)
G = elf(soname="libg.so.1", exports=["g"])
GLIBC_ROOT: dict[str, bytes | str] = {
    LOADER: elf(soname="ld-linux-x86-64.so.2", exports=["_dl_open"], defines=["GLIBC_2.2.5", "GLIBC_2.36"]),
    "/lib64/libc.so.6": elf(soname="libc.so.6", defines=["GLIBC_2.36"], exports=["puts"]),
    "/sbin/ldconfig": STATIC,
    "/opt/app": elf(interpreter=LOADER, needed=["libg.so.1"], imports=["g"], tags=[(21, 0)]),
    "/opt/g/libg.so.1": G,
}
MUSL_ROOT: dict[str, bytes | str] = {
    MUSL: elf(soname="libc.musl-x86_64.so.1", exports=["__libc_start_main", "stdin", "dlopen", "puts", "statx"]),
    "/opt/app": elf(interpreter=MUSL, needed=["libg.so.1"], imports=["g"], tags=[(21, 0)]),
    "/opt/g/libg.so.1": G,
}


def proposed(root: Path, files: Mapping[str, bytes | str]) -> tuple[Situation, list[Proposal]]:
    held = situation(target_of(write_tree(root, files)), "/opt/app")
    steps = [step for step in held.result.trace.needs if step.need.kind in ("library", "interpreter")]
    return held, [one for step in steps for one in proposals(held, step)]


def judged(held: Situation, edits: tuple[Edit, ...]) -> str:
    return held.judge(edited(held.target, edits), held.path).verdict


def is_taken_back(held: Situation, edits: tuple[Edit, ...]) -> bool:
    """Whether what takes the edits back leaves the root as it was."""
    after = edited(held.target, edits)
    back = edited(after, inverse(held.target, edits)).view
    before = Overlay(held.target.view)
    assert isinstance(back, Overlay)
    return view_tree(back) == view_tree(before)


@pytest.mark.parametrize(
    ("conf", "after"),
    [
        (None, b"include /etc/ld.so.conf.d/*.conf\n"),
        (b"/one", b"/one\ninclude /etc/ld.so.conf.d/*.conf\n"),
        (b"# include /etc/ld.so.conf.d/*.conf\n", None),
        (b"include ld.so.conf.d/*.conf\n", b""),
        (b"  include /etc/x.conf /etc/ld.so.conf.d/*.conf\n", b""),
    ],
    ids=["none", "no-newline", "a-comment", "relative", "among-others"],
)
def test_a_directory_is_named_to_ldconfig(conf: bytes | None, after: bytes | None, tmp_path: Path) -> None:
    held, (proposal, recipe) = proposed(tmp_path, GLIBC_ROOT | ({} if conf is None else {"/etc/ld.so.conf": conf}))

    before, named, *included, run = proposal.edits

    assert named == WriteFile(path="/etc/ld.so.conf.d/runworthy-opt-g.conf", content=b"/opt/g\n")
    texts = [one.content if isinstance(one, WriteFile) else one.after for one in included]  # type: ignore[union-attr]
    wanted = (conf or b"") + b"include /etc/ld.so.conf.d/*.conf\n" if after is None else after
    assert texts == ([wanted] if wanted else [])
    assert isinstance(run, RunCommand)
    assert isinstance(before, RunCommand)
    assert run.argv == run.undo == before.argv == before.undo == ("/sbin/ldconfig", "-X")
    assert proposal.unsafe
    assert judged(held, proposal.edits) == "runs"
    assert is_taken_back(held, proposal.edits)
    assert recipe.recipe == ("LD_LIBRARY_PATH=/opt/g app",)
    assert recipe.unprovable


def test_a_cache_keeps_what_it_lists(tmp_path: Path) -> None:
    entries = (
        CacheEntry(name="libh.so.1", path="/lib64/libh.so.1", flags=0x303),
        CacheEntry(name="libh.so.1", path="/lib/libh.so.1", flags=3),
    )
    held, (proposal, _) = proposed(tmp_path, GLIBC_ROOT | {"/etc/ld.so.cache": format_ld_so_cache(entries)})

    view = edited(held.target, proposal.edits).view

    listed = read_ld_so_cache(view.read("/etc/ld.so.cache"))
    assert set(listed) == {"libg.so.1", "libh.so.1"}
    assert set(listed["libh.so.1"]) == set(entries)
    assert listed["libg.so.1"] == (CacheEntry(name="libg.so.1", path="/opt/g/libg.so.1", flags=0x303),)
    assert is_taken_back(held, proposal.edits)


def test_a_link_is_made_where_only_that_lacks(tmp_path: Path) -> None:
    files = {**GLIBC_ROOT, "/lib64/libg.so.1.2": G, "/lib64/libg.so.1.10": G}
    del files["/opt/g/libg.so.1"]
    held, found = proposed(tmp_path, files)

    assert {(judged(held, one.edits), bool(one.unsafe)) for one in found if one.edits} == {("runs", True)}
    assert all(is_taken_back(held, one.edits) for one in found)
    titles = [one.title for one in found]
    assert any(title.startswith("link /lib64/libg.so.1 to ") for title in titles)
    before, link, run = next(one.edits for one in found if "ldconfig" in one.title)
    assert isinstance(before, RunCommand)
    assert isinstance(run, RunCommand)
    assert link.words == "link /lib64/libg.so.1 to libg.so.1.10"


def test_a_link_that_leads_nowhere_is_made_anew(tmp_path: Path) -> None:
    files = {**GLIBC_ROOT, "/lib64/libg.so.1.2": G}
    del files["/opt/g/libg.so.1"], files["/sbin/ldconfig"]
    (tmp_path / "root/lib64").mkdir(parents=True)
    (tmp_path / "root/lib64/libg.so.1").symlink_to("libg.so.1.0")
    held, (linked,) = proposed(tmp_path, files)
    assert linked.edits == (LinkFile(path="/lib64/libg.so.1", text="libg.so.1.2"),)
    assert judged(held, linked.edits) == "runs"


def test_without_ldconfig_it_is_not_proposed(tmp_path: Path) -> None:
    files = {path: data for path, data in GLIBC_ROOT.items() if path != "/sbin/ldconfig"}

    _, found = proposed(tmp_path, files)

    assert [one.edits for one in found] == [()]


def test_a_path_file_is_written_with_what_is_built_in(tmp_path: Path) -> None:
    held, (proposal, _) = proposed(tmp_path, MUSL_ROOT)

    (edit,) = proposal.edits

    assert edit == WriteFile(path="/etc/ld-musl-x86_64.path", content=b"/lib\n/usr/local/lib\n/usr/lib\n/opt/g\n")
    assert judged(held, proposal.edits) == "runs"
    assert is_taken_back(held, proposal.edits)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"/one:/two", b"/one:/two\n/opt/g\n"),
        (b"/one\n", b"/one\n/opt/g\n"),
        (b"/one:", b"/one:/opt/g\n"),
        (b"", b"/opt/g\n"),
    ],
)
def test_a_path_file_keeps_what_it_holds(before: bytes, after: bytes, tmp_path: Path) -> None:
    held, (proposal, _) = proposed(tmp_path, MUSL_ROOT | {"/etc/ld-musl-x86_64.path": before})

    (edit,) = proposal.edits

    assert isinstance(edit, EditText)
    assert (edit.before, edit.after) == (before, after)
    assert judged(held, proposal.edits) == "runs"
    assert is_taken_back(held, proposal.edits)


def test_a_loader_is_linked_where_it_is_looked_for(tmp_path: Path) -> None:
    files = dict(GLIBC_ROOT)
    files["/opt/app"] = elf(
        interpreter="/nix/store/1-glibc/lib/ld-linux-x86-64.so.2", needed=["libc.so.6"], tags=[(21, 0)]
    )
    held, (proposal,) = proposed(tmp_path, files)

    assert [edit.words for edit in proposal.edits] == [f"link /nix/store/1-glibc/lib/ld-linux-x86-64.so.2 to {LOADER}"]
    assert judged(held, proposal.edits) == "runs"
    assert is_taken_back(held, proposal.edits)


def test_the_loader_of_another_c_library_is_none(tmp_path: Path) -> None:
    files = dict(MUSL_ROOT)
    files["/opt/app"] = elf(interpreter=LOADER, needed=["libc.so.6"], tags=[(21, 0)])

    assert proposed(tmp_path, files)[1] == []


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_cache_is_read_as_it_was_written(order: str) -> None:
    entries = (
        CacheEntry(name="libc.so.6", path="/lib/libc.so.6", flags=3),
        CacheEntry(name="liba.so.1", path="/opt/glibc-hwcaps/x86-64-v3/liba.so.1", flags=0x303, hwcap="x86-64-v3"),
        CacheEntry(name="liba.so.1", path="/opt/glibc-hwcaps/x86-64-v2/liba.so.1", flags=0x303, hwcap="x86-64-v2"),
        CacheEntry(name="liba.so.1", path="/opt/liba.so.1", flags=0x303),
    )

    found = read_ld_so_cache(format_ld_so_cache(entries, order))

    assert found == {"libc.so.6": entries[:1], "liba.so.1": entries[1:]}
