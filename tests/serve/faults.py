"""``ragdiag`` with a vector index that fails while the file $RAGDIAG_TEST_FAULT is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ragdiag.cli import main
from ragdiag.retrieval.ann.index import Ann

search = Ann.search
fault = Path(os.environ["RAGDIAG_TEST_FAULT"])


def faulty(self: Ann, *arguments: Any, **options: Any) -> Any:
    if fault.exists():
        raise OSError("the index is gone")
    return search(self, *arguments, **options)


if __name__ == "__main__":
    Ann.search = faulty  # type: ignore[method-assign]
    sys.exit(main())
