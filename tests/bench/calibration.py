"""Stock aiosmtpd on this machine, in this run: machines differ and are noisy, ratios less so.

It takes the same messages over TLS from as many senders, keeps none, checks none, and delivers to nobody.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import trustme

from tests.bench.figure import Figure
from tests.bench.lean_client import Sender
from tests.bench.own_relay import server_python
from tests.bench.target import Target
from tests.support.mail_client import accept_any_certificate
from tests.support.messages import encrypted_message

SERVER: Final = Path(__file__).with_name("stock_server.py")


async def _measure(port: int, pid: int, messages: int, senders: int) -> list[Figure]:
    target = Target("127.0.0.1", "example.org", submissions=port, pids=(pid,), context=accept_any_certificate())
    message = encrypted_message("sender@example.org")

    async def send_all() -> None:
        smtp = Sender(await target.smtp())
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


async def calibrate(pyz: Path | None = None, *, messages: int = 2000, senders: int = 10) -> list[Figure]:
    """Stock aiosmtpd over TLS, taking the same 5 KB messages from the same clients, storing nothing.

    With a built file: aiosmtpd from that file, under the interpreter that the relay from it is measured under.
    """
    python = sys.executable if pyz is None else server_python()
    packages = {} if pyz is None else {"PYTHONPATH": str(pyz.resolve() / "site-packages")}
    with TemporaryDirectory() as folder:
        issued = trustme.CA().issue_cert("localhost")
        certificate, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        command = [python, str(SERVER), str(certificate), str(key)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=packages) as process:
            assert process.stdout is not None
            try:
                port = int(await asyncio.to_thread(process.stdout.readline))
                return await _measure(port, process.pid, messages, senders)
            finally:
                process.kill()
