"""`make study`, or `python -m bench.skill daily hourly panel` for parts of it: prints every table.

`sealed` is never run but by name.
"""

import sys
from time import perf_counter

from . import daily, hourly, panel, sealed
from .study import table

if __name__ == "__main__":
    for name in sys.argv[1:] or ("daily", "hourly", "panel"):
        began = perf_counter()
        if name == "panel":
            print("\n".join(panel.run()))
        elif name == "sealed":
            for told in sealed.run():
                print(told, flush=True)
        else:
            found = {"daily": daily, "hourly": hourly}[name].run()
            for horizon in sorted({line.horizon for line in found}):
                print(f"\n{name}, {horizon} ahead, {found[0].n} origins\n\n{table(found, horizon)}")
        print(f"\n{perf_counter() - began:.0f} s\n", flush=True)
