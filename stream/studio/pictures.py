"""Pictures as bytes and back: what a page sends and is sent. Their sizes were checked before."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.studio.protocol import Packet, ProtocolError

Data = NDArray[np.uint8]


def decode(packet: Packet) -> Data:
    """uint8 RGB (H, W, 3) of the size that the packet says.

    Raises:
        ProtocolError: It cannot be decoded, or holds another size than it says.
    """
    coded = np.frombuffer(packet.payload, np.uint8)
    try:
        data = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as err:
        raise ProtocolError("got a picture that cannot be decoded") from err
    if data is None or data.dtype != np.uint8:
        raise ProtocolError("got a picture that cannot be decoded")
    height, width = data.shape[:2]
    if (width, height) != packet.size:
        raise ProtocolError(f"got a picture of {width}x{height}, expected {packet.size}")
    return np.asarray(data, dtype=np.uint8)


def encode_jpeg(data: Data, quality: int) -> bytes:
    """uint8 RGB (H, W, 3) as a JPEG."""
    bgr = cv2.cvtColor(data, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def encode_png(data: Data) -> bytes:
    """uint8 RGB (H, W, 3) as a PNG: every pixel as it is."""
    return bytes(cv2.imencode(".png", cv2.cvtColor(data, cv2.COLOR_RGB2BGR))[1])


def thumbnail(data: Data, height_px: int) -> Data:
    """A small copy."""
    height, width = data.shape[:2]
    size = max(1, round(width * height_px / height)), height_px
    return np.asarray(cv2.resize(data, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
