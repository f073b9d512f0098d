"""The study: what each step adds to the forecast, on the development years alone; `docs/skill.md` tells its results."""
