"""What pages have in common: markup, findings, a style, and the shell around them."""
