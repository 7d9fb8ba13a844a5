"""The mask that removes the values of secrets from logs and from all other text that people can read.

Each byte of a value becomes one `*`. So a masked text is as long as its source, and the size of the log shows how much
of the source it has: that makes appending exactly-once (`cluster/logs.py`).
"""

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORT = 8
"""Values with fewer characters are masked only as whole words. Else they would mask large parts of every log."""
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Mask:
    """Replaces each byte of a secret value by `*`, also where the value is quoted or encoded in a common way.

    A byte is masked if an occurrence of any form covers it; occurrences may overlap. The result depends on the whole
    text only, not on how the text is cut into pieces.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value)}
        self._anywhere = tuple(sorted(form for form, alone in forms if not alone))
        self._alone = tuple(sorted(form for form, alone in forms if alone))
        self.reach = max((len(form) for form, _ in forms), default=0)
        """The number of bytes around a position that decide whether it is masked."""

    def __bool__(self) -> bool:
        return bool(self._anywhere or self._alone)

    def text(self, text: str) -> str:
        """Return `text` masked. A character of several bytes becomes as many `*`."""
        if not self:
            return text
        return self.whole(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def whole(self, data: bytes) -> bytes:
        """Return complete data masked."""
        return self.part(data, 0, final=True)

    def part(self, window: bytes, begin: int, *, final: bool) -> bytes:
        """Return the masked bytes of `window[begin:]`, without an end that may be the beginning of a secret.

        `window[:begin]` is the text before: `reach` bytes, or all there is. With `final` nothing is held back,
        because no text follows.
        """
        end = len(window) if final else self._decided(window)
        if end <= begin:
            return b""
        masked = bytearray(window)
        for start, stop in self._occurrences(window, final=final):
            masked[start:stop] = b"*" * (stop - start)
        return bytes(masked[begin:end])

    def _occurrences(self, window: bytes, *, final: bool) -> Iterator[tuple[int, int]]:
        for form in self._anywhere:
            yield from _spans(window, form)
        for form in self._alone:
            for start, stop in _spans(window, form):
                free_before = start == 0 or window[start - 1] not in _WORD
                free_after = final if stop == len(window) else window[stop] not in _WORD
                if free_before and free_after:
                    yield start, stop

    def _decided(self, window: bytes) -> int:
        """Return where the longest end of `window` begins that may be the beginning of a secret."""
        end = len(window)
        for form in self._anywhere:
            end = min(end, len(window) - _overlap(window, form, len(form) - 1))
        for form in self._alone:  # the whole form too: the next byte decides whether it is a whole word
            end = min(end, len(window) - _overlap(window, form, len(form)))
        return end


NOTHING_SECRET = Mask()


def _spans(window: bytes, form: bytes) -> Iterator[tuple[int, int]]:
    start = window.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = window.find(form, start + 1)


def _overlap(window: bytes, form: bytes, longest: int) -> int:
    """Return the length of the longest end of `window` that is a beginning of `form`, `longest` at most."""
    for length in range(min(longest, len(window)), 0, -1):
        if window.endswith(form[:length]):
            return length
    return 0


def _forms(value: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the forms in which a value may appear, and whether a form is masked only as a whole word."""
    if not value:
        return
    yield value.encode(), len(value) < SHORT
    for line in value.splitlines():
        if len(line.strip()) >= SHORT:
            yield line.strip().encode(), False
    if len(value) < SHORT:
        return
    yield quote(value, safe="").encode(), False
    yield quote_plus(value).encode(), False
    yield json.dumps(value)[1:-1].encode(), False
    yield json.dumps(value, ensure_ascii=False)[1:-1].encode(), False
    for shift in range(3):
        yield from ((form, False) for form in _base64(value.encode(), shift))


def _base64(value: bytes, shift: int) -> Iterator[bytes]:
    """Yield the base64 characters that depend on `value` alone after `shift` other bytes, in both alphabets."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(bytes(shift) + value).rstrip(b"=")
        begin = -(-shift * 8 // 6)  # leave out the characters that contain bits of the bytes before
        end = (shift + len(value)) * 8 // 6  # the last character may contain bits of the bytes after
        yield encoded[begin:end]
