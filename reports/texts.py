"""Escape untrusted text for XML and for Markdown."""

import html
import re

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])")
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#!(){}])")
_BLANKS = re.compile(r"\s+")


def for_xml(text: str) -> str:
    """Remove characters that XML 1.0 cannot contain, and terminal colours. The XML writer escapes the rest."""
    return _NOT_XML.sub("", _TERMINAL.sub("", text))


def for_people(text: str) -> str:
    """Return what `for_xml` does, with the marks that turn the direction of writing around shown as escapes."""
    return _TURNS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", for_xml(text))


def for_markdown(text: str, most: int) -> str:
    """Return `text` as one escaped line for Markdown, with at most `most` characters before the escaping.

    The line has no markup, no HTML and no table border.
    """
    line = _BLANKS.sub(" ", for_xml(text)).strip()
    if len(line) > most:
        line = line[: most - 1] + "…"
    return _MARKDOWN.sub(r"\\\1", html.escape(line, quote=False))
