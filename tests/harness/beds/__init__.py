"""A module for each backend, with a class `Bed` that fulfils `harness.backends.Bed` and is made from a folder."""
