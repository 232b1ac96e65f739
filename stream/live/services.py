"""Services: what runs beside a live session in threads of its own, and which options open which.

    --control ──► ControlServer     --osc ──► OscServer     --metrics-port ──► MetricsServer

Opened by `stream.live.runner`, run by `stream.live.session`.
"""

from collections.abc import Callable
from typing import Protocol

from stream.live.control_server import ControlServer
from stream.live.controls import Controls
from stream.live.metrics import MetricsServer
from stream.live.options import LiveOptions
from stream.live.osc import OscServer
from stream.stats import Stats


class Service(Protocol):
    """Something that runs beside the session in a thread of its own: a control socket."""

    name: str

    def run(self) -> None:
        """Work until `stop`."""

    def stop(self) -> None:
        """End `run`, from any thread; at once and also before it began."""


class OpenedService(Service, Protocol):
    """One that holds a port or a device from the start."""

    def abandon(self) -> None:
        """Let go of everything where `run` will never be called."""


def service_openers(
    options: LiveOptions, controls: Controls, stats: Stats
) -> list[Callable[[], OpenedService]]:
    """What opens each service that was asked for; each may raise a ControlError."""
    control, osc, port = options.control, options.osc, options.metrics_port
    openers: list[Callable[[], OpenedService]] = []
    if control is not None:
        openers.append(lambda: ControlServer(control, controls, stats))
    if osc is not None:
        openers.append(lambda: OscServer(osc, controls, stats))
    if port is not None:
        openers.append(lambda: MetricsServer(port, stats))
    return openers
