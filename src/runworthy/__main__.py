"""``python -m runworthy``."""

import sys

from runworthy.cli import main

sys.exit(main())
