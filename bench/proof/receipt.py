"""What a proof leaves behind: its result with the commit it ran on, so that anyone can tell what was proved."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def commit() -> str:
    """The code's commit, with a mark if the working tree differs from it."""
    git = ["git", "-C", str(FOLDER), "describe", "--always", "--abbrev=40", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def keep(name: str, document: Mapping[str, Any]) -> None:
    """Write `bench/proof/NAME.json`."""
    content = json.dumps({"commit": commit(), **document}, indent=1, default=np.generic.item)
    (FOLDER / f"{name}.json").write_text(content + "\n")
