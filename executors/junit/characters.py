"""The characters of a report: decoded, and without what XML forbids.

A report must not be lost for one character. So a byte that its encoding does not know, a character that XML forbids,
raw or as a reference, and an ampersand that begins no reference are replaced before the parser sees them. What is not
well formed beyond that stays broken.
"""

import codecs
import re
from collections.abc import Iterator
from html.entities import name2codepoint
from typing import BinaryIO

CHUNK = 65_536
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_HEAD = 1024
_LONGEST_SPECIAL = 64
"""No reference and no beginning of a section that we look for is longer."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ((b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_DECLARED = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
_LEGACY = re.compile(
    r"iso8859-\d+|cp125\d|cp437|cp85\d|cp866|cp874|cp932|cp949|koi8-[rtu]|mac-roman|gb2312|gbk|gb18030|big5|big5hkscs|"
    r"shift_jis|euc_jp|euc_kr|iso2022_jp"
)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLOUR = re.compile(r"(?:\x1b|&#(?:27|x0*1[bB]);)\[[0-9;:?]*[A-Za-z]")
_RAW_COLOUR = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")
_AMPERSAND = re.compile(r"&(?:#(?P<decimal>\d{1,12});|#x(?P<hex>[0-9a-fA-F]{1,10});|(?P<name>[A-Za-z_][\w.-]{0,30});)?")
_XML_NAMES = {"amp", "lt", "gt", "quot", "apos"}
_SECTION = re.compile(r"<!\[CDATA\[|<!--|<\?|(?i:<!doctype)")
_CLOSES = {"<![CDATA[": "]]>", "<!--": "-->", "<?": "?>"}


class RefusedError(ValueError):
    """The document is not one that an honest tool writes."""


def characters(file: BinaryIO) -> Iterator[str]:
    """Yield the text of an XML file in pieces that a parser takes. Raises: RefusedError for a document type."""
    decoder = codecs.getincrementaldecoder(encoding_of(file))(errors=_WINDOWS_1252)
    cleaner = _Cleaner()
    while chunk := file.read(CHUNK):
        yield from cleaner.take(decoder.decode(chunk))
    yield from cleaner.take(decoder.decode(b"", final=True), final=True)


def encoding_of(file: BinaryIO) -> str:
    """Return the encoding of a file that can be read twice; the file stands at its begin afterwards.

    What the bytes are counts more than what the declaration says: programs write "utf-16" or "iso-8859-1" above UTF-8.
    """
    file.seek(0)
    head = file.read(_HEAD)
    found = next((name for mark, name in (*_BOMS, *_WIDE) if head.startswith(mark)), None)
    declared = _declared(head)
    if found is None and declared is not None and (declared == "iso2022_jp" or not _is_utf8(file, head)):
        found = declared
    file.seek(0)
    return found or "utf-8"


def _declared(head: bytes) -> str | None:
    """Return the Python name of the declared encoding, None for one that is not of those that files are written in."""
    match = _DECLARED.match(head)
    try:
        name = codecs.lookup(match[1].decode()).name if match else ""
    except LookupError:
        return None
    if name in {"iso8859-1", "ascii"}:
        return "cp1252"  # as all browsers do: whoever writes Latin 1 on Windows writes this
    return name if _LEGACY.fullmatch(name) else None


def _is_utf8(file: BinaryIO, head: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
        while chunk := file.read(CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Decode what the encoding does not know byte by byte: text of Windows amid UTF-8 is read as it was meant."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


_WINDOWS_1252 = "assay.windows-1252"
codecs.register_error(_WINDOWS_1252, _as_windows_1252)


class _Cleaner:
    """Replaces what XML forbids, and leaves comments and processing instructions out. Knows what a piece begins in."""

    def __init__(self) -> None:
        self._rest = ""
        self._section = ""

    def take(self, text: str, *, final: bool = False) -> Iterator[str]:
        """Yield what can be told of the text so far; a reference that may go on is kept for the next piece."""
        text = self._rest + text
        self._rest = ""
        while text:
            piece, text, more = self._inside(text) if self._section else self._outside(text)
            if not more and not final:
                piece, self._rest = _held_back(piece, self._section)
            yield self._cleaned(piece)
            self._moved(piece, delimited=more)

    def _inside(self, text: str) -> tuple[str, str, bool]:
        before, close, after = text.partition(_CLOSES[self._section])
        return before + close, after, bool(close)

    def _outside(self, text: str) -> tuple[str, str, bool]:
        found = _SECTION.search(text)
        if found and found[0] not in _CLOSES:
            raise RefusedError("a DOCTYPE is not accepted")
        return (text[: found.end()], text[found.end() :], True) if found else (text, "", False)

    def _cleaned(self, piece: str) -> str:
        if self._section == "<![CDATA[":
            return _FORBIDDEN.sub(REPLACEMENT, _RAW_COLOUR.sub("", piece))
        if self._section:
            return ""
        for opening in ("<!--", "<?"):
            piece = piece.removesuffix(opening)
        return _FORBIDDEN.sub(REPLACEMENT, _AMPERSAND.sub(_reference, _COLOUR.sub("", piece)))

    def _moved(self, piece: str, *, delimited: bool) -> None:
        """Note in which section the next piece begins, where this one ends with a delimiter."""
        if delimited:
            self._section = "" if self._section else next(opening for opening in _CLOSES if piece.endswith(opening))


def _held_back(piece: str, section: str) -> tuple[str, str]:
    """Split off what may be the begin of something that the next piece ends."""
    start = max(0, len(piece) - _LONGEST_SPECIAL)
    marks = "]-?\x1b" if section else "<&\x1b"
    places = [place for mark in marks if (place := piece.find(mark, start)) >= 0]
    place = min(places, default=len(piece))
    return piece[:place], piece[place:]


def _reference(match: re.Match[str]) -> str:
    """Return a reference that XML knows, for one that it does not."""
    if match["name"] is not None:
        if match["name"] in _XML_NAMES or match["name"] not in name2codepoint:
            return match[0]
        return f"&#{name2codepoint[match['name']]};"
    digits, base = (match["decimal"], 10) if match["decimal"] else (match["hex"], 16)
    if digits is None:
        return "&amp;"
    code = int(digits, base)
    return REPLACEMENT if code > 0x10FFFF or _FORBIDDEN.match(chr(code)) else match[0]  # noqa: PLR2004  the last one
