"""Writes results and timelines as text: JUnit, Markdown. Pure: values in, text out.

Does not: read or write files.
"""
