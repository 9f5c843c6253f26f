"""Stock aiosmtpd over TLS, accepting everything and keeping nothing: its own cost and nothing else.

Run as a file, `stock_server.py CERTIFICATE KEY`, by an interpreter that need not know the project; prints its port.
"""

import asyncio
import ssl
import sys

from aiosmtpd.smtp import SMTP, Envelope, Session


class AcceptAll:
    """Accepts every message."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """As cheap as can be."""
        return "250 OK"


async def main(certificate: str, key: str) -> None:
    """Serve until killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(AcceptAll(), loop=loop), "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
