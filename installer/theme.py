"""The colours of every screen: one light and one dark theme, kin to the web page's pale green-grey and mint.

Colour only ever repeats what a word or a mark says already: all is legible without (NO_COLOR, 16 colours).
"""

import os
from typing import Final

from textual.theme import Theme

LIGHT: Final = Theme(
    name="chatmail-light",
    dark=False,
    primary="#0b6e64",
    secondary="#47605b",
    accent="#0b6e64",
    foreground="#10211e",
    background="#f4f7f6",
    surface="#ffffff",
    panel="#e3eeeb",
    success="#14713f",
    warning="#8a5a00",
    error="#b3261e",
    variables={
        "border": "#c4d4cf",
        "border-blurred": "#d9e3e0",
        "text-muted": "#47605b",
        "footer-background": "#e3eeeb",
        "footer-key-foreground": "#0b6e64",
        "footer-description-foreground": "#47605b",
        "input-selection-background": "#d5efe9",
        "input-cursor-background": "#0b6e64",
        "input-cursor-foreground": "#ffffff",
        "block-cursor-background": "#0b6e64",
        "block-cursor-foreground": "#ffffff",
        "button-color-foreground": "#ffffff",
        "scrollbar": "#c4d4cf",
        "scrollbar-background": "#f4f7f6",
    },
)

DARK: Final = Theme(
    name="chatmail-dark",
    dark=True,
    primary="#35c2ae",
    secondary="#a3b8b3",
    accent="#5fd8c5",
    foreground="#e9f2f0",
    background="#0c1413",
    surface="#131e1c",
    panel="#1b2b28",
    success="#7bd88f",
    warning="#e4c56b",
    error="#ff8f80",
    variables={
        "border": "#35504a",
        "border-blurred": "#263532",
        "text-muted": "#a3b8b3",
        "footer-background": "#131e1c",
        "footer-key-foreground": "#5fd8c5",
        "footer-description-foreground": "#a3b8b3",
        "input-selection-background": "#1d4d46",
        "input-cursor-background": "#5fd8c5",
        "input-cursor-foreground": "#04211d",
        "block-cursor-background": "#35c2ae",
        "block-cursor-foreground": "#04211d",
        "button-color-foreground": "#04211d",
        "scrollbar": "#35504a",
        "scrollbar-background": "#0c1413",
    },
)

THEMES: Final = (DARK, LIGHT)


def first_theme() -> Theme:
    """The one that suits the terminal: light where it says so (`COLORFGBG=0;15`), else dark."""
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT if background in ("7", "15") else DARK


def other_theme(name: str) -> Theme:
    """The one to switch to."""
    return LIGHT if name == DARK.name else DARK
