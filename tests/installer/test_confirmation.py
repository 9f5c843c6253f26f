"""The question in front of everything else: its answers, and how it looks."""

from pathlib import Path

import pytest

from installer.themed_app import ThemedApp
from installer.widgets.confirmation import ConfirmationModal
from tests.support.screen_snapshot import Snapshots, still

SNAPSHOTS = Snapshots(Path(__file__))


def question() -> ConfirmationModal:
    return ConfirmationModal("Leave?", "Nothing was changed so far.", yes="Leave", no="Stay")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["enter"], False),
        (["escape"], False),
        (["n"], False),
        (["y"], True),
        (["left", "enter"], True),
        (["tab", "enter"], True),
    ],
)
async def test_each_key_gives_the_answer_it_shows(keys: list[str], expected: bool) -> None:
    app, answers = still(ThemedApp()), list[bool | None]()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(question(), answers.append)
        await pilot.press(*keys)
    assert answers == [expected]


@pytest.mark.parametrize("size", [(80, 24), (40, 24)])
async def test_how_a_question_looks(size: tuple[int, int]) -> None:
    app = still(ThemedApp())
    async with app.run_test(size=size) as pilot:
        await app.push_screen(question())
        await SNAPSHOTS.check(pilot, "question")
