"""Where the study data lies."""

import os
from pathlib import Path


def study_data() -> Path:
    """The folder named by COINCAST_DATA, by default `../shared/data` beside the repository."""
    folder = Path(os.environ.get("COINCAST_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not folder.is_dir():
        raise SystemExit(f"Study data not found at {folder}: set COINCAST_DATA.")
    return folder
