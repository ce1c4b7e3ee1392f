"""Which rule modules there are, in the order in which they are applied. Made by ``scripts/index_rules.py``."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import cast

from runworthy.rules import Rule

__all__ = ["MODULES", "load_rules"]

MODULES: tuple[tuple[str, str], ...] = (
    ("load.libc_mismatch", "interpreter:unmet library:unmet symbol:unmet libc-stands-in"),
    ("packaging.wrong_contents", "tag:unmet native-in-pure tag-without-code"),
    ("packaging.not_offered", "tag:unmet"),
    ("exec.unknown_handlers", "exec-format:unknown"),
    ("symbols.hidden_from_musl", "symbol:unmet"),
    ("exec.unreadable_file", "exec-format:unknown interpreter:unknown library:unknown loader:unknown symbol:unknown"),
    ("exec.damaged_file", "segments:unmet"),
    ("load.dropped_search_path", "path-dropped"),
    ("symbols.musl_too_old", "symbol:unmet"),
    ("packaging.wrong_libc", "tag:unmet"),
    ("exec.foreign_handler", "exec-format:met"),
    ("exec.carriage_return", "script-interpreter:unmet tool:unmet rewritten"),
    ("exec.noexec_mount", "permission:unmet handler:unmet script-interpreter:unmet interpreter:unmet"),
    ("load.foreign_library", "library:unmet"),
    ("load.sibling_first", "wants-sibling-first"),
    ("symbols.packed_relocations", "relocation:unmet symbol-version:unmet"),
    ("symbols.version_information", "symbol-version:unmet no-version-information"),
    ("symbols.stray_version", "symbol-version:unmet"),
    ("packaging.tag_too_low", "tag:unmet"),
    ("packaging.record_differs", "record:unmet"),
    ("packaging.metadata_disagrees", "metadata:unmet"),
    ("load.build_machine_path", "library:unmet"),
    ("exec.missing_handler_interpreter", "handler:unmet"),
    ("exec.byte_order_mark", "exec-format:unmet"),
    ("exec.too_many_rewrites", "rewrites:unmet"),
    ("exec.read_only_ape", "permission:unmet"),
    ("exec.taken_for_macos", "payload:unmet"),
    ("load.refused_library", "library:unmet"),
    ("load.outside_core", "interpreter:unknown library:unknown loader:unknown symbol:unknown"),
    ("symbols.version_too_new", "symbol-version:unmet"),
    ("packaging.library_not_carried", "tag:unmet tag:unknown"),
    ("packaging.cpu_above_baseline", "tag:unmet"),
    ("packaging.unportable_segments", "tag:unmet"),
    ("exec.unusable_handler_interpreter", "handler:unmet script-interpreter:unmet exec-format:unmet"),
    ("exec.missing_script_interpreter", "script-interpreter:unmet"),
    ("exec.unusable_script_interpreter", "script-interpreter:unmet exec-format:unmet"),
    ("exec.unusable_script_line", "exec-format:unmet script-interpreter:unmet"),
    ("exec.missing_interpreter", "interpreter:unmet"),
    ("exec.wrong_architecture", "exec-format:unmet"),
    ("exec.unstated_compatibility", "exec-format:unknown"),
    ("exec.not_executable", "permission:unmet"),
    ("exec.emulated_program", "exec-format:met"),
    ("exec.windows_program", "exec-format:met"),
    ("exec.other_system", "exec-format:unmet"),
    ("exec.ape_needs_shell", "exec-format:unmet caller:unmet"),
    ("exec.ape_without_code", "payload:unmet"),
    ("exec.no_scratch_directory", "scratch-directory:unmet"),
    ("exec.missing_command", "tool:unmet"),
    ("exec.other_ape", "taken-by"),
    ("load.missing_library", "library:unmet"),
    ("load.loader_not_modelled", "loader:unknown"),
    ("load.no_loader", "loader:unmet"),
    ("load.optional_library", "dlopen"),
    ("load.ignored_preload", "preload-ignored"),
    ("load.unreadable_cache", "cache-unreadable"),
    ("load.loaded_by_sibling", "loaded-by-sibling"),
    ("load.run_time_files", "run-time-file:unmet"),
    ("symbols.missing_symbol", "symbol:unmet"),
    ("symbols.left_to_host", "symbol:host"),
    ("symbols.left_to_unknown", "symbol:host"),
    ("symbols.unsupported_relocation", "relocation:unmet"),
    ("machine.cpu_level", "isa:unmet"),
    ("machine.page_size", "page-size"),
    ("machine.kernel_too_old", "kernel"),
    ("machine.executable_stack", "exec-stack"),
    ("machine.unmarked_arm_code", "isa:unknown"),
    ("machine.static_tls", "static-tls:unmet"),
    ("exec.no_format", "exec-format:unmet caller:unmet"),
    ("exec.unusable_interpreter", "interpreter:unmet"),
    ("exec.not_loadable", "exec-format:unmet"),
    ("exec.changes_at_boot", "boot-differs"),
    ("symbols.lazy_symbol", "symbol:unmet"),
    ("packaging.tag_needlessly_high", "needless-tag"),
    ("exec.not_elf", "exec-format:unknown handler:unknown script-interpreter:unknown tool:unknown"),
    ("exec.assumed_start", "script-interpreter:met handler:met interpreter:met permission:met"),
    ("exec.assumed_handlers", "exec-format:met handler:met caller:met"),
    ("packaging.tag_not_judged", "tag:unknown"),
    ("exec.too_large_for_windows", "exec-format rewritten taken-by"),
)


def load_rules(kinds: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules that read any of these kinds."""
    found = frozenset(kinds)
    names = (name for name, reads in MODULES if not found.isdisjoint(reads.split()))
    return tuple(cast("Rule", import_module(f"runworthy.rules.{name}")) for name in names)
