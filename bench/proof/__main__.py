"""The long proofs, whole: `make proof`."""

import sys

from coincast.threads import single_threaded

if __name__ == "__main__":
    single_threaded()
    from bench.proof import null_worlds

    sys.exit(null_worlds.main())
