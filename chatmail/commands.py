"""What the running server does on command: the table behind the control socket, built from its services.

The words are those of the command line, which prints what comes back.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from chatmail.errors import OperatorError
from chatmail.log import Log, current_level, set_level
from chatmail.services.certificates import CertificateService, CertificateStatus
from chatmail.services.control import Handler, Report
from chatmail.services.notifier import NotifierService
from chatmail.storage.store import QueueItem, QueueItemId, Store

MAX_DEBUG_SECONDS: Final = 86400
MAX_LISTED_ITEMS: Final = 10_000
_PAGE_ITEMS: Final = 500


def certificate_commands(certificates: CertificateService) -> dict[str, Handler]:
    """`cert status` and `cert renew`."""

    async def status(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
        return certificate_as_dict(certificates.status())

    async def renew(_arguments: Mapping[str, Any], report: Report) -> Any:  # noqa: ANN401 — JSON
        await certificates.renew(lambda step: report(str(step)))
        return certificate_as_dict(certificates.status())

    return {"cert status": status, "cert renew": renew}


def queue_commands(store: Store) -> dict[str, Handler]:
    """`queue list`, `queue retry` and `queue drop`."""
    queue = store.queue

    async def list_(arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
        domain, items, after = _domain(arguments), list[dict[str, Any]](), 0
        while len(items) < MAX_LISTED_ITEMS and (page := await queue.page(after, _PAGE_ITEMS)):
            after = page[-1].item_id
            items += [queue_item_as_dict(item) for item in page if domain in (None, item.domain)]
        return {"items": items[:MAX_LISTED_ITEMS]}

    async def retry(arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
        return {"retried": await queue.retry(await _selected(store, arguments), datetime.now(UTC))}

    async def drop(arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
        return {"dropped": await queue.drop(await _selected(store, arguments))}

    return {"queue list": list_, "queue retry": retry, "queue drop": drop}


async def _selected(store: Store, arguments: Mapping[str, Any]) -> Sequence[QueueItemId]:
    """What the operator means: one item, a domain's, or explicitly all of them."""
    item_id, domain = arguments.get("item"), _domain(arguments)
    if item_id is None and domain is None and arguments.get("all") is not True:
        raise OperatorError("Say which items: a number, a domain with --domain, or --all.")
    if item_id is not None and (isinstance(item_id, bool) or not isinstance(item_id, int) or abs(item_id) >= 1 << 63):
        raise OperatorError("The number of an item is a whole number, as `queue list` shows it.")
    return await store.queue.select(item_id=item_id, domain=domain)


def _domain(arguments: Mapping[str, Any]) -> str | None:
    domain = arguments.get("domain")
    if domain is not None and not isinstance(domain, str):
        raise OperatorError("A domain is text.")
    return None if domain is None else domain.lower()


def queue_item_as_dict(item: QueueItem) -> dict[str, Any]:
    """An item as JSON, times in ISO 8601. Its sender and recipients stay private: how many there are must do."""
    return {
        "item": item.item_id,
        "domain": item.domain,
        "recipients": len(item.recipients),
        "size_bytes": item.size_bytes,
        "attempts": item.attempts,
        "queued_at": item.queued_at.isoformat(),
        "next_attempt_at": item.next_attempt_at.isoformat(),
        "last_reply": item.last_reply,
    }


def certificate_as_dict(status: CertificateStatus) -> dict[str, Any]:
    """The status as JSON, times in ISO 8601."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(status).items()}


def push_commands(notifier: NotifierService | None, store: Store) -> dict[str, Handler]:
    """`push status`; `notifier` is None where notifications are switched off."""

    async def status(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
        waiting, tokens = await store.push.counts()
        counters = {} if notifier is None else asdict(notifier.counters)
        return {"on": notifier is not None, "device_tokens": tokens, "waiting": waiting, **counters}

    return {"push status": status}


def log_commands() -> dict[str, Handler]:
    """`log debug`: detail for a limited time. A second one counts from then on."""
    before = current_level()
    timer: asyncio.TimerHandle | None = None

    def end() -> None:
        Log("log").warning("debug_ends", level=before)
        set_level(before)

    async def debug(arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
        nonlocal timer
        seconds = arguments.get("seconds")
        if not isinstance(seconds, int) or not 1 <= seconds <= MAX_DEBUG_SECONDS:
            raise OperatorError("Detail is logged for a second to a day.")
        if timer is not None:
            timer.cancel()
        set_level("debug")
        Log("log").warning("debug_begins", seconds=seconds, notice="addresses and IPs are logged until it ends")
        timer = asyncio.get_running_loop().call_later(seconds, end)
        return {"level": "debug", "seconds": seconds, "then": before}

    return {"log debug": debug}
