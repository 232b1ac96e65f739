"""What may be opened as media: which formats, by which protocols, and how many pixels.

    a file that the user names       formats that hold their pictures themselves
    a playlist that the user names   the same, and what lies in its own folder (playlists.py)
    an address that the user names   the same, and playlists, by network protocols alone

A format that names other files or addresses (ffconcat, HLS, DASH, SDP, patterns of pictures) is on
no list but its own: whoever may hand in a file shall not have others read by it.
"""

from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from stream.errors import SourceError
from stream.media.picture_sizes import MOST_PIXELS
from stream.media.playlists import PLAYLIST_SUFFIXES, playlist_options

FORMATS = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "ogg", "flv", "live_flv"),
    *("asf", "mxf", "gxf", "dv", "nut", "nuv", "rm", "wtv", "ivf", "swf", "nsv", "r3d", "lxf"),
    *("h261", "h263", "h264", "hevc", "vvc", "av1", "obu", "m4v", "vc1", "dirac", "dnxhd", "evc"),
    *("apv", "cavsvideo", "avs2", "avs3", "mjpeg", "mjpeg_2000", "mpjpeg", "yuv4mpegpipe"),
    *("gif", "apng", "flic", "smk", "bink", "roq", "film_cpk", "4xm", "dhav", "kux", "ser", "cine"),
    *("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "gif_pipe"),
    *("jpegxl_pipe", "jpegxl_anim", "j2k_pipe", "exr_pipe", "dpx_pipe", "hdr_pipe", "qoi_pipe"),
    *("psd_pipe", "ppm_pipe", "pgm_pipe", "pbm_pipe", "pam_pipe", "sgi_pipe"),
    *("mp3", "wav", "w64", "flac", "aac", "ac3", "eac3", "dts", "aiff", "au", "caf", "amr"),
)
"""FFmpeg's names of formats that hold what they show."""

STREAMED_FORMATS = (*FORMATS, "hls", "dash", "webm_dash_manifest", "rtsp", "webvtt")
"""What an address may lead to."""

NETWORK_PROTOCOLS = (
    *("http", "https", "httpproxy", "tls", "tcp", "udp", "rtp", "srtp"),
    *("rtmp", "rtmps", "rtmpt", "rtmpts", "rtsp", "rtsps", "crypto"),
)
"""How a stream, and what its playlist names, may be reached: by nothing of this machine."""

SELF_CONTAINED = {"pattern_type": "none", "enable_drefs": "0", "use_absolute_path": "0"}
"""Of FFmpeg's image2: the name is no pattern. Of its mov: the tracks are in the file."""

KINDS = (
    (b"#EXTM3U", "a playlist (HLS)", ".m3u8"),
    (b"ffconcat version", "a list of files (ffconcat)", ".ffconcat"),
    (b"v=0", "the description of a network stream (SDP)", ""),
    (b"<?xml", "a manifest or other XML", ""),
    (b"<MPD", "a manifest (DASH)", ""),
    (b"# VobSub index file", "the index of another file (VobSub)", ""),
)
"""How files begin that name others, what they are, and how a playlist must be called."""

HEAD_BYTES = 64


def whitelist(formats: tuple[str, ...], protocols: tuple[str, ...]) -> dict[str, str]:
    """FFmpeg's options that allow these alone, and no picture of more than `MOST_PIXELS`."""
    return {
        "format_whitelist": ",".join(formats),
        "protocol_whitelist": ",".join(protocols),
        "max_pixels": str(MOST_PIXELS),
    }


def open_file(path: Path) -> InputContainer:
    """A media file, or a playlist where it is called one.

    Raises:
        SourceError: It names other files, which it may not.
        av.FFmpegError: It cannot be opened.
    """
    options = whitelist(FORMATS, ("file",)) | SELF_CONTAINED
    place = f"file:{path}"
    extra: dict[str, Any] = {}
    if path.suffix.lower() in PLAYLIST_SUFFIXES:
        place, more, extra = playlist_options(path, FORMATS)
        options |= more
    try:
        container: InputContainer = av.open(
            place, metadata_errors="surrogateescape", options=options, **extra
        )
        return container
    except (av.FFmpegError, MemoryError) as err:
        kind = None if extra or isinstance(err, av.error.PermissionError) else names_others(path)
        if kind is None:
            raise
        raise SourceError(f"{path} is {kind}.") from err


def names_others(path: Path) -> str | None:
    """What a file is that names others, and what to do with it; ``None`` for any other file."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return None
    for begin, kind, suffix in KINDS:
        if head.startswith(begin):
            called = f"call it {path.stem}{suffix} if you trust it" if suffix else "give those"
            return f"{kind}, which names other files or addresses and is no video; {called}"
    return None
