"""MetricsServer: a session's figures for Prometheus, at http://127.0.0.1:PORT/metrics.

    Stats ──read at each scrape──► families of samples ──prometheus_client──► text

Times are in seconds and names end in their unit (prometheus.io, "Metric and label naming"); a
percentile is a summary's quantile, of the newest frames. A worker thread of the
session serves, on loopback only. Needs the extra `metrics`.
"""

import logging
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

from stream.errors import ControlError
from stream.stats import REPEATED, Stats
from stream.times import Summary

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
LOCAL_NAMES = ("127.0.0.1", "localhost")
"""What a request may call this machine: a web page that had its own name point here is refused."""

PATH = "/metrics"
PREFIX = "allaprima"
CLIENT_TIMEOUT_S = 2.0
INSTALL = "install it with pip install 'allaprima[metrics]'"


class StatsCollector:
    """Turns `Stats` into Prometheus' families, anew at each scrape."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> "Iterable[Metric]":
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        stats = self._stats
        yield _count("frames_in", "Frames captured", stats.frames_in)
        yield _count("frames_out", "Frames shown", stats.frames_out)
        yield _count("frames_reused", "Frames whose paint was kept whole", stats.reused)
        yield _count("frames_painted", "Pictures that the model painted", stats.frames_painted)
        yield _count("frames_repeated", "Frames repeated for want of new", stats.count_of(REPEATED))
        yield _gauge("fps", "Frames shown a second, of late", stats.recent_fps())
        yield _gauge("painted_fps", "Pictures painted a second", stats.recent_painted_fps())
        if stats.fps_target:
            yield _gauge("fps_target", "Frames a second to hold", stats.fps_target)
        yield _counts("frames_dropped", "Frames not shown", "cause", stats.dropped_by_cause)
        yield _counts("events", "What happened", "event", stats.events)
        yield _summaries("frame_age", "From capture to hand-over", {"": stats.latency_summary})
        yield _summaries("stage", "Time of each stage", stats.stage_summaries, "stage")
        yield from self._of_sinks()
        level = GaugeMetricFamily(f"{PREFIX}_governor_level", "Steps given up; 0 is none")
        level.add_metric([], stats.effort_level)
        yield level
        yield InfoMetricFamily(
            f"{PREFIX}_governor", "What is asked of the machine", {"effort": stats.effort}
        )

    def _of_sinks(self) -> "Iterable[Metric]":
        from prometheus_client.core import CounterMetricFamily

        shown = CounterMetricFamily(
            f"{PREFIX}_sink_frames", "Frames that an output took", labels=("sink",)
        )
        missed = CounterMetricFamily(
            f"{PREFIX}_sink_frames_dropped",
            "Frames that an output was not given",
            labels=("sink", "cause"),
        )
        ages = {}
        for name, sink in self._stats.sink_summaries.items():
            shown.add_metric([name], sink.frames)
            for cause, count in sink.dropped.items():
                missed.add_metric([name, cause], count)
            ages[name] = sink.latency
        yield shown
        yield missed
        yield _summaries("sink_frame_age", "From capture to this output", ages, "sink")


class MetricsServer:
    """A service of a live session. `stop` from any thread, the rest from one.

    Args:
        port: Of this machine; 0 lets the system choose.
        stats: What is exported.

    Raises:
        ControlError: The port is taken or may not be used, or prometheus-client is not installed.
    """

    name = "metrics"

    def __init__(self, port: int, stats: Stats) -> None:
        try:
            from prometheus_client import CollectorRegistry
        except ImportError as err:
            raise ControlError(f"No metrics: they need prometheus-client; {INSTALL}.") from err
        registry = CollectorRegistry()
        collector: Any = StatsCollector(stats)  # in all but its base class
        registry.register(collector)
        try:
            self._server = HTTPServer((LOOPBACK, port), _handler(registry))
        except (OSError, OverflowError) as err:
            reason = getattr(err, "strerror", None) or str(err)
            raise ControlError(
                f"No metrics: port {port} cannot be opened ({reason}); choose another "
                "(metrics_port=...)."
            ) from err
        self._stopped = False

    @property
    def port(self) -> int:
        """The port; the one that the system chose if 0 was asked."""
        return int(self._server.server_address[1])

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopped:
            self._server.handle_request()
        self._server.server_close()

    def stop(self) -> None:
        self._stopped = True
        with suppress(OSError):  # one more visitor, who wakes it
            socket.create_connection((LOOPBACK, self.port), CLIENT_TIMEOUT_S).close()

    def abandon(self) -> None:
        """Let go of the port where `run` will never be called."""
        self._server.server_close()


def _handler(registry: "CollectorRegistry") -> type[BaseHTTPRequestHandler]:
    """What answers one request: the figures, or a refusal."""
    from prometheus_client.exposition import choose_encoder

    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_S  # one who says nothing keeps nobody waiting for long

        def do_GET(self) -> None:
            if self.headers.get("Host", "").partition(":")[0] not in LOCAL_NAMES:
                self.send_error(HTTPStatus.FORBIDDEN)
            elif self.path.partition("?")[0] != PATH:
                self.send_error(HTTPStatus.NOT_FOUND, f"The figures are at {PATH}")
            else:
                self._tell()

        def _tell(self) -> None:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            body = encode(registry)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            logger.debug(format, *args)

    return Handler


def _gauge(name: str, told: str, value: float) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"{PREFIX}_{name}", told, value)


def _count(name: str, told: str, value: int) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(f"{PREFIX}_{name}", told, value)


def _counts(name: str, told: str, label: str, values: Mapping[str, int]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"{PREFIX}_{name}", told, labels=(label,))
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _summaries(
    name: str, told: str, values: Mapping[str, Summary], label: str | None = None
) -> "Metric":
    from prometheus_client.core import SummaryMetricFamily

    full = f"{PREFIX}_{name}_seconds"
    family = SummaryMetricFamily(full, told, labels=(label,) if label else ())
    for key, summary in values.items():
        labels = {label: key} if label else {}
        for share, time_s in summary.quantiles_s.items():
            family.add_sample(full, labels | {"quantile": f"{share:g}"}, time_s)
        family.add_metric(list(labels.values()), summary.count, summary.total_s)
    return family
