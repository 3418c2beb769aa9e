"""One benchmark in its quick form, in a process of its own; ``run_all.py`` starts it.

python benchmarks/quick.py keypoint_latency data/benchmarks rows.json
"""

import importlib
import json
import sys
from pathlib import Path

from rows import LeftOutError


def main() -> None:
    """Writes the rows, or why there are none."""
    module, data, output = sys.argv[1:]
    try:
        found = {"rows": [row.to_json() for row in importlib.import_module(module).quick(Path(data))]}
    except LeftOutError as error:
        found = {"left_out": str(error), "rows": []}
    Path(output).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
