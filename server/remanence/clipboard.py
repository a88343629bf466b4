"""The system's clipboard, where a terminal can reach one."""

from __future__ import annotations


class ClipboardError(Exception):
    """Nothing can be copied here; the message says what would help."""


def copy(text: str) -> None:
    """Put the text on the clipboard. Raises ClipboardError in words."""
    import pyperclip  # here: no other command needs it

    try:
        put, get = pyperclip.determine_clipboard()
        put(text)
        arrived = get()  # a program that cannot reach the display fails without a word
    except (pyperclip.PyperclipException, OSError) as error:
        raise ClipboardError(_HELP) from error
    if arrived.split() != text.split():
        raise ClipboardError(_HELP)


_HELP = (
    "No clipboard can be reached from here. On Linux it takes wl-clipboard, xclip or xsel, and a display; "
    "without --copy the prompt is printed."
)
