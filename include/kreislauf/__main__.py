"""``python -m include.kreislauf``."""

import sys

from include.kreislauf.cli import main

sys.exit(main())
