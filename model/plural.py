"""Numbers of things in words."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 test` and `2,000 tests`. The plural of the noun ends in -s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
