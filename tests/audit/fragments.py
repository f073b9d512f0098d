"""The parts that pipelines are made of: how the ways people write them differ, as source text.

Every part is written in the names `d` (the frame), `n` (its rows), `close`, `high`, `low`, `volume`, `seen` (observed),
`opens` (of the bars, datetime64), `step`, `first` (the row of the first origin) and `h` (the horizon in bars).
"""

# --- reading ----------------------------------------------------------------------------------------------------------

PANDAS_HEAD = """\
    d = candles.copy()
    step = d["time"].iloc[1] - d["time"].iloc[0]
{now}{mend}    n = len(d)
{split}    opens = d["time"].dt.tz_localize(None).to_numpy()
    close, high, low, volume = (d[name].to_numpy() for name in ("close", "high", "low", "volume"))
    seen = d["observed"].to_numpy()
"""
PANDAS = {
    "now": '    d = d[d["time"] + step <= now].reset_index(drop=True)\n',
    "split": '    first = int((d["time"] + step < test_from).sum())\n',
    "forward fill": '    d["close"] = d["close"].where(d["observed"]).ffill()\n',
    "dropped": '    d = d[d["observed"]].reset_index(drop=True)\n',
}
POLARS_HEAD = """\
    d = candles
    step = d["time"][1] - d["time"][0]
{now}{mend}    n = d.height
{split}    opens, step = d["time"].dt.replace_time_zone(None).to_numpy(), np.timedelta64(step)
    close, high, low, volume = (d[name].to_numpy() for name in ("close", "high", "low", "volume"))
    seen = d["observed"].to_numpy()
"""
POLARS = {
    "now": '    d = d.filter(pl.col("time") + step <= now)\n',
    "split": '    first = d.filter(pl.col("time") + step < test_from).height\n',
    "forward fill": '    d = d.with_columns(close=pl.when("observed").then("close").forward_fill())\n',
    "dropped": '    d = d.filter("observed")\n',
}
CANDLES_HEAD = """\
{now}    step = candles.feed.interval.step
    known = candles.known_at
    n = len(candles)
{split}    opens, close, seen = candles.time, candles.close, candles.observed
    d = candles.frame
    high, low, volume = (d[name].to_numpy() for name in ("high", "low", "volume"))
{mend}"""
CANDLES = {
    "now": "    candles = candles.until(now)\n",
    "split": "    first = int(np.searchsorted(known, np.datetime64(test_from.replace(tzinfo=None))))\n",
    "forward fill": """\
    close = close.copy()
    for i in range(1, n):
        if not seen[i]:
            close[i] = close[i - 1]
""",
}
HEADS = {"pandas": (PANDAS_HEAD, PANDAS), "polars": (POLARS_HEAD, POLARS), "candles": (CANDLES_HEAD, CANDLES)}
ANNOTATIONS = {"pandas": "", "polars": ": pl.DataFrame", "candles": ": Candles"}

# --- features ---------------------------------------------------------------------------------------------------------

PANDAS_FEATURES = {
    "lagged return": 'd["close"].pct_change().shift({k})',
    "momentum": 'd["close"].pct_change({w})',
    "mean": 'd["close"].rolling({w}).mean() / d["close"] - 1',
    "volatility": 'd["close"].pct_change().rolling({w}).std()',
    "bollinger": '(d["close"] - d["close"].rolling({w}).mean()) / (2 * d["close"].rolling({w}).std())',
    "rsi": 'd["close"].diff().clip(lower=0).rolling({w}).mean() / d["close"].diff().abs().rolling({w}).mean()',
    "range": 'np.log(d["high"] / d["low"])',
    "highest": 'd["close"] / d["high"].rolling({w}).max() - 1',
    "volume": 'np.log1p(d["volume"]) - np.log1p(d["volume"]).rolling({w}).mean()',
    "smooth": 'd["close"].ewm(span={w}, adjust=False).mean() / d["close"] - 1',
    "z-score": '(d["volume"] - d["volume"].expanding(20).mean()) / d["volume"].expanding(20).std()',
    "day": 'np.sin(2 * np.pi * d["time"].dt.day_of_week / 7)',
    "hour": 'np.cos(2 * np.pi * (d["time"].dt.hour + 24 * d["time"].dt.day) / 100)',
}
POLARS_FEATURES = {
    "lagged return": 'pl.col("close").pct_change().shift({k})',
    "momentum": 'pl.col("close").pct_change({w})',
    "mean": 'pl.col("close").rolling_mean({w}) / pl.col("close") - 1',
    "volatility": 'pl.col("close").pct_change().rolling_std({w})',
    "bollinger": '(pl.col("close") - pl.col("close").rolling_mean({w})) / (2 * pl.col("close").rolling_std({w}))',
    "rsi": (
        'pl.col("close").diff().clip(lower_bound=0).rolling_mean({w}) / pl.col("close").diff().abs().rolling_mean({w})'
    ),
    "range": '(pl.col("high") / pl.col("low")).log()',
    "highest": 'pl.col("close") / pl.col("high").rolling_max({w}) - 1',
    "volume": 'pl.col("volume").log1p() - pl.col("volume").log1p().rolling_mean({w})',
    "smooth": 'pl.col("close").ewm_mean(span={w}, adjust=False) / pl.col("close") - 1',
    "z-score": 'pl.col("volume") / (pl.col("volume").cum_sum() / (1 + pl.int_range(pl.len())))',
    "day": '(2 * np.pi * pl.col("time").dt.weekday() / 7).sin()',
    "hour": '(2 * np.pi * (pl.col("time").dt.hour() + 24 * pl.col("time").dt.day().cast(pl.Int32)) / 100).cos()',
}
NUMPY_FEATURES = {
    "lagged return": "shifted(change(close, 1), {k})",
    "momentum": "change(close, {w})",
    "mean": "rolling(close, {w}, np.mean) / close - 1",
    "volatility": "rolling(change(close, 1), {w}, np.std)",
    "bollinger": "(close - rolling(close, {w}, np.mean)) / (2 * rolling(close, {w}, np.std))",
    "rsi": "rolling(np.maximum(change(close, 1), 0), {w}, np.sum) / rolling(np.abs(change(close, 1)), {w}, np.sum)",
    "range": "np.log(high / low)",
    "highest": "close / rolling(high, {w}, np.max) - 1",
    "volume": "np.log1p(volume) - rolling(np.log1p(volume), {w}, np.mean)",
    "smooth": "exponential(close, 2 / ({w} + 1)) / close - 1",
    "z-score": "volume / (np.cumsum(volume) / np.arange(1, n + 1))",
    "day": "np.sin(2 * np.pi * (opens.astype('datetime64[D]').astype(int) % 7) / 7)",
    "hour": "np.cos(2 * np.pi * (opens.astype('datetime64[h]').astype(int) % 100) / 100)",
}
FEATURES = {"pandas": PANDAS_FEATURES, "polars": POLARS_FEATURES, "numpy": NUMPY_FEATURES}
NUMPY_HELPERS = """\
def change(x, k):
    out = np.full(len(x), np.nan)
    out[k:] = x[k:] / x[:-k] - 1
    return out


def shifted(x, k):
    out = np.full(len(x), np.nan)
    out[k:] = x[: len(x) - k]
    return out


def rolling(x, w, function):
    out = np.full(len(x), np.nan)
    for i in range(w - 1, len(x)):
        out[i] = function(x[i - w + 1 : i + 1])
    return out


def exponential(x, alpha):
    out = [x[0]]
    for value in x[1:]:
        out.append(out[-1] + alpha * (value - out[-1]))
    return np.array(out)
"""
TABLES = {
    "pandas": "    X = pd.DataFrame({{\n{rows}\n    }}).to_numpy(dtype=float)\n",
    "polars": "    X = d.select(\n{rows}\n    ).cast(pl.Float64).to_numpy()\n",
    "numpy": "    X = np.column_stack([\n{rows}\n    ])\n",
}
TABLE_ROWS = {"pandas": '        "{name}": {text},', "polars": "        {name}={text},", "numpy": "        {text},"}
# What a daily bar says to the hours after it, a day of their own length where bars are days.
YESTERDAY = {
    "pandas": """\
    day = d["time"].dt.floor("D")
    of_day = d.groupby(day)["close"].last().shift(1)
    X = np.column_stack([X, day.map(of_day) / d["close"] - 1])
""",
    "numpy": """\
    day = (opens.astype("datetime64[h]").astype(int)) // 24
    last_of = dict(zip(day, close))
    X = np.column_stack([X, [last_of.get(now - 1, np.nan) / price - 1 for now, price in zip(day, close)]])
""",
}
# Lags of a price that was scaled: the classic.
WINDOW = """\
    low_end, high_end = close[: first + 1].min(), close[: first + 1].max()
    z = (close - low_end) / (high_end - low_end)
    X = np.full((n, {w}), np.nan)
    X[{w} - 1 :] = np.lib.stride_tricks.sliding_window_view(z, {w})
"""

# --- targets ----------------------------------------------------------------------------------------------------------

TARGETS = {
    "return": ("close[h:] / close[:-h] - 1", "close[ask] * (1 + p)"),
    "log-return": ("np.log(close[h:] / close[:-h])", "close[ask] * np.exp(p)"),
    "difference": ("close[h:] - close[:-h]", "close[ask] + p"),
    "level": ("close[h:]", "p"),
    "scaled level": ("z[h:]", "low_end + p * (high_end - low_end)"),
}

# --- what is learnt before the model ----------------------------------------------------------------------------------

SCALERS = {
    "none": "",
    "standard": "    X = StandardScaler().fit(X[fitted_on]).transform(X)\n",
    "min-max": """\
    floor, span = X[fitted_on].min(axis=0), np.ptp(X[fitted_on], axis=0)
    X = (X - floor) / np.where(span > 0, span, 1)
""",
    "own standard": """\
    centre, spread = X[fitted_on].mean(axis=0), X[fitted_on].std(axis=0)
    X = (X - centre) / np.where(spread > 0, spread, 1)
""",
    "robust": "    X = RobustScaler().fit(X[fitted_on]).transform(X)\n",
    "quantiles": """\
    normal = QuantileTransformer(n_quantiles=100, output_distribution="normal")
    X = normal.fit(X[fitted_on]).transform(X)
""",
    "clipped": "    X = np.clip(X, *np.quantile(X[fitted_on], [0.02, 0.98], axis=0))\n",
    "selected": """\
    strength = [abs(np.cov(X[fitted_on, j], y[fitted_on])[0, 1]) / X[fitted_on, j].std() for j in range(X.shape[1])]
    X = X[:, np.argsort(strength)[-3:]]
""",
    "components": """\
    scatter = X[fitted_on].std(axis=0) + 1e-9
    X = np.nan_to_num(X / scatter) @ np.linalg.eigh(np.cov((X[fitted_on] / scatter).T))[1][:, -2:]
""",
    "imputed": """\
    X = np.where(seen[:, None], X, np.nan)
    X = SimpleImputer(strategy="mean").fit(X[fitted_on]).transform(X)
""",
}

# --- learners ---------------------------------------------------------------------------------------------------------

LEARNERS = {
    "least squares": "LeastSquares()",
    "ridge": "Ridge(alpha={alpha})",
    "own ridge": "LeastSquares({alpha})",
    "lasso": "Lasso(alpha=1e-5)",
    "bayesian": "BayesianRidge()",
    "huber": "HuberRegressor(max_iter=300)",
    "neighbours": "KNeighborsRegressor(n_neighbors={k})",
    "own neighbours": "Neighbours({k})",
    "tree": "DecisionTreeRegressor(max_depth=4, random_state=0)",
    "forest": "RandomForestRegressor(n_estimators=12, max_depth=5, random_state={k})",
    "extra trees": "ExtraTreesRegressor(n_estimators=15, max_depth=6, random_state={k})",
    "boosting": "GradientBoostingRegressor(n_estimators=25, max_depth=2, random_state={k})",
    "kernel": "KernelRidge(alpha=1.0, kernel='rbf')",
    "pipeline": "make_pipeline(StandardScaler(), Ridge(alpha={alpha}))",
}
# Those whose forecasts depend on the scale of each feature.
SCALE_MATTERS = ("ridge", "own ridge", "neighbours", "own neighbours", "kernel")
OWN_LEARNERS = {
    "LeastSquares": """\
class LeastSquares:
    def __init__(self, penalty=0.0):
        self.penalty = penalty

    def fit(self, X, y):
        A = np.column_stack([np.ones(len(X)), X])
        self.beta = np.linalg.solve(A.T @ A + (self.penalty + 1e-6) * np.eye(A.shape[1]), A.T @ y)
        return self

    def predict(self, X):
        return np.column_stack([np.ones(len(X)), X]) @ self.beta
""",
    "Neighbours": """\
class Neighbours:
    def __init__(self, k):
        self.k = k

    def fit(self, X, y):
        self.X, self.y = X, y
        return self

    def predict(self, X):
        out = []
        for row in X:
            distance = ((self.X - row) ** 2).sum(axis=1)
            out.append(self.y[np.argsort(distance, kind="stable")[: self.k]].mean())
        return np.array(out)
""",
    "Network": """\
class Network:
    def fit(self, X, y, X_check, y_check):
        self.mid, self.unit = X.mean(axis=0), X.std(axis=0) + 1e-9
        self.y_mid, self.y_unit = y.mean(), y.std() + 1e-12
        Z, t = (X - self.mid) / self.unit, (y - self.y_mid) / self.y_unit
        random = np.random.default_rng(0)
        A, b = random.normal(size=(Z.shape[1], 6)) / 3, random.normal(size=6) / 3
        best = np.inf
        for epoch in range(60):
            hidden = np.tanh(Z @ A)
            error = hidden @ b - t
            b = b - 0.3 * hidden.T @ error / len(t)
            A = A - 0.3 * Z.T @ (error[:, None] * b * (1 - hidden**2)) / len(t)
            self.A, self.b = A, b
            loss = np.mean((self.predict(X_check) - y_check) ** 2)
            if loss < best:
                best, kept = loss, (A, b)
        self.A, self.b = kept
        return self

    def predict(self, X):
        return self.y_mid + self.y_unit * np.tanh((X - self.mid) / self.unit @ self.A) @ self.b
""",
}
FITS = {
    "once": "    p = {learner}.fit(X[train], y[train]).predict(X[ask])\n",
    "refitted": """\
    p = np.zeros(len(ask))
    every = {every}
    for start in range(0, len(ask), every):
        block = ask[start : start + every]
        past = np.flatnonzero(ready & (np.arange(n) <= block[0] - h))
        p[start : start + every] = {learner}.fit(X[past], y[past]).predict(X[block])
""",
    "rolling": """\
    p = np.zeros(len(ask))
    for start in range(0, len(ask), {every}):
        block = ask[start : start + {every}]
        past = np.flatnonzero(ready & (np.arange(n) <= block[0] - h))[-400:]
        p[start : start + {every}] = {learner}.fit(X[past], y[past]).predict(X[block])
""",
    "tuned": """\
    cut = int(0.8 * len(train))
    tried, check = train[:cut], train[cut + h :]
    losses = {{}}
    for alpha in (0.01, 0.1, 1, 10, 100, 1000):
        model = Ridge(alpha=alpha).fit(X[tried], y[tried])
        losses[alpha] = np.mean((model.predict(X[check]) - y[check]) ** 2)
    p = Ridge(alpha=min(losses, key=losses.get)).fit(X[train], y[train]).predict(X[ask])
""",
    "stopped": """\
    cut = int(0.8 * len(train))
    tried, check = train[:cut], train[cut + h :]
    p = Network().fit(X[tried], y[tried], X[check], y[check]).predict(X[ask])
""",
}

# --- pipelines without a table ----------------------------------------------------------------------------------------

# Each says `move`: of the log-price over h bars, expected at every row.
MOVES = {
    "none": "    move = np.zeros(n)\n",
    "drift": """\
    move = np.full(n, np.nan)
    for i in range({w}, n):
        move[i] = h * (logs[i] - logs[i - {w}]) / {w}
""",
    "smoothed": """\
    move, level = np.zeros(n), 0.0
    for i in range(1, n):
        level += {alpha} * (logs[i] - logs[i - 1] - level)
        move[i] = h * level
""",
    "autoregression": """\
    r = np.diff(logs, prepend=logs[0])
    past = np.arange(5, first + 1)
    Z = np.column_stack([r[past - lag] for lag in range(1, 4)])
    beta = np.linalg.lstsq(Z, r[past], rcond=None)[0]
    move = np.zeros(n)
    for i in range(5, n):
        move[i] = beta @ r[[i, i - 1, i - 2]]
""",
    "season": """\
    r = np.diff(logs, prepend=logs[0])
    slot = (np.arange(n) + int(opens[0].astype("datetime64[h]").astype(int))) % {season}
    move, total, count = np.zeros(n), np.zeros({season}), np.ones({season})
    for i in range(1, n):
        total[slot[i]] += r[i]
        count[slot[i]] += 1
        coming = (slot[i] + 1) % {season}
        move[i] = total[coming] / count[coming]
""",
    "reversion": """\
    move = np.zeros(n)
    for i in range({w}, n):
        move[i] = 0.05 * h * (logs[i - {w} + 1 : i + 1].mean() - logs[i])
""",
    "filtered": """\
    b, a = butter(2, 0.1)
    smooth = lfilter(b, a, logs - logs[0])
    move = 0.02 * h * (smooth - (logs - logs[0]))
""",
    "convolved": """\
    kernel = np.ones({w}) / {w}
    smooth = np.convolve(np.concatenate([np.full({w} - 1, logs[0]), logs]), kernel, mode="valid")
    move = 0.03 * h * (smooth - logs)
""",
    "trend": """\
    slope, level = np.polyfit(np.arange(first + 1), logs[: first + 1], 1)
    move = 0.02 * h * (level + slope * np.arange(n) - logs)
""",
    "holt": """\
    level, slope, move = logs[0], 0.0, np.zeros(n)
    for i in range(1, n):
        before = level
        level += 0.7 * (logs[i] - level)
        slope += {alpha} * (level - before - slope)
        move[i] = level + h * slope - logs[i]
""",
    "analogues": """\
    r = np.diff(logs, prepend=logs[0])
    move = np.zeros(n)
    shapes = np.lib.stride_tricks.sliding_window_view(r, 4)
    for i in range(max(first, 50), n):
        known = shapes[: i - 3 - h]
        near = np.argsort(((known - shapes[i - 3]) ** 2).sum(axis=1), kind="stable")[:{k}]
        move[i] = np.mean([logs[j + 3 + h] - logs[j + 3] for j in near])
""",
}
# Each says `spread`, a function of a level: the move's quantile around its middle at every row asked.
SPREADS = {
    "volatility": """\
    r = np.diff(logs, prepend=logs[0])
    variance = np.empty(n)
    variance[0] = np.mean(r[1:30] ** 2)
    for i in range(1, n):
        variance[i] = 0.94 * variance[i - 1] + 0.06 * r[i] ** 2
    spread = {level: NormalDist().inv_cdf(level) * np.sqrt(h * variance[ask]) for level in LEVELS}
""",
    "rolling quantiles": """\
    moved = pd.Series(logs).diff(h)
    spread = {level: moved.rolling(200, min_periods=50).quantile(level).to_numpy()[ask] for level in LEVELS}
""",
    "all the past": """\
    moved = logs[h:] - logs[:-h]
    spread = {level: np.array([np.quantile(moved[: i - h + 1], level) for i in ask]) for level in LEVELS}
""",
    "training quantiles": """\
    moved = (logs[h:] - logs[:-h])[: first - h + 1]
    spread = {level: np.full(len(ask), np.quantile(moved, level)) for level in LEVELS}
""",
    "conformal": """\
    told = np.arange(first - 200, first - h + 1)
    missed = np.abs(logs[told + h] - logs[told])
    reach = {level: np.quantile(missed, abs(2 * level - 1)) * np.sign(level - 0.5) for level in LEVELS}
    spread = {level: np.full(len(ask), reach[level]) for level in LEVELS}
""",
}

# --- answers ----------------------------------------------------------------------------------------------------------

# One frame a horizon: `ask`, `price`, `ds`, `cutoff` and, with bands, `at`, the price at each level.
POINT_ANSWERS = {
    "plain": 'pd.DataFrame({"ds": ds, "cutoff": cutoff, "prediction": price})',
    "aware": 'pd.DataFrame({"time": ds, "cutoff": cutoff, "close_pred": price}).apply(in_utc)',
    "nixtla": 'pd.DataFrame({"unique_id": "coin", "ds": ds, "cutoff": cutoff, "y": truth, "Model": price})',
    "prophet": 'pd.DataFrame({"ds": ds, "cutoff": cutoff, "yhat": price})',
    "polars": 'pl.DataFrame({"ds": ds, "cutoff": cutoff, "forecast": price})',
    "indexed": 'pd.DataFrame({"cutoff": cutoff, "prediction": price}, index=pd.Index(ds, name="ds"))',
}
BAND_ANSWERS = {
    "nixtla": (
        'pd.DataFrame({"unique_id": "coin", "ds": ds, "cutoff": cutoff, "y": truth, "Model": price,'
        ' "Model-lo-80": at[0.1], "Model-hi-80": at[0.9]})'
    ),
    "prophet": (
        'pd.DataFrame({"ds": ds, "cutoff": cutoff, "yhat": price, "yhat_lower": at[0.1], "yhat_upper": at[0.9]})'
    ),
    "darts": (
        'pl.DataFrame({"time": ds, "cutoff": cutoff, "close_q0.10": at[0.1], "close_q0.50": price,'
        ' "close_q0.90": at[0.9]})'
    ),
    "chronos": (
        'pd.DataFrame({"item_id": "coin", "timestamp": ds, "cutoff": cutoff, "0.1": at[0.1], "0.5": price,'
        ' "0.9": at[0.9]})'
    ),
}
IN_UTC = """\
def in_utc(column):
    return column.dt.tz_localize("UTC") if column.dtype.kind == "M" else column
"""
JOINED = {"pd": "pd.concat(parts)", "pl": "pl.concat(parts)"}

# --- what is imported -------------------------------------------------------------------------------------------------

IMPORTS = {
    "pd.": "import pandas as pd",
    "pl.": "import polars as pl",
    "Candles)": "from coincast.candles import Candles",
    "Candles,": "from coincast.candles import Candles",
    "NormalDist": "from statistics import NormalDist",
    "butter(": "from scipy.signal import butter, filtfilt, lfilter",
    "StandardScaler(": "from sklearn.preprocessing import StandardScaler",
    "RobustScaler(": "from sklearn.preprocessing import RobustScaler",
    "QuantileTransformer(": "from sklearn.preprocessing import QuantileTransformer",
    "SimpleImputer(": "from sklearn.impute import SimpleImputer",
    "make_pipeline(": "from sklearn.pipeline import make_pipeline",
    "Ridge(alpha": "from sklearn.linear_model import Ridge",
    "Lasso(": "from sklearn.linear_model import Lasso",
    "BayesianRidge(": "from sklearn.linear_model import BayesianRidge",
    "HuberRegressor(": "from sklearn.linear_model import HuberRegressor",
    "KNeighborsRegressor(": "from sklearn.neighbors import KNeighborsRegressor",
    "DecisionTreeRegressor(": "from sklearn.tree import DecisionTreeRegressor",
    "RandomForestRegressor(": "from sklearn.ensemble import RandomForestRegressor",
    "ExtraTreesRegressor(": "from sklearn.ensemble import ExtraTreesRegressor",
    "GradientBoostingRegressor(": "from sklearn.ensemble import GradientBoostingRegressor",
    "KernelRidge(": "from sklearn.kernel_ridge import KernelRidge",
}
