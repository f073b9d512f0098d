"""Leaks and false claims in any forecasting pipeline, found by asking it about futures that never were."""
