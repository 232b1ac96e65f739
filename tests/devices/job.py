"""What is tried inside the virtual machine: a real V4L2 camera through a live session into a real
virtual camera, read back; the camera's driver is taken away and brought back meanwhile. Before and
after, what is wrong (wrong_states.py).
"""

import threading
from fractions import Fraction
from pathlib import Path

from live_fakes import FakePainter
from wrong_states import (
    check_cameras_that_are_wrong,
    check_no_driver,
    check_virtual_cameras_that_are_wrong,
)

from models import Style
from stream.clock import Clock
from stream.devices import video_devices
from stream.live.controls import Controls, Look
from stream.live.inputs import LiveInput, open_live_source
from stream.live.session import LiveSession
from stream.sinks.virtual_camera import VirtualCameraSink
from stream.sources.camera import CameraMode, CameraSource
from stream.stats import Stats

SIZE = (320, 180)
LIMIT_S = 10
DRIVER = Path("/sys/bus/platform/drivers/vivid")
CAMERA, LOOPBACK = "/dev/video10", "/dev/video20"


def check_listing() -> None:
    devices = {device.path: device for device in video_devices()}
    assert devices[CAMERA].captures and devices[CAMERA].driver == "vivid"
    assert any("640x360" in mode for mode in devices[CAMERA].modes)
    assert devices[LOOPBACK].is_loopback and devices[LOOPBACK].takes


def check_camera(clock: Clock) -> None:
    with CameraSource(CAMERA, CameraMode(SIZE, 25), clock=clock) as camera:
        start_s = clock.now_s()
        frames = [camera.read() for _ in range(30)]
        assert camera.info.size == SIZE
        assert 20 < len(frames) / (clock.now_s() - start_s) < 30


class Visitor:
    """Looks at the virtual camera, then pulls the real one's plug and puts it back."""

    def __init__(self, stats: Stats, clock: Clock) -> None:
        self.stats, self.clock, self.done = stats, clock, False
        self.wait = threading.Event().wait

    def visit(self) -> None:
        self.until(lambda: self.stats.frames_out > 10)
        with CameraSource(LOOPBACK, clock=self.clock) as meeting:
            assert meeting.info.size == SIZE
            assert all(meeting.read() is not None for _ in range(20))
        (DRIVER / "unbind").write_text("vivid.0")
        self.until(lambda: "source lost" in self.stats.events)
        shown = self.stats.frames_out
        self.wait(2)
        assert self.stats.frames_out > shown  # the last picture stays, and is sent
        (DRIVER / "bind").write_text("vivid.0")
        start_s = self.clock.now_s()
        self.until(lambda: "source back" in self.stats.events)
        assert self.clock.now_s() - start_s < 2  # one second on a machine that is not emulated
        self.done = True

    def until(self, done) -> None:  # type: ignore[no-untyped-def]
        for _ in range(LIMIT_S * 20):
            if done():
                return
            self.wait(0.05)
        raise AssertionError("it did not come to that")


def main() -> None:
    clock = Clock()
    check_listing()
    check_camera(clock)
    check_cameras_that_are_wrong(clock)
    check_virtual_cameras_that_are_wrong()
    stats = Stats(clock=clock)
    session = LiveSession(
        open_live_source(LiveInput("vivid", SIZE, 25.0), clock=clock, stats=stats),
        FakePainter,
        [("virtualcam", VirtualCameraSink(rate=Fraction(25)))],
        controls=Controls(Look(Style())),
        clock=clock,
        stats=stats,
        duration_s=40,
    )
    visitor = Visitor(stats, clock)

    def visit() -> None:
        try:
            visitor.visit()
        finally:
            session.stop()

    threading.Thread(target=visit, daemon=True).start()
    session.run()
    assert visitor.done
    assert stats.events == {"source lost": 1, "source back": 1}
    check_no_driver()


if __name__ == "__main__":
    main()
