"""Every measurement, one table after the other: `make bench`, or `python -m bench run daily` for some of them.

A bench prints what it measured and compares with peers run on the same work in the same minutes; none is a test.
"""

import importlib
import sys

BENCHES = ("run", "page", "check", "store", "fetch", "baselines", "daily", "fusion", "paths", "training")

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHES:
        print(f"\n## {name}\n", flush=True)
        importlib.import_module(f"bench.{name}").main()
