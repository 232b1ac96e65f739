"""A camera or film as the style: which names are one, at what pace it changes, what stays."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import make_frames
from light_live import make_light
from PIL import Image

from models import Style
from stream.clock import Clock, ManualClock
from stream.errors import SourceError
from stream.frame import Frame
from stream.live.controls import Controls, Look, NamedStyle
from stream.live.options import LiveOptions
from stream.live.style_sources import PERIOD_S, StyleSource, is_moving, waiting_image
from stream.sources.base import Source
from stream.stats import Stats
from stream.stylizer.style_images import parse_style_image
from stream.video_info import VideoInfo

SIZE = 64, 48


class Levels(Source):
    """Pictures of these levels; each takes `step_s` to come. Then an error, or the end."""

    def __init__(
        self, clock: ManualClock, levels: list[int], step_s: float, *, breaks: bool = False
    ) -> None:
        self.info = VideoInfo(SIZE, make_frames(1)[0].time_base)
        self.notes: list[str] = []
        self.is_closed = False
        self._clock, self._levels, self._step_s, self._breaks = clock, levels, step_s, breaks

    def read(self) -> Frame | None:
        self._clock.advance(self._step_s)
        if self._levels:
            data = np.full((SIZE[1], SIZE[0], 3), self._levels.pop(0), np.uint8)
            return replace(make_frames(1, SIZE)[0], data=data)
        if self._breaks:
            raise SourceError("It is gone.")
        return None

    def close(self) -> None:
        self.is_closed = True


def shown(controls: Controls) -> list[int]:
    return [int(image.data.mean()) for image in controls.look.style.images]


class Watching(Controls):
    """Remembers each picture."""

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.levels: list[int] = []

    def show_image(self, image: object) -> None:
        super().show_image(image)
        self.levels += shown(self)


def make_controls(*specs: str) -> Watching:
    return Watching(Look(Style(images=tuple(map(waiting_image, specs)))))


@pytest.mark.parametrize(
    ("spec", "moves"),
    [
        ("camera", True),
        ("0:0.5", True),
        ("/dev/video2", True),
        ("rtsp://10.0.0.5:8554/x:0.5", True),
        ("tcp://127.0.0.1:9000", True),
        ("ndi:Stage", True),
        ("clip.mp4:0.3", True),
        ("testsrc=duration=1", True),
        ("sea.jpg", False),
        ("sea.png:0.7", False),
        ("sea", False),
    ],
)
def test_cameras_streams_and_films_move(spec: str, moves: bool) -> None:
    assert is_moving(spec) == moves


def test_a_port_is_no_weight() -> None:
    assert parse_style_image("tcp://127.0.0.1:9000") == ("tcp://127.0.0.1:9000", 1.0)
    assert parse_style_image("rtsp://h:8554/x:0.5") == ("rtsp://h:8554/x", 0.5)


def test_the_newest_picture_is_taken_at_its_own_pace_and_if_it_is_another() -> None:
    clock, controls = ManualClock(), make_controls("camera:0.6")
    levels = [10, 20, 30, 40, 50, 51, 52, 53, 53, 200]
    source = Levels(clock, levels, PERIOD_S / 4)
    style = StyleSource("camera:0.6", controls, clock=clock, stats=Stats(), source=source)
    assert shown(controls) == [10]  # from the start
    style.run()
    assert controls.levels == [10, 50]  # 53 is the same picture
    assert [(one.name, one.weight) for one in controls.look.style.images] == [("camera", 0.6)]
    assert source.is_closed


def test_a_new_picture_is_one_step_of_many_and_stays_with_another_style() -> None:
    controls = make_controls("camera", "clip.mp4")
    controls._styles = (NamedStyle("fog", replace(controls.look.style, prompt="fog")),)
    clock = ManualClock()
    source = Levels(clock, [10], 1.0)
    StyleSource("camera", controls, clock=clock, stats=Stats(), source=source).run()
    assert controls.advance().gliding
    controls.start_with(
        replace(controls.look.style, images=make_controls("camera").look.style.images)
    )
    assert shown(controls) == [10, 128]
    controls.next_style()
    assert controls.look.style.prompt == "fog"
    assert shown(controls) == [10, 128]
    assert not controls.advance().gliding


def test_a_source_that_breaks_is_noted_and_one_without_a_picture_refused() -> None:
    clock, controls, stats = ManualClock(), make_controls("camera"), Stats()
    broken = Levels(clock, [10], 1.0, breaks=True)
    StyleSource("camera", controls, clock=clock, stats=stats, source=broken).run()
    assert stats.notes == ["It is gone. The style stays as it was."]
    assert shown(controls) == [10] and broken.is_closed
    empty = Levels(clock, [], 1.0)
    with pytest.raises(SourceError, match="gives no picture"):
        StyleSource("camera", controls, clock=clock, stats=stats, source=empty)
    assert empty.is_closed


def test_a_style_that_hangs_holds_up_no_frame() -> None:
    class Hanging(Levels):
        """Gives one picture, and hangs until it is interrupted."""

        let_go = threading.Event()

        def read(self) -> Frame | None:
            if self._levels:
                return super().read()
            self.let_go.wait()
            return None

        def interrupt(self) -> None:
            self.let_go.set()

    source = Hanging(ManualClock(), [10], 0.0)
    style = StyleSource(
        "camera", make_controls("camera"), clock=Clock(), stats=Stats(), source=source
    )
    session = make_light("testsrc=size=64x48:rate=24:duration=0.5", ["null"], services=[style])
    assert session.run().frames_out > 0
    assert source.is_closed


def test_options_have_a_grey_picture_for_what_moves(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8, 3), 40, np.uint8)).save(tmp_path / "sea.png")
    options = object.__new__(LiveOptions)
    object.__setattr__(options, "style_images", [str(tmp_path / "sea.png"), "clip.mp4:0.3"])
    images = options.with_images(Style()).images
    assert [(one.name, int(one.data.mean()), one.weight) for one in images] == [
        ("sea", 40, 1.0),
        ("clip", 128, 0.3),
    ]
