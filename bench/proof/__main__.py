"""The long proofs, whole: `make proof`, or `python -m bench.proof kill_store fuzz` for some of them."""

import importlib
import sys

from coincast.threads import single_threaded

PROOFS = ("null_worlds", "null_profit", "fuzz", "kill_store", "kill_fetch", "live_day", "audits", "sampled")

if __name__ == "__main__":
    single_threaded()
    sys.exit(max(importlib.import_module(f"bench.proof.{name}").main() for name in sys.argv[1:] or PROOFS))
