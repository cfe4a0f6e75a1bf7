"""`python -m billing.simulator`: serve the simulator until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from billing.simulator.server import HERE, Server
from billing.simulator.world import World


def main() -> int:
    asked = _arguments().parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        world = World(api_key=asked.api_key, secret=asked.secret, payment_link=asked.payment_link, state=asked.state)
        server = Server(world, port=asked.port, host=asked.host, ticking=True)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The Paddle simulator cannot serve port {asked.port}: {error}\n")
        return 1
    with server:
        sys.stdout.write(f"Paddle simulator at http://localhost:{server.port}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m billing.simulator", description="A Paddle without real money.")
    parser.add_argument("--port", type=int, default=8010)
    parser.add_argument("--host", default=HERE, help=f"refused unless it is {HERE}")
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--secret", required=True, help="of every notification setting")
    parser.add_argument("--payment-link", required=True, help="the dashboard's page that opens a checkout")
    parser.add_argument("--state", type=Path, help="a JSON file that keeps everything over a restart")
    return parser


if __name__ == "__main__":
    sys.exit(main())
