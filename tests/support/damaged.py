"""Whole inputs of many containers and formats, and ways to damage them, each by its number."""

import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from clips import Clip, picture, write_clip
from edit_lists import with_edits
from PIL import Image

FRAMES = 24
STEADY = Clip(pts=range(FRAMES), time_base=Fraction(1, 25), last_duration=1)
MPEG2 = replace(STEADY, codec="mpeg2video", options={"g": "6"})
VP9 = replace(STEADY, codec="libvpx-vp9", options={"cpu-used": "8", "b": "200k"})
FRAGMENTS = {"movflags": "frag_every_frame+empty_moov"}
SMALL = (48, 32)

Make = Callable[[Path], Path]
"""Makes a whole input in a folder; what is damaged is the file that it gives."""


def clip(name: str, made: Clip) -> Make:
    return lambda folder: write_clip(folder / name, made)


def made_by_ffmpeg(name: str, *options: str) -> Make:
    """Of a kind that PyAV's muxers make only from packets of their own: by FFmpeg's command."""

    def make(folder: Path) -> Path:
        plain = write_clip(folder / "plain.mkv", replace(STEADY, audio="aac"))
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(plain)]
        subprocess.run([*command, *options, str(folder / name)], check=True)
        return folder / name

    return make


def joined(folder: Path) -> Path:
    path = write_clip(folder / "a.mkv", replace(STEADY, audio="aac"))
    path.write_bytes(path.read_bytes() * 2)
    return path


def edited(folder: Path) -> Path:
    """An MP4 of two edits a track."""
    plain = write_clip(folder / "plain.mp4", STEADY)
    return with_edits(plain, folder / "a.mp4", {0: [(0.4, 0.04), (0.4, 0.48)]})


def pictures(index: int) -> Image.Image:
    return Image.fromarray(picture(index, SMALL))


def one(name: str, **options: object) -> Make:
    def make(folder: Path) -> Path:
        random_pixels = np.random.default_rng(1).integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(random_pixels).save(folder / name, **options)
        return folder / name

    return make


def moving(name: str) -> Make:
    def make(folder: Path) -> Path:
        first, *others = [pictures(index) for index in range(8)]
        first.save(folder / name, save_all=True, append_images=others, duration=40)
        return folder / name

    return make


def playlist(folder: Path) -> Path:
    """Three segments; the list is what is damaged."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
    for number in range(3):
        write_clip(folder / f"{number}.ts", MPEG2)
        lines += ["#EXTINF:0.96,", *(["#EXT-X-DISCONTINUITY"] if number else []), f"{number}.ts"]
    (folder / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]), "utf-8")
    return folder / "list.m3u8"


def file_list(folder: Path) -> Path:
    for number in range(2):
        write_clip(folder / f"{number}.ts", MPEG2)
    (folder / "list.ffconcat").write_text("ffconcat version 1.0\nfile 0.ts\nfile 1.ts\n", "utf-8")
    return folder / "list.ffconcat"


INPUTS: dict[str, tuple[Make, int]] = {
    "mp4": (clip("a.mp4", replace(STEADY, audio="aac")), FRAMES),
    "edit lists": (edited, 20),
    "mov": (clip("a.mov", replace(STEADY, muxer_options={"movflags": "faststart"})), FRAMES),
    "mkv": (clip("a.mkv", replace(STEADY, audio="aac")), FRAMES),
    "webm": (clip("a.webm", VP9), FRAMES),
    "avi": (clip("a.avi", replace(STEADY, codec="mpeg4", options={"g": "6"})), FRAMES),
    "ts": (clip("a.ts", replace(STEADY, audio="aac")), FRAMES),
    "mpg": (clip("a.mpg", MPEG2), FRAMES),
    "flv": (clip("a.flv", STEADY), FRAMES),
    "gif": (clip("a.gif", replace(STEADY, codec="gif", pix_fmt="rgb8", options={})), FRAMES),
    "mxf": (made_by_ffmpeg("a.mxf", "-c:v", "mpeg2video", "-an"), FRAMES),
    "wmv": (made_by_ffmpeg("a.wmv", "-c:v", "msmpeg4", "-c:a", "wmav2"), FRAMES),
    "ogg": (made_by_ffmpeg("a.ogv", "-c:v", "libtheora", "-c:a", "libvorbis"), FRAMES),
    "nut": (clip("a.nut", replace(STEADY, codec="mpeg4", options={"g": "6"})), FRAMES),
    "fragments": (clip("a.m4v", replace(STEADY, muxer_options=FRAGMENTS)), FRAMES),
    "joined": (joined, 2 * FRAMES),
    "png": (one("a.png"), 1),
    "jpeg": (one("a.jpg", quality=90), 1),
    "tiff": (one("a.tif", compression="tiff_lzw"), 1),
    "bmp": (one("a.bmp"), 1),
    "webp": (one("a.webp", lossless=True), 1),
    "moving webp": (moving("b.webp"), 8),
    "moving png": (moving("b.png"), 8),
    "playlist": (playlist, 3 * FRAMES),
    "file list": (file_list, 2 * FRAMES),
}
"""Name -> how it is made, and how many frames it has."""


def damaged(data: bytes, number: int, name: str) -> tuple[bytes, str]:
    """The data with damage of its own for each number, and in words what it is."""
    choose = random.Random(f"{name} {number}")
    kind = number % 4
    if kind == 0:
        end = choose.randrange(len(data))
        return data[:end], f"cut at {end} of {len(data)}"
    changed = bytearray(data)
    if kind == 1:
        at, length = choose.randrange(len(data)), choose.choice([1, 4, 64, 500])
        for position in range(at, min(len(data), at + length)):
            changed[position] ^= choose.randrange(1, 256)
        return bytes(changed), f"{length} wrong bytes at {at}"
    if kind == 2:
        at, length = choose.randrange(len(data)), choose.choice([1, 16, 300])
        del changed[at : at + length]
        return bytes(changed), f"{length} bytes missing at {at}"
    for _ in range(12):
        changed[choose.randrange(len(data))] ^= choose.randrange(1, 256)
    return bytes(changed), "12 wrong bytes"
