"""The parts of the page of a matrix. ``runworthy.report.matrix_html`` puts them together."""
