"""The classic price network, done soundly, and sixteen ways in which it is done wrong."""
