"""The parts of the page on storage. ``runworthy.report.dedupe_html`` puts them together."""
