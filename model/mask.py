"""The mask that keeps the values of secrets out of everything that people can read.

A value is masked by as many `*` as it has bytes. So a masked text is as long as its source, which is what makes the
log exactly-once by its size alone (`cluster/logs.py`).
"""

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORT = 8
"""Values with fewer characters are masked only where they stand alone, or they would blot out half of each log."""
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Mask:
    """Replaces secret values, as they are and as they are often written, by as many `*`.

    A byte is masked if any occurrence of any form covers it, overlapping ones included. What is masked depends on the
    whole text only, never on how it was cut into pieces.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value)}
        self._anywhere = tuple(sorted(form for form, alone in forms if not alone))
        self._alone = tuple(sorted(form for form, alone in forms if alone))
        self.reach = max((len(form) for form, _ in forms), default=0)
        """Bytes around a position that decide whether it is masked."""

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
        """Return the masked bytes of `window[begin:]`, as far as they are decided.

        `window[:begin]` is what came before: `reach` bytes, or all there is. Unless `final`, bytes that a
        continuation could still turn into a secret are held back.
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
        """Return where the undecided end of `window` begins: at the longest of its ends that begins a secret."""
        end = len(window)
        for form in self._anywhere:
            end = min(end, len(window) - _overlap(window, form, len(form) - 1))
        for form in self._alone:  # the whole form too: what follows tells whether it stands alone
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
    """Yield the ways in which a value may appear, and whether it counts only where it stands alone."""
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
    """Yield what is certain of `value` in base64 when `shift` bytes stand before it, in both alphabets."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(bytes(shift) + value).rstrip(b"=")
        begin = -(-shift * 8 // 6)  # the characters that the bytes before share in
        end = (shift + len(value)) * 8 // 6  # the last one may share in the bytes behind
        yield encoded[begin:end]
