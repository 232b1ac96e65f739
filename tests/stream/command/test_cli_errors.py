"""What the command says and how it ends when something cannot be used, read, written or loaded."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import Clip, decoded, write_clip
from command import allaprima, assert_refused, restyle

from stream.command.exit_codes import ExitCode

FEW = tuple(range(0, 8 * 3600, 3600))
MANY = tuple(range(0, 100 * 3600, 3600))


# Bad options


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--strength", "1.4"], ["got --strength 1.4", "expected (0, 1]"]),
        (["--strength", "0"], ["got --strength 0", "expected (0, 1]"]),
        (["--steps", "9"], ["got --steps 9", "expected 1 to 8"]),
        (["--guidance", "0.5"], ["got --guidance 0.5", "expected 1 to 30"]),
        (["--seed", "-1"], ["got --seed -1", "expected 0 or more"]),
        (["--stability", "2"], ["got --stability 2", "expected 0 to 1"]),
        (["--every", "0"], ["got --every 0", "expected 1 or more"]),
        (["--batch", "0"], ["got --batch 0", "expected 1 to 32"]),
        (["--batch", "33"], ["got --batch 33", "expected 1 to 32"]),
        (["--size", "0"], ["got --size 0", "expected"]),
        (["--output-size", "big"], ["output size 'big'", "WxH"]),
        (["--device", "tpu"], ["got --device tpu", "expected auto, cpu"]),
        (["--compile", "soon"], ["got --compile soon", "expected off, auto, now"]),
        (["--fps-target", "0"], ["got --fps-target 0", "expected more than 0"]),
        (["--crf", "99"], ["crf", "99", "expected"]),
        (["--preset", "quickest"], ["quickest", "expected"]),
        (["--codec", "h2645"], ["got --codec h2645", "expected an encoder such as"]),
        (["--codec", "aac"], ["got --codec aac", "expected an encoder of video"]),
        (["--json", "no/such/folder.json"], ["got --json", "expected"]),
    ],
)
def test_a_bad_value_is_refused_with_got_and_expected(
    clip: Path, tmp_path: Path, args: list[str], words: list[str]
) -> None:
    out = tmp_path / "out.mp4"
    result = allaprima("restyle", clip, "-o", out, "--model", "never loaded", *args)
    assert_refused(result, ExitCode.USAGE, *words)
    assert not out.exists()


def test_a_prompt_that_makes_no_sense_is_a_bad_value(
    clip: Path, tmp_path: Path, model: str
) -> None:
    result = restyle(clip, tmp_path / "out.mp4", model, "--prompt", "oil:-3 | ink:1")
    assert result.exit_code == ExitCode.USAGE


def test_a_value_that_is_no_number_is_refused(clip: Path, tmp_path: Path) -> None:
    result = allaprima("restyle", clip, "-o", tmp_path / "out.mp4", "--steps", "few")
    assert result.exit_code == ExitCode.USAGE
    assert "--steps" in result.stderr
    assert "few" in result.stderr


def test_two_inputs_of_one_name_are_refused(clip: Path, tmp_path: Path) -> None:
    result = allaprima("restyle", clip, clip, "-o", tmp_path / "out")
    assert_refused(result, ExitCode.USAGE, "clip.mp4", "would both become")


def test_the_report_never_replaces_an_input(clip: Path) -> None:
    result = allaprima("restyle", clip, "-o", "null", "--json", clip)
    assert_refused(result, ExitCode.USAGE, "got --json", "input")


# Bad inputs


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    result = allaprima("restyle", tmp_path / "nope.mp4", "-o", tmp_path / "out.mp4")
    assert_refused(result, ExitCode.INPUT, "nope.mp4", "check the name")


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "letter.mp4"
    text.write_text("Dear reader,\n" * 100)
    result = allaprima("restyle", text, "-o", tmp_path / "out.mp4")
    assert_refused(result, ExitCode.INPUT, "letter.mp4", "check that it plays")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    result = allaprima("restyle", empty, "-o", tmp_path / "out.mp4")
    assert_refused(result, ExitCode.INPUT, "empty")


def test_a_file_with_sound_alone_is_refused(clip: Path, tmp_path: Path) -> None:
    import av

    sound = tmp_path / "sound.m4a"
    with av.open(str(clip)) as whole, av.open(str(sound), "w") as output:
        stream = output.add_stream_from_template(whole.streams.audio[0])
        for packet in whole.demux(audio=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    result = allaprima("restyle", sound, "-o", tmp_path / "out.mp4")
    assert_refused(result, ExitCode.INPUT, "sound.m4a")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    result = allaprima("restyle", tmp_path / "pictures", "-o", tmp_path / "out.mp4")
    assert_refused(result, ExitCode.INPUT, "pictures")


def test_what_decodes_of_a_truncated_input_is_restyled(tmp_path: Path, model: str) -> None:
    whole = write_clip(tmp_path / "whole.mkv", Clip(pts=MANY))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out = tmp_path / "out.mp4"
    result = restyle(cut, out, model)
    assert result.exit_code == ExitCode.PARTIAL, result.output
    assert "note:" in result.stdout
    assert 10 < len(decoded(out)) < 100


def test_one_bad_input_of_several_does_not_stop_the_others(
    clip: Path, tmp_path: Path, model: str
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    out = tmp_path / "out"
    result = allaprima("restyle", bad, clip, "-o", out, "--model", model, "--size", 64)
    assert result.exit_code == ExitCode.PARTIAL
    assert "bad.mp4" in result.stderr
    assert len(decoded(out / "clip.mp4")) == 8


# Bad outputs


def test_an_output_that_cannot_be_encoded_costs_no_other(clip: Path, tmp_path: Path) -> None:
    """It is refused before the first, whichever it is."""
    movie = write_clip(tmp_path / "other.mov", Clip(pts=FEW))
    (tmp_path / "out").mkdir()
    result = allaprima(
        "restyle", movie, clip, "-o", tmp_path / "out", "--codec", "prores_ks", "--model", "none"
    )
    assert_refused(result, ExitCode.OUTPUT, "cannot hold prores_ks")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_report_of_what_was_finished_is_written_whatever_followed(
    clip: Path, tmp_path: Path, model: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other").write_text("in the way of a folder")
    (tmp_path / "other").mkdir()
    picture = np.zeros((48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "other" / "a.png"), picture)
    report = tmp_path / "report.json"
    result = allaprima(
        *("restyle", clip, tmp_path / "other", "-o", tmp_path / "out", "--model", model),
        *("--json", report, "--overwrite", "--quiet"),
    )
    assert result.exit_code == ExitCode.OUTPUT
    assert json.loads(report.read_text("utf-8"))[0]["frames_out"] == 8


def test_an_existing_output_is_kept(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    assert_refused(allaprima("restyle", clip, "-o", out), ExitCode.OUTPUT, "--overwrite")
    assert out.read_bytes() == b"precious"


def test_the_input_is_never_the_output(clip: Path) -> None:
    before = clip.read_bytes()
    result = allaprima("restyle", clip, "-o", clip, "--overwrite")
    assert_refused(result, ExitCode.OUTPUT, "input", "another name")
    assert clip.read_bytes() == before


def test_a_folder_that_does_not_exist_is_refused(clip: Path, tmp_path: Path) -> None:
    result = allaprima("restyle", clip, "-o", tmp_path / "no" / "out.mp4")
    assert_refused(result, ExitCode.OUTPUT, "does not exist", "create it")


def test_an_unknown_container_is_refused(clip: Path, tmp_path: Path) -> None:
    result = allaprima("restyle", clip, "-o", tmp_path / "out.xyz")
    assert_refused(result, ExitCode.OUTPUT, ".xyz")


@pytest.mark.parametrize(
    ("letter", "lengths"),
    [("n", (255,)), ("ä", (255,)), pytest.param("n", (240, 251), marks=pytest.mark.slow)],
)
def test_a_name_is_as_long_as_the_file_system_takes(
    clip: Path, tmp_path: Path, model: str, letter: str, lengths: tuple[int, ...]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for most in lengths:
        stem = letter * ((most - 4) // len(letter.encode()))
        result = restyle(clip, out / f"{stem}.mp4", model)
        assert result.exit_code == ExitCode.DONE, result.output
    for more in (256, 1000):
        result = restyle(clip, out / f"{letter * more}.mp4", model)
        assert_refused(result, ExitCode.OUTPUT, "the name is too long")
    assert len(list(out.iterdir())) == len(lengths)


@pytest.mark.slow
def test_a_picture_of_a_long_name_too(tmp_path: Path, model: str) -> None:
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    assert restyle(picture, tmp_path / f"{'n' * 251}.png", model).exit_code == ExitCode.DONE
    result = restyle(picture, tmp_path / f"{'n' * 252}.png", model)
    assert_refused(result, ExitCode.OUTPUT, "the name is too long")


def test_a_link_that_leads_nowhere_is_in_the_way_at_once(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.symlink_to(tmp_path / "nowhere")
    result = allaprima("restyle", clip, "-o", out, "--model", "never loaded")
    assert_refused(result, ExitCode.OUTPUT, "out.mp4", "link to nothing")
    assert out.is_symlink()


def test_an_output_in_the_way_stops_no_other(clip: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "other").write_text("in the way of a folder")
    (tmp_path / "other").mkdir()
    cv2.imwrite(str(tmp_path / "other" / "a.png"), np.zeros((48, 64, 3), np.uint8))
    report = tmp_path / "report.json"
    result = allaprima(
        *("restyle", tmp_path / "other", clip, "-o", out, "--model", model, "--size", 64),
        *("--json", report, "--overwrite"),
    )
    assert result.exit_code == ExitCode.OUTPUT
    assert len(decoded(out / "clip.mp4")) == 8
    done, failed = json.loads(report.read_text("utf-8"))
    assert done["frames_out"] == 8
    assert failed["input"].endswith("other") and "other" in failed["error"]


def test_names_are_said_as_they_are(tmp_path: Path) -> None:
    for name in (":cat:.mp4", "[red].mp4"):
        result = allaprima("restyle", tmp_path / name, "-o", tmp_path / "out.mp4")
        assert_refused(result, ExitCode.INPUT, name)


@pytest.mark.parametrize(("name", "code"), [("a.mp4", ExitCode.USAGE), ("a", ExitCode.OUTPUT)])
def test_several_inputs_need_a_folder(
    clip: Path, tmp_path: Path, name: str, code: ExitCode
) -> None:
    other = write_clip(tmp_path / "other.mp4", Clip(pts=FEW))
    out = tmp_path / name
    out.touch()
    assert_refused(allaprima("restyle", clip, other, "-o", out), code, "folder")


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """Files of this process cannot grow further, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing_under_the_final_name(tmp_path: Path, model: str) -> None:
    source = write_clip(tmp_path / "clip.mp4", Clip(pts=MANY))
    out = tmp_path / "out" / "painted.mkv"
    out.parent.mkdir()
    with file_size_limit(20_000):
        result = restyle(source, out, model, "--codec", "ffv1")
    assert_refused(result, ExitCode.OUTPUT, "painted.mkv cannot be written")
    assert list(out.parent.iterdir()) == []


# Bad models


def test_an_unknown_model_names_the_nearest(clip: Path, tmp_path: Path) -> None:
    result = allaprima("restyle", clip, "-o", tmp_path / "out.mp4", "--model", "bundeld")
    assert_refused(result, ExitCode.MODEL, "bundeld", "nearest: bundled")


def test_a_folder_without_a_model_is_refused(clip: Path, tmp_path: Path) -> None:
    result = allaprima("restyle", clip, "-o", tmp_path / "out.mp4", "--model", tmp_path)
    assert_refused(result, ExitCode.MODEL, str(tmp_path))
    assert not (tmp_path / "out.mp4").exists()
