"""``python -m ragdiag`` is the ``ragdiag`` command."""

import sys

from ragdiag.cli import main

sys.exit(main())
