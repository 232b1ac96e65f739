"""What is opened as media names no other file and no address, and takes no memory unasked."""

import http.server
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import Clip, write_clip
from command import allaprima, assert_refused
from PIL import Image

from stream.command.exit_codes import ExitCode
from stream.errors import SourceError
from stream.media.picture_sizes import MOST_PIXELS
from stream.media.safe_opening import FORMATS, STREAMED_FORMATS, open_file
from stream.sources import open_source
from stream.sources.network import open_url
from stream.sources.segments import Fetcher

NAMING = {"concat", "concatf", "hls", "dash", "sdp", "rtp", "sap", "lavfi", "vobsub", "imf", "mlv"}
"""FFmpeg's formats that open what they name, or look for other files beside them."""

CLIP = Clip(
    pts=range(10), time_base=Fraction(1, 25), last_duration=1, codec="mpeg2video", options={}
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that nobody named."""
    (tmp_path / "private").mkdir()
    return write_clip(tmp_path / "private" / "secret.ts", CLIP)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """Where files that come from elsewhere lie."""
    (tmp_path / "mail").mkdir()
    return tmp_path / "mail"


def hls(*parts: str, end: bool = True) -> str:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1"]
    for part in parts:
        lines += ["#EXTINF:0.4,", part]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if end else []), ""])


def ffconcat(*parts: str) -> str:
    return "".join(["ffconcat version 1.0\n", *(f"file {part}\n" for part in parts)])


def sdp(port: int) -> str:
    to = "IN IP4 127.0.0.1"
    return f"v=0\no=- 0 0 {to}\ns=x\nc={to}\nt=0 0\nm=video {port} RTP/AVP 32\n"


DASH = '<?xml version="1.0"?>\n<MPD><BaseURL>{}</BaseURL></MPD>\n'


def test_no_list_has_a_format_that_names_others() -> None:
    assert not NAMING & set(FORMATS)
    assert set(STREAMED_FORMATS) - set(FORMATS) >= {"hls", "rtsp"}


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.txt", "clip"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ffconcat("{secret}"), "ffconcat"),
        ("\ufeff" + hls("{secret}"), "playlist"),
        (hls("file://{secret}"), "playlist"),
        (hls("http://127.0.0.1:{port}/secret.ts"), "playlist"),
        (hls("data:video/mp2t;base64,AAAA"), "playlist"),
        (hls("\\\\\\\\server\\\\share\\\\secret.ts"), "playlist"),
        (DASH.format("{secret}"), "manifest"),
        ("# VobSub index file, v7\n", "VobSub"),
        (sdp(5004), "SDP"),
    ],
    ids=["concat", "hls", "file", "http", "data", "unc", "dash", "vobsub", "sdp"],
)
def test_a_media_file_names_no_other(
    secret: Path, mail: Path, name: str, text: str, kind: str
) -> None:
    path = mail / name
    path.write_text(text.replace("{secret}", str(secret)).replace("{port}", "9"), "utf-8")
    with pytest.raises(SourceError, match=kind):
        open_source(path)


def test_without_the_list_the_other_file_would_be_read(secret: Path, mail: Path) -> None:
    """What the tests above guard against is possible."""
    path = mail / "clip.mp4"
    path.write_text(ffconcat("secret.ts"), "utf-8")
    (mail / "secret.ts").write_bytes(secret.read_bytes())
    with av.open(f"file:{path}") as container:
        assert container.format.name == "concat"
    with pytest.raises(SourceError):
        open_file(path)


def test_the_command_says_it_in_one_line(secret: Path, mail: Path, tmp_path: Path) -> None:
    path = mail / "clip.mp4"
    path.write_text(ffconcat(str(secret)), "utf-8")
    result = allaprima("restyle", path, "-o", tmp_path / "out.mp4")
    assert_refused(result, ExitCode.INPUT, "ffconcat", "names other files")


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    """FFmpeg's image2 takes %d in a name for a sequence."""
    for number in (1, 2):
        Image.fromarray(np.full((48, 64, 3), number * 50, np.uint8)).save(
            tmp_path / f"{number}.ppm"
        )
    named = tmp_path / "%d.ppm"
    named.write_bytes((tmp_path / "1.ppm").read_bytes())
    with open_file(named) as container:
        assert len(list(container.decode(video=0))) == 1


@pytest.mark.parametrize("sign", [",movie=x", ";color=red", "'a'", "\\,movie=x"])
def test_a_test_pattern_is_nothing_but_one(sign: str) -> None:
    with pytest.raises(SourceError, match="is not understood"):
        open_source(f"testsrc=size=64x48:duration=0.1{sign}")


# Playlists that are called so


def test_a_playlist_that_is_called_one_plays_what_lies_in_its_folder(mail: Path) -> None:
    (mail / "parts").mkdir()
    write_clip(mail / "parts" / "a b.ts", CLIP)
    (mail / "list.m3u8").write_text(hls("parts/a b.ts"), "utf-8")
    (mail / "list.ffconcat").write_text(ffconcat("'parts/ab.ts'"), "utf-8")
    (mail / "parts" / "ab.ts").write_bytes((mail / "parts" / "a b.ts").read_bytes())
    for name in ("list.m3u8", "list.ffconcat"):
        with open_source(mail / name) as source:
            assert len(list(source)) == 10


def test_a_playlist_without_an_end_is_read_from_its_begin_and_once(mail: Path) -> None:
    for number in range(6):
        write_clip(mail / f"{number}.ts", CLIP)
    names = [f"{number}.ts" for number in range(6)]
    (mail / "live.m3u8").write_text(hls(*names, end=False), "utf-8")
    with open_source(mail / "live.m3u8") as source:
        assert len(list(source)) == 60


@pytest.mark.parametrize(
    "part",
    ["{secret}", "../private/secret.ts", "file:{secret}", "http://127.0.0.1:9/a.ts",
     "data:video/mp2t;base64,AAAA", "\\\\server\\share\\a.ts", "//server/share/a.ts",
     "C:\\a.ts", "link.ts"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat"])
def test_a_playlist_names_nothing_outside_of_its_folder(
    secret: Path, mail: Path, name: str, part: str
) -> None:
    (mail / "link.ts").symlink_to(secret)
    part = part.replace("{secret}", str(secret))
    text = hls(part) if name.endswith(".m3u8") else ffconcat(f"'{part}'")
    (mail / name).write_text(text, "utf-8")
    with pytest.raises(SourceError, match="not in its folder"):
        open_source(mail / name)


@pytest.mark.parametrize(
    "line",
    ['#EXT-X-MAP:URI="../private/secret.ts"', '#EXT-X-KEY:METHOD=AES-128,URI="http://a/key"',
     '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="/etc/a.m3u8"'],
)  # fmt: skip
def test_nor_do_its_tags(secret: Path, mail: Path, line: str) -> None:
    write_clip(mail / "a.ts", CLIP)
    (mail / "list.m3u8").write_text(hls("a.ts").replace("#EXTINF", f"{line}\n#EXTINF", 1), "utf-8")
    with pytest.raises(SourceError, match="not in its folder"):
        open_source(mail / "list.m3u8")


def test_nor_does_a_playlist_inside_of_it(secret: Path, mail: Path) -> None:
    (mail / "inner.m3u8").write_text(hls(str(secret)), "utf-8")
    master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\ninner.m3u8\n"
    (mail / "list.m3u8").write_text(master, "utf-8")
    with pytest.raises(SourceError, match=r"inner\.m3u8 names"):
        open_source(mail / "list.m3u8")


def test_a_playlist_that_names_itself_is_refused(mail: Path) -> None:
    (mail / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlist.m3u8\n", "utf-8"
    )
    with pytest.raises(SourceError, match="playlists of playlists"):
        open_source(mail / "list.m3u8")


def test_a_missing_part_is_said_and_not_passed_over(mail: Path) -> None:
    write_clip(mail / "a.ts", CLIP)
    (mail / "list.m3u8").write_text(hls("a.ts", "b.ts"), "utf-8")
    with pytest.raises(SourceError, match=r"b\.ts, which is not there"):
        open_source(mail / "list.m3u8")


# Streams


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers with what the test put there; or leads elsewhere."""

    bodies: dict[str, bytes] = {}  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1:9/x")
            self.end_headers()
            return
        body = self.bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    Quiet.bodies, Quiet.asked = {}, []
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


@pytest.mark.parametrize("name", ["live.m3u8", "live.mp4"])
@pytest.mark.parametrize("place", ["file:{secret}", "{secret}", "data:video/mp2t;base64,AAAA"])
def test_a_stream_names_no_file_of_this_machine(
    secret: Path, server: str, name: str, place: str
) -> None:
    place = place.replace("{secret}", str(secret))
    text = hls(place) if name.endswith(".m3u8") else ffconcat(place)
    Quiet.bodies[f"/{name}"] = text.encode()
    with pytest.raises(SourceError):
        open_url(f"{server}/{name}", timeout_s=20)
    assert f"/{name}" in Quiet.asked


def test_a_stream_in_segments_is_read_as_ever(tmp_path: Path, server: str) -> None:
    Quiet.bodies["/a.ts"] = write_clip(tmp_path / "a.ts", CLIP).read_bytes()
    Quiet.bodies["/live.m3u8"] = hls("a.ts").encode()
    with open_url(f"{server}/live.m3u8", timeout_s=20) as source:
        assert source.read() is not None


def test_a_server_leads_nowhere_but_to_the_web(server: str) -> None:
    with pytest.raises(OSError, match="ftp"):
        Fetcher(20).open(f"{server}/elsewhere", 1, {})


# Sizes


def png(width: int, height: int) -> bytes:
    """A PNG whose header has this size, and little behind it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(width: int, height: int) -> bytes:
    """A TIFF of 32-bit colours, which Pillow does not know, with this size in its header."""
    fields = [(256, 4, width), (257, 4, height), (258, 3, 32), (259, 3, 1), (262, 3, 2),
              (273, 4, 8), (277, 3, 3), (278, 4, height), (279, 4, 16), (339, 3, 3)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in fields)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(fields)) + entries + bytes(4)


def bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + info + bytes(64)


def gif(width: int, height: int) -> bytes:
    image = b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(6) + image + b";"


def avi(width: int, height: int) -> bytes:
    """An AVI of raw pictures whose headers have this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)

    main = struct.pack("<10I4I", 40_000, 0, 0, 0, 1, 0, 1, 0, width, height, 0, 0, 0, 0)
    stream = b"vidsDIB " + struct.pack(
        "<IHHIIIIIIII4H", 0, 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0, 0, 0
    )
    form = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    one = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", form))
    body = b"AVI " + chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + one)
    return chunk(b"RIFF", body + chunk(b"LIST", b"movi" + chunk(b"00db", bytes(64))))


MEASURED = """
import resource, sys
from stream.errors import SourceError
from stream.sources import open_source

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

with open_source("testsrc=size=64x48:duration=0.1") as source:
    list(source)  # what decoding loads
try:
    open_source(sys.argv[1])  # whose first look loads what it needs
except SourceError:
    pass
before = peak_mb()
try:
    with open_source(sys.argv[2]) as source:
        list(source)
    print("taken")
except SourceError as err:
    print(err)
print(round(peak_mb() - before))
"""


@pytest.mark.parametrize(
    ("name", "make", "size"),
    [
        ("huge.png", png, (60_000, 60_000)),
        ("large.png", png, (30_000, 30_000)),
        ("large.tif", tiff, (30_000, 30_000)),
        ("large.bmp", bmp, (20_000, 20_000)),
        ("large.gif", gif, (20_000, 20_000)),
        ("huge.avi", avi, (65_535, 65_535)),
        ("large.avi", avi, (16_000, 16_000)),
    ],
)
def test_a_size_is_looked_at_before_memory_is_taken(
    tmp_path: Path, name: str, make: Callable[[int, int], bytes], size: tuple[int, int]
) -> None:
    assert size[0] * size[1] > MOST_PIXELS
    path = tmp_path / name
    path.write_bytes(make(*size))
    small = tmp_path / f"small{path.suffix}"
    small.write_bytes(make(16, 8))
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, str(small), str(path)],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    sentence, grown_mb = run.stdout.strip().splitlines()[-2:]
    assert sentence != "taken"
    assert int(grown_mb) < 100, sentence


def test_a_picture_of_many_pixels_says_so(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png(60_000, 60_000))
    with pytest.raises(SourceError, match="more than 134 million pixels"):
        open_source(path)
    path.write_bytes(png(12_000, 12_000))
    with pytest.raises(SourceError, match=r"12000x12000\) has more than"):
        open_source(path)


def test_no_picture_runs_a_program(tmp_path: Path) -> None:
    """Pillow has PostScript drawn by Ghostscript."""
    path = tmp_path / "page.png"
    path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    with Image.open(path) as image:
        assert image.format == "EPS"
    with pytest.raises(SourceError, match="not a picture"):
        open_source(path)
