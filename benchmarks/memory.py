"""Peak memory of `allaprima restyle` on a clip of given length: memory.py SECONDS [OPTIONS...]

Prints megabytes. `throughput.py` runs this in a process of its own: Linux counts towards a child's
peak what its parent held when it was started, so the parent has to be small.
"""

import os
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av

RATE = 24
SIZE = (192, 108)


def write_clip(path: Path, duration_s: int) -> None:
    """A moving test pattern with a tone, made and encoded frame by frame."""
    graph = (
        f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate={RATE}:duration={duration_s}[out0];"
        f"sine=frequency=330:sample_rate=48000:duration={duration_s}[out1]"
    )
    with av.open(graph, format="lavfi") as source, av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        video.width, video.height = SIZE
        video.codec_context.time_base = Fraction(1, RATE)
        audio = output.add_stream("aac", rate=48000)
        for frame in source.decode():
            encoder = video if isinstance(frame, av.VideoFrame) else audio
            output.mux(encoder.encode(frame))
        for encoder in (video, audio):
            output.mux(encoder.encode(None))


def peak_mb(duration_s: int, options: list[str]) -> float:
    """Highest resident memory of the command on a clip of that length, in MB.

    Raises:
        CalledProcessError: The command failed.
    """
    command = [sys.executable, __file__, str(duration_s), *options]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_mb(duration_s: int, options: list[str]) -> float:
    """The same, measured in this process, which must be a small one."""
    with tempfile.TemporaryDirectory() as folder:
        clip, out = Path(folder, "clip.mp4"), Path(folder, "out.mp4")
        write_clip(clip, duration_s)
        command = [str(Path(sys.executable).with_name("allaprima")), "restyle", str(clip)]
        command += ["-o", str(out), "--quiet", "--size", "64", "--preset", "ultrafast", *options]
        process = os.posix_spawn(command[0], command, os.environ)
        _, status, usage = os.wait4(process, 0)
        if os.waitstatus_to_exitcode(status):
            raise RuntimeError(
                f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}"
            )
    # Linux counts in KiB, macOS in bytes
    return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


if __name__ == "__main__":
    print(measure_mb(int(sys.argv[1]), sys.argv[2:]))
