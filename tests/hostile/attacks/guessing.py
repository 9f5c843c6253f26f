"""Passwords guessed, from the honest client's own address and from elsewhere."""

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.wire import crowd, imap, smtp
from tests.support.mail_client import UnexpectedReplyError


async def guess(arena: Arena, tally: Tally) -> None:
    """Try passwords of an account as fast as they are answered, over both protocols; come again when sent away."""

    async def one(number: int) -> None:
        client = await (imap(arena, number, log_in=False) if number % 2 else smtp(arena, number, log_in=False))
        try:
            for attempt in range(10):
                try:
                    await client.login(arena.victim, f"guess number {attempt}")
                except UnexpectedReplyError as error:
                    tally["refused, " + ("for now" if _is_temporary(str(error)) else "wrong")] += 1
        finally:
            client.close()

    await crowd(tally, arena.count(50), one)


def _is_temporary(reply: str) -> bool:
    return reply.startswith("454") or "UNAVAILABLE" in reply


ATTACKS = (
    Attack("guessing", "50 connections guessing one account's password, from the honest client's address", guess,
           from_beside=True),
    Attack("guessing-elsewhere", "the same from 16 other addresses", guess),
)  # fmt: skip
