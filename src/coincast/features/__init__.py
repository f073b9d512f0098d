"""Named features. Each value of a bar is a function of that bar and bars before it, never of one after.

A feature is a polars expression over a candle frame. Register your own and it can be named in any recipe; the shipped
contract `coincast.testing.check_feature` proves that it sees no future. One that reads an outside series needs candles
to which `external.join` has joined it.
"""

from . import outside as outside
from . import realised as realised
from . import volatility as volatility
from . import week as week
from .feature import FEATURES as FEATURES
from .feature import Feature as Feature
from .feature import compute as compute
from .feature import needs as needs
from .feature import register as register
