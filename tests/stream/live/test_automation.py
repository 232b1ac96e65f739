"""Recorded performances: what live showed on a frame, offline shows on the same one."""

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import Clip, decoded, write_clip
from command import allaprima, assert_refused, restyle
from fakes import LIMIT_S, FakeEngine, make_frames
from films import Job, run, write_film
from live_fakes import InStep
from miniature import make_lcm, save
from stepped_live import RATE, Recording, SlowPainter, SteppedFile, put_in_step

from models import Style
from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.frame import Frame
from stream.live.automation import (
    RECORDED,
    AutomationWriter,
    read_automation,
    recorded_words,
)
from stream.live.controls import Controls, Look
from stream.live.performed_stylizer import PerformedStylizer, RecordedPerformance
from stream.live.schedule import Change, Performance
from stream.live.session import TIME_BASE, LiveSession
from stream.live.tape import SourceRecording, Tape
from stream.offline.parts import CutRule
from stream.sources import open_source
from stream.stats import Stats
from stream.video_info import VideoInfo

SOURCE = "testsrc=size=96x64:rate=24:duration=1"
HEADER = '{"allaprima": "automation", "version": 1}'
BEATS = '{"allaprima": "automation", "version": 1, "tempo": 120}'
FRAMES = 40
PAGE = Path(__file__).resolve().parents[3] / "docs" / "instrument.md"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


class PlayedPainter(SlowPainter):
    """Plays: before some frames something is changed. Keeps what each was painted with."""

    def __init__(self, clock: ManualClock, plays: dict[int, Callable[[], object]]) -> None:
        super().__init__(clock)
        self.plays = plays
        self.looks: list[Look] = []

    def paint(self, frame: Frame, look: Look) -> Frame:
        self.looks.append(look)
        painted = super().paint(frame, look)
        self.plays.get(len(self.looks), lambda: None)()
        return painted


def perform(folder: Path) -> list[Look]:
    """A live session of `FRAMES` frames that is played and recorded; the look of each frame.

    Each is read when both recordings have the one before.
    """
    clip = write_clip(folder / "clip.mkv", Clip(pts=tuple(range(0, FRAMES * 512, 512))))
    clock, stats = ManualClock(1000.0), Stats()
    controls = Controls(Look(Style("oil"), transition_s=0.0))
    source = SteppedFile(clip, clock)
    painter = PlayedPainter(
        clock,
        {
            5: lambda: controls.change({"prompt": "fog", "split": True}),
            9: lambda: controls.glide("strength", 0.9),
            10: lambda: controls.glide("strength", 0.2),
            20: lambda: controls.nudge("stability", -0.05),
            30: lambda: controls.change({"split": False, "transition": 0.25, "seed": 7}),
        },
    )
    info = VideoInfo(source.info.size, TIME_BASE, Fraction(RATE))
    sink = Recording(folder / "take.mkv", info=info)
    source_sink = Recording(folder / "take-source.mkv", info=info)
    recording = SourceRecording("source", source_sink, clock=clock, stats=stats)
    session = LiveSession(
        source,
        lambda: painter,
        [("take", sink)],
        controls=controls,
        clock=clock,
        stats=stats,
        services=[recording],
        tape=Tape(recording, AutomationWriter(folder / "take.jsonl", stats)),
        join_limit_s=LIMIT_S,
    )
    in_step = InStep(source.step, 2)
    sink.on_write = source_sink.on_write = lambda count: in_step.given()
    session.run()
    assert not recording.failed and not stats.notes
    return painter.looks


def test_offline_gives_changes_on_the_frames_that_live_gave_them_on(tmp_path: Path) -> None:
    looks = perform(tmp_path)
    assert len(looks) == FRAMES
    assert len({look.style for look in looks}) == 6
    changes = read_automation(tmp_path / "take.jsonl").in_seconds()
    performance = Performance(changes, Look(Style("something else")))
    with open_source(tmp_path / "take-source.mkv") as source:
        rendered = [performance.look_at(frame.time_s) for frame in source]
    assert [recorded_words(look) for look in rendered] == [recorded_words(one) for one in looks]
    moved = [n for n in range(1, FRAMES) if looks[n].style != looks[n - 1].style]
    assert [rendered[n].gliding for n in moved] == [looks[n].gliding for n in moved]
    assert sum(looks[n].gliding for n in moved) == 3


def test_the_recorded_source_is_nearly_what_was_captured(tmp_path: Path) -> None:
    perform(tmp_path)
    with (
        open_source(tmp_path / "clip.mkv") as captured,
        open_source(tmp_path / "take-source.mkv") as recorded,
    ):
        pairs = list(zip(captured, recorded, strict=False))
    assert len(pairs) == FRAMES
    errors = [np.abs(one.data.astype(int) - other.data).mean() for one, other in pairs]
    assert max(errors) < 4


def test_the_command_records_and_renders_the_same_bytes_twice(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, takes = tmp_path / "take-source.mkv", tmp_path / "take.jsonl"
    with monkeypatch.context() as patch:
        put_in_step(patch)
        args = ["--to", "null", "--governor", "off", "--automation", takes]
        live = ["live", "--model", model, "--size", 64, "--from", SOURCE, "--prompt", "oil"]
        result = allaprima(*live, *args, "--record-source", source)
    assert result.exit_code == ExitCode.DONE, result.output
    header, first, *rest = takes.read_text("utf-8").splitlines()
    assert (header, rest) == (HEADER, [])
    assert json.loads(first)["prompt"] == "oil"
    changes = [{"time": 0.5, "prompt": "ink"}, {"time": 0.75, "bypass": True}]
    with takes.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(change) + "\n" for change in changes)
    made = []
    for name in ("one.mp4", "two.mp4"):
        options = ["--automation", takes, "--steps", 2, "--output-size", "model"]
        result = restyle(source, tmp_path / name, model, *options)
        assert result.exit_code == ExitCode.DONE, result.output
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    with av.open(str(tmp_path / "one.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 24


def test_a_performance_is_rendered_with_all_that_live_shows() -> None:
    look = {**recorded_words(Look(Style("oil"), transition_s=0.0)), "stability": 0.0}
    changes = [
        Change(0.0, look),
        Change(4 / 24, {"bypass": True}),
        Change(6 / 24, {"bypass": False, "freeze": True}),
        Change(8 / 24, {"freeze": False, "prompt": "fog"}),
    ]
    frames = make_frames(12)
    frames = [
        frame.replace(frame.data, time_base=Fraction(1, 24), pts=i)
        for i, frame in enumerate(frames)
    ]
    stylizer = PerformedStylizer(FakeEngine(), changes=changes, look_ahead=True, stability=0.5)
    shown = [one for frame in [*frames, None] for one in stylizer.process(frame)]
    assert [one.pts for one in shown] == list(range(12))
    same = [np.array_equal(one.data, frame.data) for one, frame in zip(shown, frames, strict=True)]
    assert same[4:6] == [True, True] and not any(same[:4] + same[8:])
    assert all(np.array_equal(shown[n].data, shown[5].data) for n in (6, 7))


def test_a_change_is_cross_faded_by_the_frames_times() -> None:
    look = {**recorded_words(Look(Style("oil"), transition_s=0.5)), "stability": 0.0}
    changes = [Change(0.0, look), Change(0.25, {"prompt": "fog"})]
    frame = make_frames(1)[0]
    frames = [frame.replace(frame.data, time_base=Fraction(1, 24), pts=n) for n in range(24)]
    stylizer = PerformedStylizer(FakeEngine(), changes=changes)
    levels = [float(one.data.mean()) for f in frames for one in stylizer.process(f)]
    old, new = levels[0], levels[-1]
    assert abs(new - old) > 1
    shares = [(level - old) / (new - old) for level in levels]
    assert shares[:7] == pytest.approx([0.0] * 7, abs=0.02)
    assert shares[12] == pytest.approx(0.5, abs=0.1)
    assert shares[18:] == pytest.approx([1.0] * 6, abs=0.02)


def test_what_is_given_on_the_command_line_holds_throughout() -> None:
    changes = [Change(0.0, {"steps": 3, "prompt": "ink"}), Change(1.0, {"steps": 1})]
    look = Look(Style("oil", num_inference_steps=4))
    performance = Performance(changes, look, fixed={"steps"})
    assert performance.look_at(2.0).style == Style("ink", num_inference_steps=4)


# The format


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["nonsense"], "line 1 of .*: expected a JSON object"),
        (['{"time": 1}'], 'line 1 of .*: expected {"allaprima": "automation", "version": 1}'),
        (['{"allaprima": "automation", "version": 9}'], "line 1 of .*: got version 9, expected 1"),
        ([HEADER, "", '{"time": 1'], "line 3 of .*: expected a JSON object"),
        ([HEADER, '{"strength": 0.5}'], "line 2 of .*: got time=None, expected seconds"),
        ([HEADER, '{"time": -1}'], "line 2 of .*: got time=-1"),
        ([HEADER, '{"time": NaN}'], "line 2 of .*: got time=nan"),
        ([HEADER, '{"time": 2}', '{"time": 1}'], "line 3 of .*: got time=1, expected 2 or more"),
        ([HEADER, '{"time": 1, "strength": 7}'], "line 2 of .*: got strength=7, expected"),
        ([HEADER, '{"time": 1, "hud": true}'], "line 2 of .*: got 'hud', expected some of prompt"),
        ([HEADER, '{"time": 1, "glide": 3}'], "line 2 of .*: got glide=3"),
        ([HEADER, '{"time": 1, "over": -1}'], "line 2 of .*: got over=-1, expected seconds"),
        ([HEADER, '{"time": 1, "ease": "slow"}'], "line 2 of .*: got ease='slow', expected one of"),
        ([HEADER, '{"time": 1, "over": 2, "seed": 3}'], "line 2 of .*: got 'seed' with over"),
        ([HEADER, '{"beat": 1}'], "line 2 of .*: got time=None"),
        ([BEATS, '{"time": 1}'], "line 2 of .*: got beat=None, expected beats"),
        ([HEADER[:-1] + ', "tempo": 5}'], "line 1 of .*: got tempo=5, expected 20 to 400"),
        ([], "which is empty"),
    ],
)
def test_bad_lines_are_named_with_their_number(
    tmp_path: Path, lines: list[str], words: str
) -> None:
    path = tmp_path / "take.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_automation(path)


def test_a_bad_line_is_refused_by_the_command(tmp_path: Path) -> None:
    path = tmp_path / "take.jsonl"
    path.write_text(f"{HEADER}\nnonsense\n", encoding="utf-8")
    args = ("restyle", SOURCE, "-o", tmp_path / "out.mp4", "--automation", path)
    assert_refused(allaprima(*args), ExitCode.USAGE, "line 2 of")


def test_a_take_that_is_there_is_not_written_over(tmp_path: Path, model: str) -> None:
    path = tmp_path / "take.jsonl"
    path.write_text("precious", encoding="utf-8")
    args = ("live", "--from", SOURCE, "--to", "null", "--model", model, "--automation", path)
    assert_refused(allaprima(*args), ExitCode.OUTPUT, "--overwrite")
    assert path.read_text("utf-8") == "precious"


def test_a_recorded_source_must_be_a_video(tmp_path: Path, model: str) -> None:
    args = ("live", "--from", SOURCE, "--to", "null", "--model", model, "--record-source")
    assert_refused(allaprima(*args, tmp_path / "x.png"), ExitCode.USAGE, "--record-source")


def test_the_example_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```jsonl\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    path = tmp_path / "take.jsonl"
    path.write_text(block, encoding="utf-8")
    automation = read_automation(path)
    assert set(automation.changes[0].words) == set(RECORDED)
    assert automation.begins_whole and any(one.over for one in automation.changes)


# In parts

PLAYED = (
    Change(0.0, {**recorded_words(Look(Style("oil"), transition_s=0.2)), "stability": 0.5}),
    Change(1.16, {"prompt": "fog"}),  # fades over the cut at 1.2 s
    Change(2.3, {"prompt": "night", "strength": 0.9}, over=1.0),  # travels over that at 2.4 s
    Change(3.5, {"freeze": True}),  # stands over the cut at 3.6 s
    Change(3.7, {"freeze": False, "strength": 0.9}),
)


def test_a_performance_in_parts_is_that_of_the_whole_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = write_film(tmp_path / "film.mp4")
    changes = {"codec": "ffv1", "performance": RecordedPerformance(PLAYED)}
    job = Job(film, tmp_path / "parts.mkv", changes)
    job.again(stop_after=100).run()
    result = job.again().run()
    assert (result.kept_parts, result.kept_frames) == (1, 60)  # not at 1.2 and 1.8 s, in the fade
    monkeypatch.setattr("films.LEAST_S", 1000)
    run(film, tmp_path / "one.mkv", **changes)
    for ours, theirs in zip(
        decoded(tmp_path / "parts.mkv"), decoded(tmp_path / "one.mkv"), strict=True
    ):
        assert (ours == theirs).all()


def test_another_performance_is_another_job(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 2)
    jobs = {
        Job(film, tmp_path / "out.mp4", {"performance": played}).film().job
        for played in (
            None,
            RecordedPerformance(PLAYED),
            RecordedPerformance(PLAYED[:2]),
            RecordedPerformance(PLAYED, fixed=("prompt",)),
        )
    }
    assert len(jobs) == 4


def test_no_part_begins_where_a_picture_depends_on_those_before_it() -> None:
    closed = RecordedPerformance(PLAYED).closed()
    rule = CutRule((96, 64), (12, 8), closed=closed)
    times = (0.5, 1.1, 1.2, 2.3, 2.4, 3.45, 3.6, 4.8, 5.0)
    assert [rule.allows(Fraction(time)) for time in times] == [
        True, True, False, False, True, True, False, False, True,
    ]  # fmt: skip


def test_a_mask_is_turned_on_and_off_by_the_performance(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    half = np.zeros((64, 96), np.uint8)
    half[:, :48] = 255
    cv2.imwrite(str(path), half)
    changes = [
        Change(0.0, {"stability": 0.0, "mask": False}),
        Change(2 / 24, {"mask": True}),
        Change(4 / 24, {"mask": False}),
    ]
    frame = make_frames(1, (96, 64))[0]
    frames = [frame.replace(frame.data, time_base=Fraction(1, 24), pts=n) for n in range(6)]
    stylizer = PerformedStylizer(FakeEngine(), changes=changes, mask=str(path))
    shown = [one for each in frames for one in stylizer.process(each)]
    kept = [np.array_equal(one.data[:, 64:], frame.data[:, 64:]) for one in shown]
    assert kept == [False, False, True, True, False, False]
    assert not any(np.array_equal(one.data[:, :32], frame.data[:, :32]) for one in shown)
