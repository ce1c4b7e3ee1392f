"""What would turn findings away: edits that are planned, judged on an overlay, and written out for other machines."""
