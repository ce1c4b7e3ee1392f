"""Writing a report, or its best remedy, as text."""

from __future__ import annotations

from typing import Literal

from runworthy.model.errors import UsageError
from runworthy.model.finding import Report

__all__ = ["export", "render"]


def render(report: Report, format: Literal["text", "json"] = "text", *, trace: bool = False) -> str:  # noqa: A002 - as --format is
    """Return the report as ``runworthy check --format`` writes it.

    >>> import runworthy
    >>> report = runworthy.check("app", on="ubuntu:22.04/amd64")
    >>> runworthy.render(report).splitlines()[0]
    '✓ app runs on ubuntu:22.04/x86_64'
    """
    if format == "json":
        from runworthy.report.json_report import report_json

        return report_json(report, trace=trace)
    if format == "text":
        from runworthy.report.text import report_text

        return report_text(report, trace=trace)
    raise UsageError(f"--format {format} is not known", hint="text and json are", option="--format")


def export(report: Report, form: Literal["ansible", "cloud-init", "sh"] = "sh") -> str:
    """Return the best remedy of a report as configuration for other machines, as ``runworthy check --export`` does.

    >>> import runworthy
    >>> report = runworthy.check("llamafile", on="debian:12/amd64")
    >>> runworthy.export(report, "cloud-init").splitlines()[0]
    '#cloud-config'

    Raises UsageError where nothing fails, where no remedy is more than words, and for what the form cannot say.
    """
    from runworthy.remedies.attaching import best_remedy
    from runworthy.remedies.export import export as written

    remedy = best_remedy(report)
    if remedy is None:
        hint = "only what fails before a loader starts has remedies that can be written out"
        raise UsageError("there is no remedy to export", hint=hint, option="--export")
    return written(remedy, form)
