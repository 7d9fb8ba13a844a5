"""Opens a page in the user's browser."""

import webbrowser
from collections.abc import Mapping

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Without one of these variables there is no graphical browser."""


def show(address: str, environment: Mapping[str, str]) -> bool:
    """Open a page, and return whether a browser was found.

    The address becomes an argument of the browser, and every user of this machine can read arguments. So it must not
    contain a secret. Prefect's page asks for the password itself.
    """
    if not any(environment.get(name) for name in SCREENS):
        return False
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
