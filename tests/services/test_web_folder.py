"""The operator's own pages, and that nothing else is found."""

import os
from pathlib import Path

import pytest

from chatmail.services.web_folder import WebFolder


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder of pages beside a secret."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "pages"
    (folder / "img").mkdir(parents=True)
    for name in ("index.html", "info.html", "img/logo.png", "img/index.html", ".env", "img/.hidden", "plain"):
        (folder / name).write_text(name)
    (folder / "out").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "inside").symlink_to(folder / "plain")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "index.html"),
        ("/index.html", "index.html"),
        ("/info", "info.html"),
        ("/info.html", "info.html"),
        ("/img/logo.png", "img/logo.png"),
        ("/img/", "img/index.html"),
        ("/plain", "plain"),
        ("/inside", "plain"),
    ],
)
def test_own_pages_are_found(pages: Path, path: str, name: str) -> None:
    assert WebFolder(pages).find(path) == pages / name


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/../secret.txt",
        "/img/../../secret.txt",
        "/img/..",
        "/./plain",
        "/out",
        "/up/secret.txt",
        "/loop",
        "/pipe",
        "/.env",
        "/img/.hidden",
        "/img",
        "//plain",
        "/img//logo.png",
        "/..\\secret.txt",
        "/plain\0",
        "/plain/",
        "/plain/x",
        "/" + "a" * 5000,
        "/\udcff",
        "plain",
        "",
        "*",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_found(pages: Path, path: str) -> None:
    assert WebFolder(pages).find(path) is None


def test_a_folder_that_is_not_there_has_no_pages(tmp_path: Path) -> None:
    assert WebFolder(tmp_path / "absent").find("/") is None


def test_a_folder_reached_through_a_link_is_served(pages: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pages)
    assert WebFolder(tmp_path / "link").find("/plain") == pages / "plain"
