"""Reports: one module for each format. Each reads the report (``model.finding.Report``) and nothing else."""
