"""Which rule modules there are, in the order in which they are applied. Made by ``scripts/index_rules.py``."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import cast

from runworthy.rules import Rule

__all__ = ["MODULES", "load_rules"]

MODULES: tuple[tuple[str, str], ...] = (
    ("load.libc_mismatch", "interpreter library symbol libc-stands-in"),
    ("symbols.hidden_from_musl", "symbol"),
    ("exec.unreadable_file", "exec-format interpreter library loader symbol"),
    ("load.dropped_search_path", "path-dropped"),
    ("symbols.musl_too_old", "symbol"),
    ("load.foreign_library", "library"),
    ("symbols.packed_relocations", "relocation symbol-version"),
    ("symbols.version_information", "symbol-version no-version-information"),
    ("symbols.stray_version", "symbol-version"),
    ("load.build_machine_path", "library"),
    ("load.refused_library", "library"),
    ("load.outside_core", "interpreter library loader symbol"),
    ("symbols.version_too_new", "symbol-version"),
    ("exec.missing_interpreter", "interpreter"),
    ("exec.wrong_architecture", "exec-format"),
    ("exec.unstated_compatibility", "exec-format"),
    ("exec.not_elf", "exec-format"),
    ("exec.not_executable", "permission"),
    ("load.missing_library", "library"),
    ("load.loader_not_modelled", "loader"),
    ("load.no_loader", "loader"),
    ("load.optional_library", "dlopen"),
    ("load.ignored_preload", "preload-ignored"),
    ("load.unreadable_cache", "cache-unreadable"),
    ("load.run_time_files", "run-time-file"),
    ("symbols.missing_symbol", "symbol"),
    ("symbols.left_to_host", "symbol"),
    ("symbols.left_to_unknown", "symbol"),
    ("symbols.unsupported_relocation", "relocation"),
    ("machine.cpu_level", "isa"),
    ("machine.page_size", "page-size"),
    ("machine.kernel_too_old", "kernel"),
    ("machine.executable_stack", "exec-stack"),
    ("machine.unmarked_arm_code", "isa"),
    ("exec.unusable_interpreter", "interpreter"),
    ("exec.not_loadable", "exec-format"),
    ("symbols.lazy_symbol", "symbol"),
)


def load_rules(kinds: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules that read any of these kinds."""
    found = frozenset(kinds)
    names = (name for name, reads in MODULES if not found.isdisjoint(reads.split()))
    return tuple(cast("Rule", import_module(f"runworthy.rules.{name}")) for name in names)
