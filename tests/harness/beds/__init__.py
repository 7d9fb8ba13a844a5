"""A module for each backend. `Bed(folder)` returns a `harness.backends.Bed`; `MARKS`, if any, mark its tests."""
