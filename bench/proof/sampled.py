"""Every case of the tests of which a session draws a few: registered models audited, the contracts of like networks,
the gallery's mistakes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from time import perf_counter

from bench.proof.receipt import FOLDER, keep

PLACES = ("tests/audit", "tests/honesty", "tests/test_gallery_audit.py")


def main() -> int:
    began = perf_counter()
    with tempfile.TemporaryDirectory() as written:
        told = Path(written, "told.xml")
        command = [sys.executable, "-m", "pytest", "-n", "2", "-m", "sampled", f"--junitxml={told}", *PLACES]
        rc = subprocess.run(
            command, cwd=FOLDER.parents[1], env=os.environ | {"COINCAST_WHOLE": "1"}, check=False
        ).returncode
        cases = list(ET.parse(told).iter("testcase"))
    failed = [case.get("name") for case in cases if len(case)]
    document = {"cases": len(cases), "failed": failed, "names": sorted(str(case.get("name")) for case in cases)}
    keep("sampled", {**document, "seconds": round(perf_counter() - began)})
    return rc
