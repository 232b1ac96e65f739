"""WindowSink: keys, figures, displays that are not there; and the real thing under Xvfb."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from command import allaprima, assert_refused
from display import needs_display, press, virtual_display

from models import Style
from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.errors import SinkError
from stream.frame import Frame
from stream.live.controls import Controls, Look, NamedStyle
from stream.live.window import LOADING, hud_lines, key_actions, key_line, open_window
from stream.live.words import WORDS
from stream.sinks import window
from stream.sinks.hud import draw_hud
from stream.sinks.window import display_answers, refuse_without_display
from stream.stats import Stats

WATCHED = """
import sys
from fractions import Fraction
import numpy as np
from models import Style
from stream.live.controls import Controls, Look, NamedStyle
from stream.frame import Frame
from stream.live.window import open_window
from stream.stats import Stats
import av

styles = [NamedStyle(name, Style(prompt=name)) for name in ("oil", "neon")]
controls = Controls(Look(Style(prompt="oil")), styles)
ended = []
controls.on_quit = lambda: ended.append(True)
data = np.zeros((180, 320, 3), np.uint8)
data[:, :160] = (250, 20, 20)
sink = open_window(controls, Stats(), mirrored=True)
sink.write(Frame(data, 0, Fraction(1, 24)))
print("open", flush=True)
while not ended:
    sink.write(Frame(data, 0, Fraction(1, 24)))
    sink.idle()
sink.close()
sink.close()
look = controls.look
print(look.style.prompt, look.split, look.freeze, look.bypass, look.hud, look.style.strength)
"""


CLOSE_BUTTON = """
import ctypes, sys

class ClientMessage(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message", ctypes.c_ulong),
        ("format", ctypes.c_int), ("data", ctypes.c_long * 5),
        ("rest_of_xevent", ctypes.c_long * 24),
    ]

x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype, x.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
display = ctypes.c_void_p(x.XOpenDisplay(None))
window = ctypes.c_ulong(int(sys.argv[1]))
names = b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"
protocols, delete = (x.XInternAtom(display, name, 0) for name in names)
event = ClientMessage(type=33, window=window, message=protocols, format=32)
event.data[0] = delete
assert x.XSendEvent(display, window, 0, ctypes.c_long(0), ctypes.byref(event))
x.XCloseDisplay(display)
"""
"""What a window manager sends when its button is pressed; Xvfb has none."""


class ClosedWindow:
    """highgui after the user's click: what Qt's answers from then on, or that of the others.

    Attributes:
        called: Names of the functions, in order.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, raises: bool) -> None:
        self.called: list[str] = []
        self._raises = raises
        for name in (
            *("namedWindow", "resizeWindow", "getWindowImageRect", "imshow", "pollKey", "waitKey"),
            *("getWindowProperty", "destroyWindow"),
        ):
            monkeypatch.setattr(cv2, name, partial(self._call, name))

    def _call(self, name: str, *arguments: object) -> object:
        if self._raises and "pollKey" in self.called:
            raise cv2.error("NULL guiReceiver (please create a window)")
        self.called.append(name)
        answers = {"getWindowImageRect": (0, 0, 64, 64), "pollKey": -1, "getWindowProperty": 0.0}
        return answers.get(name)


def make() -> Controls:
    styles = [NamedStyle(name, Style(prompt=name)) for name in ("oil", "neon")]
    return Controls(Look(Style(prompt="oil")), styles)


def test_every_key_does_what_the_hud_says() -> None:
    controls, ended = make(), []
    controls.on_quit = lambda: ended.append(True)
    actions = key_actions(controls)
    for key in "nbfsh-]q":
        actions[ord(key)]()
    look = controls.look
    assert (look.style.prompt, look.bypass, look.freeze, look.split, look.hud) == (
        *("neon", True, True, True, False),
    )
    assert look.style.strength == pytest.approx(Style().strength - 0.05)
    assert look.stability == pytest.approx(0.55)
    assert ended == [True]
    bound = {key.key for word in WORDS.values() for key in word.keys} - {"Esc"}
    assert bound | {chr(27)} == {chr(code) for code in actions}
    assert key_line().startswith("q quit   - + strength   [ ] stability   n p next, previous style")


def test_hud_tells_style_rate_age_and_switches() -> None:
    controls, stats = make(), Stats()
    stats.count_out(0.0, 0.031)
    stats.effort = "1 step, 256 px, every frame"
    controls.toggle("freeze")
    text = "\n".join(hud_lines(controls, stats))
    for words in ("oil", "latency 31", "1 step, 256 px", "FREEZE"):
        assert words in text


def test_hud_tells_what_was_dropped_and_which_output_is_in_trouble() -> None:
    stats = Stats()
    stats.count_out(0.0, 0.031)
    stats.count_dropped("newer frame", 3)
    stats.count_missed("rtmp://far/app/***", "no connection", 7)
    stats.count_missed("null", "newer frame", 0)
    lines = hud_lines(make(), stats)
    assert lines[2:] == [
        "frames dropped: 3 (newer frame)",
        "missed by rtmp://far/app/***: 7 (no connection)",
    ]


def test_hud_tells_no_figures_before_the_first_painting() -> None:
    assert hud_lines(make(), Stats()) == [LOADING]


def test_hud_is_drawn_into_the_picture() -> None:
    bgr = np.full((360, 640, 3), 128, np.uint8)
    draw_hud(bgr, [*hud_lines(make(), Stats()), "q quit"])
    assert bgr.max() == 255
    assert bgr.min() < 40
    assert (bgr[100:300] == 128).all()


@pytest.mark.parametrize("painted", [False, True])
@pytest.mark.parametrize("width", [320, 400, 640, 1920])
def test_hud_fits_the_picture(width: int, painted: bool) -> None:
    stats = Stats()
    if painted:
        stats.count_out(0.0, 0.031)
    stats.effort = "1 step, 192 px, 1 frame in 24"
    stats.count_missed("rtmp://far/app/***", "no connection", 7)
    height = width * 9 // 16
    bgr = np.full((height, width, 3), 128, np.uint8)
    draw_hud(bgr, [*hud_lines(make(), stats), key_line()])
    assert (bgr[:, -4:] == 128).all()


@pytest.mark.parametrize("raises", [True, False])
def test_a_window_that_the_user_closes_ends_the_session_and_stays_closed(
    monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    monkeypatch.setattr(window, "refuse_without_display", lambda: None)
    highgui, controls, ended = ClosedWindow(monkeypatch, raises=raises), make(), []
    controls.on_quit = lambda: ended.append(True)
    sink = open_window(controls, Stats(), clock=ManualClock())
    frame = Frame(np.zeros((64, 64, 3), np.uint8), 0, Fraction(1, 24))

    sink.write(frame)
    assert ended == [True]
    until_closed = list(highgui.called)
    sink.write(frame)
    sink.idle()
    assert highgui.called == until_closed
    sink.close()
    sink.close()
    assert ended == [True]


# Displays


def test_without_a_display_there_is_a_sentence_and_no_abort(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SinkError, match="no display for a window"):
        refuse_without_display()


def test_a_display_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":4242")
    with pytest.raises(SinkError, match="The display :4242 does not answer"):
        refuse_without_display()


def test_pyav_imported_first_would_hang_the_window_so_it_is_refused() -> None:
    script = "import av, cv2, stream.sinks.window as w; w.display_answers = lambda _: True\n"
    script += "import os; os.environ['DISPLAY'] = ':0'; w.refuse_without_display()"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert "write `import cv2` before `import av`" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="X is not the others' way")
def test_every_door_to_pyav_loads_opencv_first() -> None:
    script = "import sys\nfrom stream.{0} import {1}\nloaded = list(sys.modules)\n"
    script += "sys.exit(loaded.index('av') < loaded.index('cv2'))"
    for module, name in (("sources.video", "VideoSource"), ("sinks.muxing", "Muxer")):
        command = [sys.executable, "-c", script.format(module, name)]
        assert subprocess.run(command, timeout=600).returncode == 0


@pytest.mark.parametrize("display", ["nonsense", ":x", "localhost:59999", ""])
def test_odd_displays_do_not_answer(display: str) -> None:
    assert not display_answers(display)


@pytest.mark.skipif(sys.platform != "linux", reason="DISPLAY is Linux's")
def test_the_command_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    result = allaprima("live", "--from", "testsrc")
    assert_refused(result, ExitCode.OUTPUT, "DISPLAY", "--to")


@contextmanager
def watched(display: str) -> Iterator[subprocess.Popen[str]]:
    """A program with an open window, which tells at its end what was done to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED],
        env={**os.environ, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()


@needs_display
def test_real_keys_reach_a_real_window(tmp_path: Path) -> None:
    with virtual_display() as display, watched(display) as process:
        press(display, "Alla Prima", "n", "s", "plus")
        left, right = grabbed(display)
        press(display, "Alla Prima", "q")
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert out.split() == ["neon", "True", "False", "False", "True", "0.65"]
    assert right[0] > 200 and left[0] < 60  # what was left in the frame is right in the mirror


@needs_display
def test_the_close_button_of_a_real_window_ends_it() -> None:
    with virtual_display() as display, watched(display) as process:
        press_close(display, "Alla Prima")
        _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


def press_close(display: str, title: str) -> None:
    """Press the window's close button, as far as the window can tell."""
    env = {**os.environ, "DISPLAY": display}
    command = ["xdotool", "search", "--sync", "--name", title]
    found = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=600, check=True
    )
    for number in found.stdout.split():
        command = [sys.executable, "-c", CLOSE_BUTTON, number]
        subprocess.run(command, env=env, timeout=600, check=True)


def grabbed(display: str) -> tuple[np.ndarray, np.ndarray]:
    """The colours at the left and right of the window's middle line, as the screen has them."""
    from stream.sources.screen import ScreenSource

    before = os.environ.get("DISPLAY")
    os.environ["DISPLAY"] = display
    try:
        with ScreenSource("screen:960x540+0+0") as screen:
            frame = screen.read()
    finally:
        if before is None:
            del os.environ["DISPLAY"]
        else:
            os.environ["DISPLAY"] = before
    assert frame is not None
    assert frame.time_base > Fraction(0)
    return frame.data[270, 120], frame.data[270, 840]
