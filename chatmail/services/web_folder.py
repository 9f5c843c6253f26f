"""Finds files of `[web] folder`, the operator's own pages, and nothing outside it.

A file there takes the place of the built-in page of the same address: `/` is `index.html`, `/info` is `info.html` or
the file `info`. What begins with a dot is not served, nor anything whose real place, links followed, is outside.
"""

from pathlib import Path


class WebFolder:
    """One folder of own pages, looked at anew for every request."""

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist (yet): then it has no files."""
        self._folder = folder

    def find(self, path: str) -> Path | None:
        """The real place of the file for a percent-decoded request path; None if there is none to serve."""
        parts = path.split("/")[1:]
        if parts and parts[-1] == "":
            parts[-1] = "index.html"
        if not parts or not all(_is_plain_name(part) for part in parts):
            return None
        return self._regular_file(parts) or self._regular_file([*parts[:-1], f"{parts[-1]}.html"])

    def _regular_file(self, parts: list[str]) -> Path | None:
        try:
            root = self._folder.resolve(strict=True)
            place = root.joinpath(*parts).resolve(strict=True)
            if place.is_relative_to(root) and place.is_file():
                return place
        except (OSError, ValueError, RuntimeError):  # absent, unreadable, a name no file can have, a loop of links
            return None
        return None


def _is_plain_name(part: str) -> bool:
    return part != "" and not part.startswith(".") and not any(letter in part for letter in "\\\0")
