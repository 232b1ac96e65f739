"""What is tried beside a PipeWire: frames into the sink, and two programs that read its camera,
one after the other; what the second one reads goes into the file that is named.
"""

import subprocess
import sys
import threading
from fractions import Fraction

import numpy as np

from stream.clock import Clock
from stream.frame import Frame
from stream.sinks.pipewire import LAUNCH, NODE, TITLE, PipeWireSink
from stream.stats import Stats

SIZE = (320, 180)
FRAMES = 20
LIMIT_S = 30.0
RGB = "video/x-raw,format=RGB"


def reader(path: str) -> "subprocess.Popen[bytes]":
    """A program that reads the camera until it has so many frames."""
    source = ["pipewiresrc", f"target-object={NODE}", f"num-buffers={FRAMES}"]
    target = ["filesink", f"location={path}"]
    return subprocess.Popen([LAUNCH, "-q", *source, "!", "videoconvert", "!", RGB, "!", *target])


def check_name() -> None:
    """What a program's list of cameras shows."""
    told = subprocess.run(["pw-cli", "ls", "Node"], capture_output=True, text=True).stdout
    assert f'node.description = "{TITLE}"' in told, told
    assert 'media.class = "Video/Source"' in told, told


def main() -> None:
    clock, stats, never = Clock(), Stats(), threading.Event()
    data = np.full((SIZE[1], SIZE[0], 3), (200, 0, 80), np.uint8)
    sink = PipeWireSink(rate=Fraction(25), clock=clock, stats=stats)
    pts = 0
    for path in ("/dev/null", sys.argv[1]):
        program = None
        end_s = clock.now_s() + LIMIT_S
        while program is None or program.poll() is None:
            assert clock.now_s() < end_s, "the camera gave no pictures"
            sink.write(Frame(data, pts, Fraction(1, 25), captured_at_s=clock.now_s()))
            never.wait(1 / 25)
            pts += 1
            if pts % 50 == 25 and program is None:
                program = reader(path)
        assert program.returncode == 0
        check_name()
    sink.close()
    assert not stats.events, stats.events


if __name__ == "__main__":
    main()
