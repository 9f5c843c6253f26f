import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chatmail.errors import OperatorError
from chatmail.meters import Meters
from chatmail.services.metrics import MetricsService, render
from chatmail.status_snapshot import (
    AccountCounts,
    CertificateState,
    ExpiryState,
    Health,
    HealthLevel,
    HealthReason,
    MessageRates,
    PeerTraffic,
    QueueState,
    StatusSnapshot,
)
from tests.support.prometheus import scraping

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SNAPSHOT = StatusSnapshot(
    "1.0",
    "chat.example",
    NOON,
    NOON - timedelta(hours=1),
    3600.0,
    health=Health(HealthLevel.DEGRADED, (HealthReason(HealthLevel.DEGRADED, "disk_low", "Low.", "Make room."),)),
    accounts=AccountCounts(total=12, active_today=3),
    messages=MessageRates(local_total=40, outbound_total=2),
    queue=QueueState(5, 2, NOON - timedelta(minutes=10)),
    refusals={"too_fast": 4},
    certificate=CertificateState(not_after=NOON + timedelta(days=9)),
    expiry=ExpiryState(last_run_at=NOON - timedelta(minutes=5)),
    peers=(PeerTraffic("peer.example", delivered_to=7),),
)
DOCS = Path(__file__).resolve().parents[2] / "docs"


def loaded_meters() -> Meters:
    meters = Meters()
    for milliseconds in (1, 2, 4, 8):
        meters.durable.record(milliseconds / 1000)
    return meters


def exposed() -> dict[str, dict[str, float]]:
    """All samples: name, then labels as text, then value."""
    text = render(SNAPSHOT, loaded_meters())[0].decode()
    samples: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            samples.setdefault(sample.name, {})[labels] = sample.value
    return samples


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    stop = asyncio.Event()

    async def snapshot() -> StatusSnapshot:
        return SNAPSHOT

    service = MetricsService(("127.0.0.1", port), snapshot, loaded_meters())
    running = asyncio.create_task(service.run(stop))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        stop.set()
        await running


def test_the_counts_of_a_snapshot_are_exposed_under_their_names() -> None:
    samples = exposed()
    assert samples["chatmail_accounts"] == {"": 12}
    assert samples["chatmail_health"] == {"": 1}
    assert samples["chatmail_health_reason"] == {"reason=disk_low": 1}
    assert samples["chatmail_messages_total"] == {
        "direction=inbound": 0,
        "direction=outbound": 2,
        "direction=local": 40,
    }
    assert samples["chatmail_refused_total"] == {"reason=too_fast": 4}
    assert samples["chatmail_queue_oldest_age_seconds"] == {"": 600}
    assert samples["chatmail_peer_delivered_to_total"] == {"domain=peer.example": 7}
    buckets = samples["chatmail_durable_seconds_bucket"]
    assert buckets["le=+Inf"] == 4 and sorted(buckets.values()) == list(buckets.values())
    assert samples["chatmail_durable_seconds_sum"][""] == pytest.approx(0.015)


async def test_only_metrics_are_served_and_only_to_who_reads() -> None:
    async with served() as address, aiohttp.ClientSession() as session:
        async with session.get(f"http://{address}/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            assert (await answer.text()).endswith("# EOF\n")
        async with session.get(f"http://{address}/") as answer:
            assert answer.status == 404
        async with session.post(f"http://{address}/metrics") as answer:
            assert answer.status == 405


def test_an_address_that_is_taken_is_told_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OperatorError, match=r"cannot be served at 127\.0\.0\.1 port \d+ .*\[metrics\]\.$"):
            MetricsService(taken.getsockname(), None, Meters())  # type: ignore[arg-type]


async def test_a_real_prometheus_scrapes_it_and_understands_the_dashboard(tmp_path: Path, unused_tcp_port: int) -> None:
    async with served() as address:
        with scraping(address, tmp_path, unused_tcp_port) as prometheus:
            seen = await asyncio.to_thread(prometheus.wait_for, "chatmail_accounts")
            assert [(labels["instance"], value) for labels, value in seen] == [(address, 12.0)]
            p99 = await asyncio.to_thread(
                prometheus.value, "histogram_quantile(0.99, sum by (le) (chatmail_durable_seconds_bucket))"
            )
            assert 0.004 < p99[0][1] < 0.02
            panels = json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"]
            for expression in [target["expr"] for panel in panels for target in panel["targets"]]:
                await asyncio.to_thread(prometheus.value, expression.replace("$__rate_interval", "1m"))


def metric_names() -> set[str]:
    """As `docs/status.md` lists them and a dashboard asks for them: without what a histogram adds."""
    return {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in exposed()}


def test_every_metric_is_documented_and_no_other() -> None:
    documented = set(
        re.findall(r"^\| `(chatmail_\w+)`", (DOCS / "status.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert documented == metric_names()


def test_the_grafana_dashboard_asks_for_metrics_that_exist() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    expressions = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"chatmail_\w+", expressions)}
    assert len(asked) > 15 and asked <= metric_names()


def test_times_that_are_not_known_are_left_out() -> None:
    off = replace(SNAPSHOT, certificate=CertificateState(), expiry=ExpiryState())
    text = render(off, Meters())[0].decode()
    assert "chatmail_certificate_expiry" not in text and "chatmail_expiry_last_run" not in text
