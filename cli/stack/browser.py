"""Opens a page in the browser of whoever sits before this machine."""

import webbrowser
from collections.abc import Mapping

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Without one of these a browser would draw into the terminal, or not at all."""


def show(address: str, environment: Mapping[str, str]) -> bool:
    """Open a page, and return whether a browser took it.

    The address stands in the arguments of the browser, where every user of this machine can read it. So it must hold no
    secret: Prefect's page asks for the password itself, and takes none from its address.
    """
    if not any(environment.get(name) for name in SCREENS):
        return False
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
