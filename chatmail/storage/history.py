"""The file of what happened lately: a record for each minute of the last day, and one for each hour of thirty days.

A ring of fixed size, made whole at the beginning, so that a full disk takes nothing of it. Each record carries its time
and a checksum, and lies where its time says; an older one in its place is overwritten. The hour under way is written
again each minute. So whatever ends the server takes at most the minute under way, and a torn record is none. It is
statistics: a file that cannot be read is begun anew, and one that cannot be written is only logged.
"""

import os
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from chatmail.log import Log
from chatmail.status_snapshot import History, HistoryPoint

MINUTE_SECONDS: Final = 60
HOUR_SECONDS: Final = 3600
MINUTES_KEPT: Final = 24 * 60
HOURS_KEPT: Final = 30 * 24
_HEAD: Final = b"chatmail-history-1\n".ljust(32, b"\0")
_RECORD: Final = struct.Struct("<IIIIIIIf")
"""Number of the minute or hour since 1970, the counts in the order of `HistoryPoint`, milliseconds (negative: none)."""
_CHECKSUM: Final = struct.Struct("<I")
RECORD_BYTES: Final = _RECORD.size + _CHECKSUM.size
FILE_BYTES: Final = len(_HEAD) + (MINUTES_KEPT + HOURS_KEPT) * RECORD_BYTES
_MOST: Final = 2**32 - 1

_log = Log("history")


class HistoryFile:
    """The ring. Made once; all of it is read then, and kept in memory."""

    def __init__(self, path: Path) -> None:
        """Read `path`, or make it. Does not raise for what the disk refuses."""
        self._fd = -1
        content = b""
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            content = os.pread(self._fd, FILE_BYTES, 0)
            if len(content) != FILE_BYTES or not content.startswith(_HEAD):
                content = _HEAD.ljust(FILE_BYTES, b"\0")
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, content, 0)
        except OSError as error:
            _log.error("history_not_kept", why=error.strerror or "unknown")
            content = _HEAD.ljust(FILE_BYTES, b"\0")
        self._minutes = _read(content, 0, MINUTES_KEPT, MINUTE_SECONDS)
        self._hours = _read(content, MINUTES_KEPT, HOURS_KEPT, HOUR_SECONDS)

    def add_minute(self, point: HistoryPoint) -> None:
        """Keep what happened in the minute that began at `point.at`, and add it to its hour.

        A minute may come twice: before a restart and after it.
        """
        self._add(self._minutes, 0, MINUTES_KEPT, MINUTE_SECONDS, point)
        self._add(self._hours, MINUTES_KEPT, HOURS_KEPT, HOUR_SECONDS, point)

    def _add(
        self, points: dict[int, HistoryPoint], first_slot: int, slots: int, span_seconds: int, point: HistoryPoint
    ) -> None:
        number = _number(point.at, span_seconds)
        begun = points.get(number) or HistoryPoint(datetime.fromtimestamp(number * span_seconds, UTC))
        points[number] = whole = _sum(begun, point)
        self._write(first_slot + number % slots, number, whole)
        for old in [one for one in points if one <= number - slots]:
            del points[old]

    def last_day(self, now: datetime) -> History:
        """By the minute."""
        return _history(self._minutes, MINUTES_KEPT, MINUTE_SECONDS, now)

    def last_month(self, now: datetime) -> History:
        """By the hour; the hour under way is there too."""
        return _history(self._hours, HOURS_KEPT, HOUR_SECONDS, now)

    def close(self) -> None:
        """Nothing more will be kept."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, slot: int, number: int, point: HistoryPoint) -> None:
        if self._fd < 0:
            return
        try:
            os.pwrite(self._fd, _encode(number, point), len(_HEAD) + slot * RECORD_BYTES)
        except OSError as error:
            _log.error("history_not_kept", why=error.strerror or "unknown")


def _number(at: datetime, span_seconds: int) -> int:
    return int(at.timestamp()) // span_seconds


def _sum(begun: HistoryPoint, more: HistoryPoint) -> HistoryPoint:
    """A span with more of it: sums of counts, the latest state, the worst latency."""
    latencies = [one for one in (begun.exists_p99_ms, more.exists_p99_ms) if one is not None]
    return HistoryPoint(
        begun.at,
        inbound=begun.inbound + more.inbound,
        outbound=begun.outbound + more.outbound,
        local=begun.local + more.local,
        refused=begun.refused + more.refused,
        imap_sessions=more.imap_sessions,
        queue_items=more.queue_items,
        exists_p99_ms=max(latencies, default=None),
    )


def _encode(number: int, point: HistoryPoint) -> bytes:
    counts = (point.inbound, point.outbound, point.local, point.refused, point.imap_sessions, point.queue_items)
    latency = -1.0 if point.exists_p99_ms is None else point.exists_p99_ms
    record = _RECORD.pack(number, *(min(count, _MOST) for count in counts), latency)
    return record + _CHECKSUM.pack(zlib.crc32(record))


def _read(content: bytes, first_slot: int, slots: int, span_seconds: int) -> dict[int, HistoryPoint]:
    points: dict[int, HistoryPoint] = {}
    for slot in range(slots):
        offset = len(_HEAD) + (first_slot + slot) * RECORD_BYTES
        record = content[offset : offset + _RECORD.size]
        (checksum,) = _CHECKSUM.unpack_from(content, offset + _RECORD.size)
        number, *counts, latency = _RECORD.unpack(record)
        if number and checksum == zlib.crc32(record) and number % slots == slot:
            at = datetime.fromtimestamp(number * span_seconds, UTC)
            point = HistoryPoint(at, *counts)
            points[number] = replace(point, exists_p99_ms=None if latency < 0 else round(latency, 3))
    return points


def _history(points: dict[int, HistoryPoint], kept: int, span_seconds: int, now: datetime) -> History:
    newest = _number(now, span_seconds)
    wanted = sorted(number for number in points if newest - kept < number <= newest)
    return History(span_seconds, tuple(points[number] for number in wanted))
