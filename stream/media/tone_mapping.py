"""Tone mapping: HDR pictures (PQ, HLG) as SDR ones of BT.709, by published formulas.

    coded RGB of BT.2020 -> light of the display -> tone curve -> BT.709's primaries -> coded RGB

PQ and HLG: ITU-R BT.2100-2, tables 4 and 5. Tone curve: the EETF of BT.2390-10, section 5.4.1, of
the largest of R, G and B, so that hues stay. White: 203 cd/m2, the reference of BT.2408-5.
Primaries: BT.2087-0, section 2. Coding for display: the inverse of BT.1886. What lies outside of
BT.709 is mixed with its own luminance until it fits. All of it is one table of three dimensions.

IPT of Dolby Vision 5 (matrix 15 of H.273, SMPTE ST 2128): PQ of the cones' answers (Hunt, Pointer,
Estevez) with two hundredths of each mixed into the others, in the axes of Ebner and Fairchild.
"""

import tempfile
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PQ = 16
HLG = 18
"""Transfers of H.273 that are HDR."""

IPT_MATRIX = 15
"""Of H.273: the three planes are no YUV."""

IPT = 1000 + IPT_MATRIX
"""Our number beside the transfers: codes of I, P and T, by PQ."""

HDR_TRANSFERS = {PQ: "PQ (SMPTE 2084)", HLG: "HLG (ARIB STD-B67)"}
HDR_KINDS = HDR_TRANSFERS | {IPT: "IPT-PQ (Dolby Vision 5)"}

BT709, BT2020, P3_D65 = 1, 9, 12
"""Primaries of H.273 that HDR comes in; any other is taken for BT.2020."""

WHITE_NITS = 203.0
"""Light of the SDR picture's white (BT.2408: HDR reference white)."""

USUAL_PEAK_NITS = 1000.0
"""Of a picture that does not say how bright it gets, and the display that HLG is made for."""

HIGHEST_NITS = 10_000.0

NODES = 65
"""Of the table along each axis; in between, FFmpeg interpolates in tetrahedra."""

BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])
BT709_LUMA = np.array([0.2126, 0.7152, 0.0722])

BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)

BT2020_TO_XYZ = np.array(
    [[0.636958, 0.144617, 0.168881], [0.262700, 0.677998, 0.059302], [0.0, 0.028073, 1.060985]]
)
XYZ_TO_LMS = np.array(
    [[0.40024, 0.70760, -0.08081], [-0.22630, 1.16532, 0.04570], [0.0, 0.0, 0.91822]]
)
CROSSTALK = 0.02
IPT_TO_LMS = np.linalg.inv([[0.4, 0.4, 0.2], [4.455, -4.851, 0.396], [0.8056, 0.3572, -1.1628]])

TO_BT709 = {
    BT2020: BT2020_TO_BT709,
    BT709: np.eye(3),
    P3_D65: np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]),
}
"""Light of these primaries (P3: SMPTE RP 431-2 with the white of D65) as that of BT.709."""

DISPLAY_GAMMA = 2.4

PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
HLG_GAMMA = 1.2


def pq_to_nits(code: Floats) -> Floats:
    """Light in cd/m2 of a PQ code from 0 to 1 (BT.2100, table 4)."""
    root = np.power(np.clip(code, 0, 1), 1 / PQ_M2)
    light: Floats = np.maximum(root - PQ_C1, 0) / (PQ_C2 - PQ_C3 * root)
    return HIGHEST_NITS * np.power(light, 1 / PQ_M1)


def nits_to_pq(nits: Floats) -> Floats:
    """The inverse of `pq_to_nits`."""
    power = np.power(np.clip(nits / HIGHEST_NITS, 0, 1), PQ_M1)
    code: Floats = np.power((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power), PQ_M2)
    return code


def hlg_to_nits(code: Floats) -> Floats:
    """Light in cd/m2 of HLG codes, shape (..., 3), on a display of `USUAL_PEAK_NITS` (table 5)."""
    code = np.clip(code, 0, 1)
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - HLG_C) / HLG_A) + HLG_B) / 12)
    luminance = scene @ BT2020_LUMA
    nits: Floats = USUAL_PEAK_NITS * luminance[..., None] ** (HLG_GAMMA - 1) * scene
    return nits


def ipt_to_nits(code: Floats) -> Floats:
    """Light in cd/m2 of BT.2020 of codes of I, P and T, shape (..., 3), in full range."""
    lms = pq_to_nits((code - [0.0, 0.5, 0.5]) @ IPT_TO_LMS.T)
    mixed = (1 - 3 * CROSSTALK) * np.eye(3) + CROSSTALK
    nits: Floats = lms @ np.linalg.inv(mixed @ XYZ_TO_LMS @ BT2020_TO_XYZ).T
    return np.maximum(nits, 0)


TO_NITS = {PQ: pq_to_nits, HLG: hlg_to_nits, IPT: ipt_to_nits}


def tone_curve(nits: Floats, peak_nits: float) -> Floats:
    """The EETF: light for a display of `WHITE_NITS` of light for one of `peak_nits`."""
    if peak_nits <= WHITE_NITS:
        return nits.clip(max=WHITE_NITS)
    peak = nits_to_pq(np.array(peak_nits))
    highest = nits_to_pq(np.array(WHITE_NITS)) / peak
    code = np.clip(nits_to_pq(nits) / peak, 0, 1)
    knee = 1.5 * highest - 0.5
    t = np.clip((code - knee) / (1 - knee), 0, 1)
    rolled = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * highest
    )
    mapped: Floats = np.where(code < knee, code, rolled)
    return pq_to_nits(mapped * peak)


def sdr_of(code: Floats, transfer: int, peak_nits: float, primaries: int = BT2020) -> Floats:
    """SDR codes of HDR ones: float, shape (..., 3), 0 to 1, in and out.

    Args:
        transfer: `PQ`, `HLG` or `IPT`.
        peak_nits: The brightest light in the picture, in cd/m2.
        primaries: Of the codes, one of `TO_BT709`.
    """
    nits = TO_NITS[transfer](code)
    brightest = nits.max(axis=-1, keepdims=True)
    gain = tone_curve(brightest, peak_nits) / np.maximum(brightest, 1e-6)
    light = (nits * gain / WHITE_NITS) @ TO_BT709[primaries].T
    fitted: Floats = np.power(_in_gamut(light), 1 / DISPLAY_GAMMA)
    return fitted


def _in_gamut(light: Floats) -> Floats:
    """Light from 0 to 1: what is outside is mixed with grey of its luminance."""
    grey = np.clip(light @ BT709_LUMA, 0, 1)[..., None]
    lowest = light.min(axis=-1, keepdims=True)
    highest = light.max(axis=-1, keepdims=True)
    below = np.where(lowest < 0, grey / np.maximum(grey - lowest, 1e-9), 1.0)
    above = np.where(highest > 1, (1 - grey) / np.maximum(highest - grey, 1e-9), 1.0)
    fitted: Floats = np.clip(grey + np.minimum(below, above) * (light - grey), 0, 1)
    return fitted


@lru_cache(maxsize=2)
def _table(transfer: int, peak_nits: float, primaries: int) -> str:
    """The table in the words of a .cube file: red changes fastest."""
    axis = np.linspace(0, 1, NODES)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    code = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    codes = sdr_of(code, transfer, peak_nits, primaries)
    rows = "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in codes)
    return f"LUT_3D_SIZE {NODES}\n{rows}\n"


class ToneMapper:
    """Turns pictures of 16-bit RGB that are HDR into SDR ones. Not thread-safe; one per stream.

    Args:
        first: The first picture, already RGB (``rgb48le``).
        transfer: `PQ`, `HLG` or `IPT`.
        peak_nits: As `peak_nits` has it.
        primaries: Of the pictures, by H.273.
    """

    def __init__(
        self, first: VideoFrame, transfer: int, peak_nits: float, primaries: int = BT2020
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "table.cube")
            table = _table(transfer, peak_nits, primaries if primaries in TO_BT709 else BT2020)
            path.write_text(table, encoding="ascii")
            self._graph = Graph()
            begin = self._graph.add_buffer(
                width=first.width,
                height=first.height,
                format=av.VideoFormat("rgb48le"),
                time_base=first.time_base,
            )
            mapper = self._graph.add("lut3d", f"file={_escaped(path)}:interp=tetrahedral")
            end = self._graph.add("buffersink")
            begin.link_to(mapper)
            mapper.link_to(end)
            self._graph.configure()

    def map(self, picture: VideoFrame) -> VideoFrame:
        """The picture in SDR, in the same format."""
        self._graph.vpush(picture)
        return self._graph.vpull()


def _escaped(path: Path) -> str:
    """The path as one word of a filter's options."""
    return "".join(f"\\{sign}" if sign in "\\':[],;" else sign for sign in path.as_posix())


def peak_nits(mastering: bytes | None, content: bytes | None) -> float:
    """How bright a picture gets, in cd/m2, by its side data.

    Args:
        mastering: FFmpeg's AVMasteringDisplayMetadata, or ``None``.
        content: Its AVContentLightMetadata (MaxCLL, MaxFALL), or ``None``.
    """
    if content is not None and len(content) >= 4:
        most = float(np.frombuffer(content[:4], np.uint32)[0])
        if WHITE_NITS < most <= HIGHEST_NITS:
            return most
    if mastering is not None and len(mastering) >= 88:
        numerator, denominator = np.frombuffer(mastering[72:80], np.int32)
        has_luminance = np.frombuffer(mastering[84:88], np.int32)[0]
        most = float(numerator) / float(denominator) if denominator else 0.0
        if has_luminance and WHITE_NITS < most <= HIGHEST_NITS:
            return most
    return USUAL_PEAK_NITS
