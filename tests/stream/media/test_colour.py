"""Colour: what is read is what the published formulas say; what is transparent stays so."""

import struct
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from clips import picture
from icc import ADOBE_RGB, DISPLAY_P3, SRGB, profile, srgb_encoded, to_xyz
from PIL import Image
from signals import carry

from stream.media.tone_mapping import HLG, PQ, peak_nits, pq_to_nits, sdr_of
from stream.sources import open_source
from stream.sources.rgb_conversion import is_dolby_vision_5

SIDE = 16
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Kr and Kb of each matrix of H.273."""

GREYS = np.repeat(np.linspace(0, 1, 24)[:, None], 3, axis=1)
COLOURS = np.array(
    [
        [0.5, 0.2, 0.2], [0.2, 0.5, 0.2], [0.2, 0.2, 0.5], [0.45, 0.4, 0.1], [0.1, 0.4, 0.45],
        [0.4, 0.1, 0.45], [0.3, 0.35, 0.4], [0.55, 0.5, 0.45], [0.6, 0.4, 0.35], [0.1, 0.15, 0.1],
    ]
)  # fmt: skip


def patches(path: Path, codes: np.ndarray, matrix: int, full: bool, bits: int, trc: int) -> Path:
    """A row of patches of these RGB codes (0 to 1), by the formulas of the matrix, lossless."""
    kr, kb = LUMA[matrix]
    red, green, blue = codes.T
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    planes = np.stack([luma, (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)])
    scale = 2 ** (bits - 8)
    if full:
        levels = planes * (2**bits - 1) + np.array([[0], [2 ** (bits - 1)], [2 ** (bits - 1)]])
    else:
        levels = (planes * np.array([[219], [224], [224]]) + [[16], [128], [128]]) * scale
    return write_levels(path, levels, matrix, full, bits, trc)


def write_levels(
    path: Path, levels: np.ndarray, matrix: int, full: bool, bits: int, trc: int
) -> Path:
    """A row of patches of these levels, three rows of them."""
    levels = np.clip(np.rint(levels), 0, 2**bits - 1)
    format = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    dtype = np.uint8 if bits == 8 else np.uint16
    data = np.repeat(np.repeat(levels[:, None, :], SIDE, axis=1), SIDE, axis=2).astype(dtype)
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = data.shape[2], SIDE, format
        context = video.codec_context
        context.color_primaries = 9 if matrix == 9 else 1
        context.color_trc, context.colorspace = trc, matrix
        context.color_range = 2 if full else 1
        frame = av.VideoFrame(data.shape[2], SIDE, format)
        for plane, values in zip(frame.planes, data, strict=True):
            rows = np.zeros((SIDE, plane.line_size // dtype().itemsize), dtype)
            rows[:, : values.shape[1]] = values
            plane.update(rows.tobytes())
        frame.color_range = 2 if full else 1
        frame.colorspace = matrix
        frame.color_trc = trc
        output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def read(path: Path) -> np.ndarray:
    """The middle of each patch, 0 to 255."""
    with open_source(path) as source:
        (frame,) = source
    return frame.data[SIDE // 2, SIDE // 2 :: SIDE].astype(float)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
def test_every_matrix_range_and_depth_is_read_by_its_formula(
    tmp_path: Path, matrix: int, full: bool, bits: int
) -> None:
    codes = np.concatenate([GREYS, COLOURS])
    path = patches(tmp_path / "in.mkv", codes, matrix, full, bits, 1)
    assert np.abs(read(path) - codes * 255).max() <= 2


def reference_sdr(code: np.ndarray, transfer: int, peak: float) -> np.ndarray:
    """One colour by BT.2100, BT.2390, BT.2087 and BT.1886, written out for one pixel."""

    def eotf(e: float) -> float:
        n = e ** (1 / 78.84375)
        y = max(n - 0.8359375, 0) / (18.8515625 - 18.6875 * n)
        return 10_000 * y ** (1 / 0.1593017578125)

    def inverse(nits: float) -> float:
        y = (nits / 10_000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375

    if transfer == PQ:
        light = np.array([eotf(e) for e in code])
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.array([e * e / 3 if e <= 0.5 else (np.exp((e - c) / a) + b) / 12 for e in code])
        ys = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
        light = 1000 * ys**0.2 * scene
    most = light.max()
    if most <= 0:
        return np.zeros(3)
    e1, max_lum = inverse(most) / inverse(peak), inverse(203) / inverse(peak)
    ks = 1.5 * max_lum - 0.5
    e2 = e1
    if e1 >= ks:
        t = (min(e1, 1.0) - ks) / (1 - ks)
        e2 = (
            (2 * t**3 - 3 * t**2 + 1) * ks
            + (t**3 - 2 * t**2 + t) * (1 - ks)
            + (-2 * t**3 + 3 * t**2) * max_lum
        )
    light *= eotf(e2 * inverse(peak)) / most / 203
    wide = np.linalg.solve(
        to_xyz(SRGB), to_xyz(((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))) @ light
    )
    return np.clip(wide, 0, 1) ** (1 / 2.4)


NEUTRAL = np.array([[0.5, 0.48, 0.46], [0.3, 0.32, 0.31], [0.58, 0.56, 0.6]])
"""Colours that BT.709 has."""


@pytest.mark.parametrize("transfer", [PQ, HLG], ids=["PQ", "HLG"])
@pytest.mark.parametrize("bits", [10, 12])
def test_hdr_is_tone_mapped_by_the_published_formulas(
    tmp_path: Path, transfer: int, bits: int
) -> None:
    codes = np.concatenate([GREYS, NEUTRAL])
    path = patches(tmp_path / "in.mkv", codes, 9, False, bits, transfer)
    expected = np.array([reference_sdr(one, transfer, 1000.0) for one in codes]) * 255
    assert np.abs(read(path) - expected).max() <= 0.02 * 255


def test_hdr_white_is_bright_and_the_reference_is_not_dim(tmp_path: Path) -> None:
    """A PQ ramp rises all the way; 203 cd/m2 stays well above middle grey, 1000 is white."""
    path = patches(tmp_path / "in.mkv", np.linspace(0, 0.7518, 20)[:, None] + np.zeros(3), 9,
                   False, 10, PQ)  # fmt: skip
    levels = read(path)[:, 0]
    assert (np.diff(levels) >= 0).all() and levels[-1] >= 250
    reference = patches(tmp_path / "ref.mkv", np.full((1, 3), 0.5807), 9, False, 10, PQ)
    assert 190 < read(reference)[0, 0] < 245


def test_saturated_hdr_keeps_its_hue(tmp_path: Path) -> None:
    codes = np.array([[0.7, 0.1, 0.1], [0.1, 0.7, 0.1], [0.1, 0.1, 0.7], [0.7, 0.7, 0.1]])
    red, green, blue, yellow = read(patches(tmp_path / "in.mkv", codes, 9, False, 10, PQ))
    assert red.argmax() == 0 and green.argmax() == 1 and blue.argmax() == 2
    assert yellow.argmin() == 2 and abs(yellow[0] - yellow[1]) < 60


def ipt_levels(codes: np.ndarray, bits: int) -> np.ndarray:
    """PQ codes of BT.2020 as I, P and T of Dolby Vision 5 in full range (H.273, matrix 15)."""
    power = np.clip(codes, 0, 1) ** (1 / 78.84375)
    light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (
        1 / 0.1593017578125
    )
    xyz = to_xyz(((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))) @ light.T
    long, middle, short = (
        np.array([[0.40024, 0.7076, -0.08081], [-0.2263, 1.16532, 0.0457], [0, 0, 0.91822]]) @ xyz
    )
    mixed = np.stack([
        0.96 * long + 0.02 * middle + 0.02 * short,
        0.02 * long + 0.96 * middle + 0.02 * short,
        0.02 * long + 0.02 * middle + 0.96 * short,
    ])  # fmt: skip
    raised = np.maximum(mixed, 0) ** 0.1593017578125
    lms = ((0.8359375 + 18.8515625 * raised) / (1 + 18.6875 * raised)) ** 78.84375
    matrix = np.array([[1638, 1638, 820], [18248, -19870, 1622], [3300, 1463, -4763]]) / 4096
    return (matrix @ lms + [[0], [0.5], [0.5]]) * (2**bits - 1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("transfer", [PQ, 2], ids=["PQ", "untagged"])
def test_ipt_is_converted_by_the_published_formulas(tmp_path: Path, transfer: int) -> None:
    codes = np.concatenate([GREYS[:18], NEUTRAL])
    path = write_levels(tmp_path / "in.mkv", ipt_levels(codes, 12), 15, True, 12, transfer)
    expected = np.array([reference_sdr(one, PQ, 1000.0) for one in codes]) * 255
    assert np.abs(read(path) - expected).max() <= 0.02 * 255
    ours = carry(path, tmp_path / "out.mp4")
    assert any("IPT-PQ (Dolby Vision 5)" in note for note in ours.notes)


WIDE = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


@pytest.mark.parametrize("primaries", WIDE)
def test_hdr_of_each_primaries_becomes_bt709_by_the_formulas(primaries: int) -> None:
    codes = np.array([[0.5, 0.45, 0.42], [0.3, 0.34, 0.31]])  # dark enough to pass the curve
    light = pq_to_nits(codes) / 203
    matrix = np.linalg.solve(to_xyz(WIDE[1]), to_xyz(WIDE[primaries]))
    expected = np.clip(light @ matrix.T, 0, 1) ** (1 / 2.4)
    assert np.abs(sdr_of(codes, PQ, 203.0, primaries) - expected).max() < 0.003


@pytest.mark.parametrize(
    ("trc", "matrix", "kind", "is_five"),
    [
        (2, 2, "DOVI_METADATA", True),
        (18, 9, "DOVI_METADATA", False),  # 8.4: HLG below
        (16, 9, "DOVI_METADATA", False),  # 8.1: PQ below
        (1, 1, "DOVI_METADATA", False),  # 8.2: SDR below
        (2, 2, "CONTENT_LIGHT_LEVEL", False),
    ],
)
def test_dolby_vision_5_is_told_by_what_it_does_not_say(
    trc: int, matrix: int, kind: str, is_five: bool
) -> None:
    side_data = [SimpleNamespace(type=SimpleNamespace(name=kind))]
    frame = SimpleNamespace(color_trc=trc, colorspace=matrix, side_data=side_data)
    assert is_dolby_vision_5(frame) == is_five  # type: ignore[arg-type]


@pytest.mark.parametrize("transfer", [PQ, HLG], ids=["PQ", "HLG"])
def test_hdr_is_tagged_as_what_it_became_and_that_is_said(tmp_path: Path, transfer: int) -> None:
    path = patches(tmp_path / "in.mkv", GREYS, 9, False, 10, transfer)
    ours = carry(path, tmp_path / "out.mp4")
    with av.open(str(ours.path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
    assert any("HDR" in note and "BT.709" in note for note in ours.notes)
    assert not ours.damaged


def test_a_phones_hdr_video_simply_works(tmp_path: Path) -> None:
    """HEVC of 10 bit, HLG, turned, with sound: as phones write it."""
    path = tmp_path / "in.mov"
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx265", rate=30, options={"x265-params": "log-level=none"})
        video.width, video.height, video.pix_fmt = 192, 128, "yuv420p10le"
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, HLG, 9
        context.codec_tag = "hvc1"
        video.set_display_rotation(-90)
        audio = output.add_stream("aac", rate=48_000)
        audio.layout = "stereo"
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(picture(index, (192, 128)))
            output.mux(video.encode(frame.reformat(format="yuv420p10le", dst_colorspace=9)))
        output.mux(video.encode(None))
        for _ in range(20):
            sound = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            sound.sample_rate = 48_000
            output.mux(audio.encode(sound))
        output.mux(audio.encode(None))
    ours = carry(path, tmp_path / "out.mp4")
    with av.open(str(ours.path)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (128, 192)
        assert len(container.streams.audio) == 1
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert not ours.damaged


def test_how_bright_a_picture_gets_is_read_from_its_side_data() -> None:
    mastering = struct.pack("<16i2i2i2i", *[0] * 16, 1, 10_000, 4000, 1, 1, 1)
    assert peak_nits(None, None) == 1000
    assert peak_nits(mastering, None) == 4000
    assert peak_nits(mastering, struct.pack("<2I", 1600, 400)) == 1600
    assert peak_nits(None, struct.pack("<2I", 0, 0)) == 1000


# Pictures


def graded(path: Path, primaries: object, gamma: float, **options: object) -> np.ndarray:
    """A picture with a profile; gives what it is in sRGB, by the formulas."""
    codes = np.concatenate([GREYS[2:], COLOURS])
    data = np.repeat(np.repeat(np.rint(codes * 255)[None], 8, 0), 8, 1).astype(np.uint8)
    Image.fromarray(data).save(path, icc_profile=profile(primaries, gamma), **options)  # type: ignore[arg-type]
    linear = (np.rint(codes * 255) / 255) ** (round(gamma * 256) / 256)
    return srgb_encoded((np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries) @ linear.T).T) * 255  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg"])
@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB], ids=["P3", "Adobe RGB"])
def test_pictures_are_converted_by_their_profile(
    tmp_path: Path, primaries: object, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"in{suffix}"
    options = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}
    expected = graded(path, primaries, 2.2, **options.get(suffix, {}))
    with open_source(path) as source:
        (frame,) = source
    assert np.abs(frame.data[4, 4::8] - expected).max() <= (2 if suffix != ".jpg" else 5)
    assert capfd.readouterr() == ("", "")


def test_a_profile_that_is_none_is_passed_over(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = picture(2)
    Image.fromarray(data).save(tmp_path / "in.png", icc_profile=b"no profile at all")
    with open_source(tmp_path / "in.png") as source:
        (frame,) = source
    assert np.array_equal(frame.data, data)
    assert capfd.readouterr() == ("", "")


def test_pictures_for_print_are_read(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).convert("CMYK").save(tmp_path / "in.jpg", quality=95)
    with open_source(tmp_path / "in.jpg") as source:
        (frame,) = source
    assert np.abs(frame.data.astype(int) - picture(1)).mean() < 8


# Transparency
