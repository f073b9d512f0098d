"""A module imports only from floors below its own: inside functions too, and for types alone too."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import coincast

# From the ground up. Modules on one line do not know each other.
FLOORS = """
    errors threads patience student_t progress space
    feed output
    candles
    rows
    records
    tables clean
    sandbox.messages
    sandbox.process
    sandbox.files
    sandbox.answering
    sandbox
    files
    interchange
    sample
    quality.findings
    quality.invented
    quality.market
    quality.clock
    quality.examination quality.mending
    quality
    exchanges.venues
    exchanges.exchange
    exchanges.history
    exchanges.stream
    exchanges.market exchanges.faults
    exchanges.tape
    exchanges.dialect
    exchanges.binance exchanges.kraken
    exchanges.replay
    exchanges
    store
    fetching importing
    external.outside external.web
    external.series
    external.sentiment external.funding external.chain external.markets
    external.catalogue
    external.archive external.reading
    external.download
    external panel
    features.feature
    features.volatility features.outside
    features.week features.realised
    features
    realised
    windows forecast
    worlds
    perturbation
    truth hac
    coverage
    direction
    scores
    summaries paths
    path_scores
    forecaster combiner aggregation diagnosis verdict predictions
    inference training combine calibrate
    models.layers models.scaled models.heads
    models.naive models.drift models.ewma_t models.garch models.season_t models.linear_t
    models.ewma_fhs models.range_t models.har_t models.boosted models.seed_lstm models.volatility_network
    models.lstm_t models.lstm_skewt models.lstm_q models.lstm_attention models.gru_t models.tcn_t
    models
    recipe
    fitted workers
    backtest
    appraisal
    audit.findings audit.declarations
    audit.pipeline
    audit.comparison
    audit.interview
    audit.conduct audit.causality audit.evidence audit.word
    audit.sight
    audit.examination
    audit
    gallery.learners
    gallery.tutorial gallery.lstm
    gallery.mistakes
    gallery.faults
    gallery.exhibit gallery.scene
    gallery.curator
    gallery
    search
    tuning
    runs
    value.costs value.sharpe value.bands value.allocations
    value.account value.break_even
    value.timing
    value.outcomes
    value.words
    value.worth
    value
    report.words report.style
    report.resample report.ranking
    report.leaks
    report.worth_section report.networks report.attention report.prices report.scoreboard report.details report.weights
    report.standings
    report.calibration report.outcomes report.statements
    report.skill
    report.page
    report.quality_page report.audit_page
    report.gallery_page
    report
    terminal.marks terminal.waiting terminal.lists terminal.quality
    terminal.paths
    terminal.run terminal.score terminal.worth
    terminal.audit terminal.gallery terminal.tuning
    terminal
    cli.options cli.printing
    cli.source
    cli.checking cli.data cli.modelling cli.stored
    cli.auditing cli.scoring cli.valuing cli.showing cli.tuning
    cli
    trials testing
    coincast
"""
FLOOR = {name: number for number, line in enumerate(FLOORS.strip().splitlines()) for name in line.split()}
ROOT = Path(coincast.__file__).parent


def named(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "coincast"


MODULES = {named(file): file for file in ROOT.rglob("*.py")}


def imported(name: str, file: Path) -> Iterator[str]:
    """The modules of this package that a module imports, wherever in it the import stands."""
    package = [] if name == "coincast" else name.split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (_inside(alias.name) for alias in node.names if alias.name.split(".")[0] == "coincast")
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            if not node.level:
                if base.split(".")[0] != "coincast":
                    continue
                base = _inside(base)
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix("coincast.").strip(".")
                yield whole if whole in MODULES else base or "coincast"


def _inside(name: str) -> str:
    return name.removeprefix("coincast.")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_from_lower_floors(name):
    assert name in FLOOR, f"{name} has no floor: give it one in FLOORS, and in docs/how-it-works.md"
    for other in imported(name, MODULES[name]):
        assert FLOOR[other] < FLOOR[name], f"{name} imports {other}, which does not stand below it"


def test_every_floor_is_a_module():
    assert set(FLOOR) == set(MODULES)


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("models.naive", "from ..forecast import K", "forecast"),
        ("models.naive", "from .layers import LSTM", "models.layers"),
        ("models.naive", "from . import register", "models"),
        ("models.naive", "def f():\n    from .. import verdict", "verdict"),
        ("models.naive", "import coincast.recipe", "recipe"),
        ("recipe", "from coincast.models import naive", "models.naive"),
        ("recipe", "from coincast import windows, Feed", "windows coincast"),
        ("recipe", "if TYPE_CHECKING:\n    from .models import model_named", "models"),
        ("models", "from ..errors import RecipeError", "errors"),
        ("coincast", "from .feed import Feed", "feed"),
        ("recipe", "import numpy\nfrom collections.abc import Sequence", ""),
    ],
)
def test_every_form_of_import_is_seen(name, line, expected, tmp_path):
    package = name in ("models", "coincast")
    file = tmp_path / ("__init__.py" if package else "module.py")
    file.write_text(line)
    assert list(imported(name, file)) == expected.split()


def test_a_walk_loads_no_library_that_it_does_not_use():
    """Every process of a walk or an audit starts anew, and statistics and networks take longer to load than to use."""
    heavy = ("arch", "equinox", "jax", "pandas", "plotly", "scipy.signal", "scipy.stats", "scoringrules", "statsmodels")
    code = f"import sys, coincast.backtest; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"
