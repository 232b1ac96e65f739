"""Pictures: one file to upright sRGB. By Pillow, which converts colours by LittleCMS.

A picture's ICC profile is obeyed (relative colorimetric, with black point compensation, as browsers
and viewers do); what is transparent is shown on white.
"""

import ctypes
import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, _imaging

from stream.errors import SourceError
from stream.media.picture_sizes import check_pixels, too_large

Pixels = NDArray[np.uint8]

DEEP_GREY = ("I;16", "I;16B", "I;16L", "I", "F")
"""Pillow's names of grey that it does not scale to 8 bits; OpenCV does."""

CMYK = "CMYK"

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "JPEG2000", "PPM")
"""Pillow's names of what is read. Others of its formats run a program (EPS) or open other files."""

TIFF_SHORT = 3
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def load_picture(path: Path) -> tuple[Pixels, Pixels | None]:
    """uint8 RGB (H, W, 3) of a picture, upright and on white; and its opacity, uint8 (H, W), or
    ``None`` where it is opaque.

    Raises:
        SourceError: It cannot be read or is no picture.
    """
    try:
        encoded = path.read_bytes()
    except OSError as err:
        raise SourceError(
            f"{path} cannot be read ({err.strerror}); check its permissions."
        ) from err
    try:
        with warnings.catch_warnings(), quiet_libtiff():
            warnings.simplefilter("ignore")  # Pillow's, on size and on odd metadata
            with Image.open(io.BytesIO(encoded), formats=PICTURE_FORMATS) as image:
                check_pixels(path, image.size)
                if image.mode in DEEP_GREY:
                    return _by_opencv(encoded, path), None
                return split(image)
    except Image.DecompressionBombError as err:
        raise SourceError(too_large(path)) from err
    except (OSError, ValueError, SyntaxError, MemoryError, struct.error) as err:
        if not (isinstance(err, UnidentifiedImageError) and encoded.startswith(TIFF_HEADS)):
            raise _unreadable(path) from err
    check_pixels(path, tiff_size(encoded))
    return _by_opencv(encoded, path), None


def split(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    """The picture on white, and its opacity; upright, in sRGB."""
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    has_alpha = upright.has_transparency_data
    if has_alpha:
        rgba = upright.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"), np.uint8)
        rgb = _in_srgb(rgba.convert("RGB"), profile)
        if alpha.min() < 255:
            return on_white(rgb, alpha), alpha
        return rgb, None
    keeps = upright.mode in ("L", "RGB", CMYK)
    return _in_srgb(upright if keeps else upright.convert("RGB"), profile), None


def on_white(rgb: Pixels, alpha: Pixels) -> Pixels:
    """uint8 RGB (H, W, 3) of a picture of that opacity (H, W) that lies on white."""
    opacity = alpha[..., None].astype(np.uint32)
    mixed = rgb * opacity + 255 * (255 - opacity)
    return ((mixed + 127) // 255).astype(np.uint8)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Pixels:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if not ImageCms.getProfileDescription(source).startswith("sRGB"):
                converted = ImageCms.profileToProfile(
                    image,
                    source,
                    ImageCms.createProfile("sRGB"),
                    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )
                image = converted or image
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a profile that is none, or of other channels than the picture's: as it is
    return np.array(image.convert("RGB"), np.uint8)


def _by_opencv(encoded: bytes, path: Path) -> Pixels:
    try:
        with quiet_opencv():
            data = np.frombuffer(encoded, np.uint8)
            bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if encoded else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise _unreadable(path)
    return np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """OpenCV writes what it thinks of a damaged picture to the terminal; we say it ourselves."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


@contextmanager
def quiet_libtiff() -> Iterator[None]:
    """Likewise of Pillow's libtiff, where that is a library of its own (not on Windows)."""
    try:
        handlers = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        yield
        return
    handlers.restype, handlers.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    before = handlers(None)
    try:
        yield
    finally:
        handlers(before)


def tiff_size(encoded: bytes) -> tuple[int, int]:
    """(width, height) of the first page of a TIFF, of the variants that Pillow does not know;
    (0, 0) where it is not said.
    """
    order = "<" if encoded.startswith(b"II") else ">"
    sizes = {256: 0, 257: 0}
    try:
        (start,) = struct.unpack_from(f"{order}I", encoded, 4)
        (count,) = struct.unpack_from(f"{order}H", encoded, start)
        for index in range(count):
            at = start + 2 + 12 * index
            tag, kind = struct.unpack_from(f"{order}HH", encoded, at)
            if tag in sizes:
                letter = "H" if kind == TIFF_SHORT else "I"
                (sizes[tag],) = struct.unpack_from(order + letter, encoded, at + 8)
    except struct.error:
        return 0, 0
    return sizes[256], sizes[257]


def _unreadable(path: Path) -> SourceError:
    return SourceError(f"{path} is not a picture that can be read; check that it opens.")
