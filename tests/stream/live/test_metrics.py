"""Metrics: what Prometheus is told, as its own parser reads it; who is answered; taken ports."""

import shlex
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from command import PLAIN_COMMAND
from miniature import make_lcm, save
from ports import free_port

from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.errors import ControlError
from stream.live.metrics import MetricsServer
from stream.stats import Stats

parser = pytest.importorskip("prometheus_client.parser")

LIMIT_S = 600
SESSION_S = 600


@pytest.fixture
def stats() -> Stats:
    clock = ManualClock()
    stats = Stats(fps_target=24, clock=clock)
    for index in range(100):
        stats.count_in(index / 100)
        stats.count_out(0.0, (index + 1) / 100)
        stats.count_shown('rtmp://far/"app"', 0.0, 0.25)
    clock.advance(1.0)
    stats.count_dropped("newer frame", 7)
    stats.count_missed("window", "too old", 3)
    stats.count_event("still")
    stats.count_event("governor down")
    stats.record("paint", 0.02)
    stats.effort, stats.effort_level = "1 step, 192 px, every frame", 2
    return stats


@pytest.fixture
def server(stats: Stats) -> Iterator[MetricsServer]:
    server = MetricsServer(0, stats)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def get(server: MetricsServer, path: str = "/metrics", host: str | None = None) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}")
    if host is not None:
        request.add_header("Host", host)
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        return str(answer.read().decode())


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = parser.text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"allaprima_{name}", frozenset(labels.items())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="ends it by SIGTERM")
def test_a_live_session_tells_its_figures_while_it_runs(tmp_path: Path) -> None:
    model = save(make_lcm(vae="tiny"), tmp_path / "model")
    port = free_port()
    source = ["--from", "testsrc=size=96x64:rate=24:duration=600", "--to", "null"]
    options = ["--model", model, "--size", "64", "--metrics-port", str(port), "--quiet"]
    process = subprocess.Popen(
        [*shlex.split(PLAIN_COMMAND), "live", *source, *options], stderr=subprocess.DEVNULL
    )
    try:
        told = scraped_when_it_paints(port, process)
    finally:
        process.terminate()
        code = process.wait(SESSION_S)
    assert code == ExitCode.INTERRUPTED
    assert told[labelled("sink_frames_total", sink="null")] > 0
    assert told[labelled("stage_seconds", stage="paint", quantile="0.5")] > 0
    assert told[labelled("fps_target")] == 24


def scraped_when_it_paints(
    port: int, process: "subprocess.Popen[bytes]"
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    for _ in range(SESSION_S * 5):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            told = samples(page.read().decode())
            if told.get(labelled("sink_frames_total", sink="null")):
                return told
        assert process.poll() is None
        threading.Event().wait(0.2)
    raise AssertionError("no figures came")


def test_everything_is_told(server: MetricsServer) -> None:
    found = samples(get(server))
    assert found[labelled("frames_in_total")] == 100
    assert found[labelled("frames_out_total")] == 100
    assert found[labelled("frames_reused_total")] == 1
    assert found[labelled("frames_dropped_total", cause="newer frame")] == 7
    assert found[labelled("events_total", event="governor down")] == 1
    assert found[labelled("fps")] == 50  # in the last two seconds
    assert found[labelled("fps_target")] == 24
    assert found[labelled("governor_level")] == 2
    assert found[labelled("governor_info", effort="1 step, 192 px, every frame")] == 1


def test_times_are_summaries_in_seconds(server: MetricsServer) -> None:
    found = samples(get(server))
    assert found[labelled("frame_age_seconds", quantile="0.5")] == pytest.approx(0.505)
    assert found[labelled("frame_age_seconds", quantile="0.95")] == pytest.approx(0.9505)
    assert found[labelled("frame_age_seconds", quantile="0.99")] == pytest.approx(0.9901)
    assert found[labelled("frame_age_seconds_count")] == 100
    assert found[labelled("frame_age_seconds_sum")] == pytest.approx(50.5)
    assert found[labelled("stage_seconds", stage="paint", quantile="0.95")] == pytest.approx(0.02)


def test_each_output_is_told_of_under_its_name(server: MetricsServer) -> None:
    found, far = samples(get(server)), 'rtmp://far/"app"'
    assert found[labelled("sink_frames_total", sink=far)] == 100
    assert found[labelled("sink_frame_age_seconds_count", sink=far)] == 100
    assert found[labelled("sink_frame_age_seconds", sink=far, quantile="0.5")] == 0.25
    assert found[labelled("sink_frames_dropped_total", sink="window", cause="too old")] == 3


def test_figures_are_those_of_the_moment(server: MetricsServer, stats: Stats) -> None:
    get(server)
    stats.count_event("still")
    assert samples(get(server))[labelled("frames_reused_total")] == 2


@pytest.mark.parametrize(
    ("path", "host", "code"), [("/", None, 404), ("/metrics", "evil.com", 403)]
)
def test_other_pages_and_other_names_are_refused(
    server: MetricsServer, path: str, host: str | None, code: int
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(server, path, host)
    assert refused.value.code == code
    refused.value.close()


def test_a_port_that_is_taken_is_one_sentence(stats: Stats) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ControlError, match=rf"port {port} cannot be opened.*metrics_port="):
            MetricsServer(port, stats)


def test_a_missing_library_is_one_sentence(stats: Stats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(ControlError, match=r"pip install 'allaprima\[metrics\]'"):
        MetricsServer(0, stats)


def test_a_visitor_who_says_nothing_does_not_keep_it_from_ending(stats: Stats) -> None:
    server = MetricsServer(0, stats)
    with socket.create_connection(("127.0.0.1", server.port)):
        thread = threading.Thread(target=server.run)
        thread.start()
        server.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()
