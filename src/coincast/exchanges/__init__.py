"""Candles from exchanges: closed bars by REST, live ones too, and a venue on loopback that plays back stored ones."""
