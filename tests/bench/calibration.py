"""Stock aiosmtpd on this machine, in this run: machines differ and are noisy, ratios less so.

It takes the same messages over TLS from as many senders, keeps none, checks none, and delivers to nobody.
"""

import asyncio
import multiprocessing
import ssl
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from aiosmtpd.smtp import SMTP, Envelope, Session
from aiosmtpd.smtp import SMTP as StockSmtp

from tests.bench.figure import Figure
from tests.bench.target import Target
from tests.support.mail_client import accept_any_certificate
from tests.support.messages import encrypted_message


class _AcceptAll:
    """Accepts every message and keeps none: aiosmtpd's own cost and nothing else."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return "250 OK"


def _serve_stock(context_paths: tuple[str, str], ready: Connection) -> None:
    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*context_paths)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: StockSmtp(_AcceptAll(), loop=loop), "127.0.0.1", 0, ssl=context)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


async def _measure(port: int, pid: int, messages: int, senders: int) -> list[Figure]:
    target = Target("127.0.0.1", "example.org", submissions=port, pids=(pid,), context=accept_any_certificate())
    message = encrypted_message("sender@example.org")

    async def send_all() -> None:
        smtp = await target.smtp()
        for _ in range(messages // senders):
            await smtp.send("sender@example.org", ["receiver@example.org"], message)
        smtp.close()

    began, cpu = perf_counter(), target.cpu_seconds()
    await asyncio.gather(*(send_all() for _ in range(senders)))
    seconds, cpu = perf_counter() - began, target.cpu_seconds() - cpu
    return [
        Figure("5 KB to 1: messages", messages / seconds, "/s"),
        Figure("5 KB to 1: server CPU per message", cpu / messages * 1000, "ms"),
    ]


async def stock_aiosmtpd(certificate: Path, key: Path, *, messages: int = 2000, senders: int = 10) -> list[Figure]:
    """Stock aiosmtpd over TLS, taking the same 5 KB messages from the same clients, storing nothing."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve_stock, args=((str(certificate), str(key)), theirs), daemon=True
    )
    process.start()
    try:
        port = await asyncio.to_thread(ours.recv)
        return await _measure(port, process.pid or 0, messages, senders)
    finally:
        process.kill()
        process.join()


async def calibrate(*, messages: int = 2000) -> list[Figure]:
    """`stock_aiosmtpd` with a throw-away certificate."""
    import trustme

    with TemporaryDirectory() as folder:
        issued = trustme.CA().issue_cert("localhost")
        certificate, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return await stock_aiosmtpd(certificate, key, messages=messages)
