"""The matrix of a release as JSON. The layout is ``runworthy.matrix/1``; ``schema/runworthy.matrix-1.json`` has it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from runworthy import __version__
from runworthy.model.matrix import Asset, Cell, Claims, Column, Job, Matrix, Member, Served
from runworthy.report.document import result_data
from runworthy.report.words import encodable

__all__ = ["SCHEMA", "matrix_data", "matrix_json"]

SCHEMA = "runworthy.matrix/1"

Data = dict[str, object]


def matrix_json(matrix: Matrix, *, trace: bool = False) -> str:
    """Return the matrix as JSON text, the same bytes for the same matrix."""
    return json.dumps(matrix_data(matrix, trace=trace), indent=2, ensure_ascii=True) + "\n"


def matrix_data(matrix: Matrix, *, trace: bool = False) -> Data:
    """Return the matrix as data of strings, numbers, lists and dictionaries. ``trace`` keeps the needs that are met."""
    return {
        "schema": SCHEMA,
        "runworthy": __version__,
        "assets": [_asset(one) for one in matrix.assets],
        "targets": [_column(one) for one in matrix.columns],
        "cells": [_cell(one, trace=trace) for one in matrix.cells],
        "served": [_served(one) for one in matrix.served],
        "redundant": [
            {
                "asset": encodable(one.asset),
                "by": encodable(one.by),
                "targets": _texts(one.targets),
                "reason": encodable(one.reason),
            }
            for one in matrix.redundant
        ],
        "misnamed": [
            {
                "asset": encodable(one.asset),
                "claim": encodable(one.claim),
                "fact": encodable(one.fact),
                "member": encodable(one.member) or None,
            }
            for one in matrix.misnamed
        ],
        "jobs": [_job(one) for one in matrix.jobs],
        "assumptions": _texts(matrix.assumptions),
    }


def _asset(asset: Asset) -> Data:
    return {
        "name": encodable(asset.name),
        "path": encodable(asset.path),
        "kind": asset.kind,
        "size": asset.size,
        "of": encodable(asset.of) or None,
        "claims": _claims(asset.claims),
        "systems": _texts(asset.systems),
        "architectures": _texts(asset.archs),
        "linkages": _texts(asset.linkages),
        "minimum": encodable(asset.minimum) or None,
        "members": [_member(one) for one in asset.members],
        "problem": encodable(asset.problem) or None,
    }


def _claims(claims: Claims) -> Data:
    return {
        "name": encodable(claims.name) or None,
        "version": encodable(claims.version) or None,
        "system": claims.system or None,
        "architectures": _texts(claims.archs),
        "linkage": claims.linkage or None,
        "packing": claims.packing or None,
        "family": encodable(claims.family) or None,
        "tags": _texts(claims.tags),
        "level": claims.level or None,
    }


def _member(member: Member) -> Data:
    return {
        "name": encodable(member.name),
        "role": member.role,
        "format": member.format,
        "architectures": _texts(member.archs),
        "system": encodable(member.system) or None,
        "linkage": member.linkage or None,
        "minimum": encodable(member.minimum) or None,
        "interpreter": encodable(member.interpreter) or None,
        "imports": _texts(member.imports),
        "delayed": _texts(member.delayed),
        "built_by": member.built_by or None,
        "compiler": encodable(member.compiler) or None,
    }


def _column(column: Column) -> Data:
    return {
        "name": encodable(column.name),
        "system": column.system,
        "architecture": column.arch,
        "libc": column.libc or None,
        "family": column.family or None,
        "package_manager": column.manager or None,
        "eol": column.eol or None,
        "modelled": column.modelled,
    }


def _cell(cell: Cell, *, trace: bool) -> Data:
    return {
        "asset": encodable(cell.asset),
        "target": encodable(cell.target),
        "fit": cell.fit,
        "reason": encodable(cell.reason),
        "member": encodable(cell.member) or None,
        "results": [result_data(one, (), trace=trace) for one in cell.results],
    }


def _served(served: Served) -> Data:
    return {
        "target": encodable(served.target),
        "asset": encodable(served.asset) or None,
        "verdict": served.verdict,
        "alternatives": _texts(served.alternatives),
        "nearest": encodable(served.nearest) or None,
        "why": encodable(served.why) or None,
    }


def _job(job: Job) -> Data:
    return {
        "provider": job.provider,
        "name": job.name,
        "how": job.how,
        "why": encodable(job.why),
        "text": encodable(job.text),
        "asset": encodable(job.asset),
        "targets": _texts(job.targets),
    }


def _texts(texts: Iterable[str]) -> list[str]:
    return [encodable(text) for text in texts]
