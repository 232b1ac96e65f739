"""ICC profiles made on the spot: a matrix and a gamma, as cameras and phones write them."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D65_XY = (0.3127, 0.3290)
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


def _xyz(xy: tuple[float, float]) -> np.ndarray:
    x, y = xy
    return np.array([x / y, 1, (1 - x - y) / y])


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Linear RGB of these primaries and D65 white to XYZ."""
    columns = np.stack([_xyz(one) for one in primaries], axis=1)
    return columns * np.linalg.solve(columns, _xyz(D65_XY))


def profile(primaries: tuple[tuple[float, float], ...], gamma: float) -> bytes:
    """A version 2 display profile."""
    adapt = np.linalg.solve(
        BRADFORD, np.diag(BRADFORD @ np.array(D50) / (BRADFORD @ _xyz(D65_XY))) @ BRADFORD
    )
    columns = (adapt @ to_xyz(primaries)).T
    text = b"Made by a test\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": _xyz_tag(D50),
        **{
            name: _xyz_tag(one)
            for name, one in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        },
        **{
            name: b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
            for name in (b"rTRC", b"gTRC", b"bTRC")
        },
    }
    table, data = struct.pack(">I", len(tags)), b""
    at = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        body += bytes(-len(body) % 4)
        table += struct.pack(">4sII", name, at + len(data), len(body))
        data += body
    head = struct.pack(
        ">I4sI4s4s4s12s4s28s12s48s",
        at + len(data),
        bytes(4),
        0x02100000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        bytes(12),
        b"acsp",
        bytes(28),
        _numbers(D50),
        bytes(48),
    )
    return head + table + data


def _numbers(values: object) -> bytes:
    return b"".join(struct.pack(">i", round(float(one) * 65536)) for one in values)  # type: ignore[attr-defined]


def _xyz_tag(values: object) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(values)


def srgb_encoded(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
