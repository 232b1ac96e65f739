"""The public API: NumPy frames in and out, with a model of known answer."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from clips import Clip, decoded, stream_hash, write_clip
from fakes import FakeEngine, LateEngine, make_frames
from miniature import make_lcm, save

import allaprima
from models import Style
from stream import SinkError, Stylizer

SIZE = (64, 48)


@pytest.fixture
def frames() -> list[np.ndarray]:
    """Eight different frames."""
    return [frame.data for frame in make_frames(8, SIZE)]


def make(engine: FakeEngine | None = None, **options: object) -> allaprima.Restyler:
    return allaprima.Restyler("ink", model=engine or FakeEngine(), size=48, **options)


def by_hand(frames: list[np.ndarray], **options: object) -> list[np.ndarray]:
    """The same by the parts that the API is made of."""
    stylizer = Stylizer(FakeEngine(), Style(prompt="ink"), short_side_px=48, **options)
    painted = []
    for index, frame in enumerate(make_frames(len(frames), SIZE)):
        assert np.array_equal(frame.data, frames[index])
        painted += stylizer.process(frame)
    return [frame.data for frame in [*painted, *stylizer.process(None)]]


def test_importing_it_imports_no_torch() -> None:
    script = "import sys, allaprima; print(sorted({'torch', 'cv2', 'av'} & set(sys.modules)))"
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_a_call_paints_as_the_stylizer_does(frames: list[np.ndarray]) -> None:
    restyler = make()
    painted = [restyler(frame) for frame in frames]
    assert [one.shape for one in painted] == [(48, 64, 3)] * 8
    assert all(map(np.array_equal, painted, by_hand(frames)))


@pytest.mark.parametrize("options", [{}, {"look_ahead": True}, {"every": 3}, {"batch": 3}])
def test_a_stream_gives_every_frame_back_in_order(
    frames: list[np.ndarray], options: dict[str, int]
) -> None:
    painted = list(make(fps=30).stream(frames, **options))
    assert all(map(np.array_equal, painted, by_hand(frames, overlap=True, **options)))
    assert len(painted) == 8


def test_a_stream_has_frames_in_work_while_it_takes_the_next(frames: list[np.ndarray]) -> None:
    engine = LateEngine()
    assert len(list(make(engine).stream(frames))) == 8
    assert engine.log[:2] == [("begin", (48, 64, 3))] * 2


def test_a_stream_takes_frames_one_by_one(frames: list[np.ndarray]) -> None:
    taken: list[int] = []

    def counted() -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            taken.append(index)
            yield frame

    stream = make().stream(counted())
    assert taken == []
    next(stream)
    assert taken == [0]


def test_the_function_loads_and_closes_what_it_made(frames: list[np.ndarray]) -> None:
    engine = FakeEngine()
    painted = list(allaprima.restyle(frames, "ink", model=engine, size=48))
    assert all(map(np.array_equal, painted, by_hand(frames)))
    assert not engine.is_closed  # it was given


def test_the_style_changes_from_the_next_frame_on(frames: list[np.ndarray]) -> None:
    restyler = make(stability=0)
    before = restyler(frames[0])
    restyler.prompt, restyler.strength, restyler.seed = "oil painting", 0.9, 3
    restyler.steps, restyler.guidance, restyler.stability = 2, 1.5, 0.25
    style = Style("oil painting", 0.9, 2, 1.5, 3)
    expected = Stylizer(FakeEngine(), style, short_side_px=48, stability=0)
    (after,) = expected.process(make_frames(1, SIZE)[0])
    restyler.stability = 0
    assert np.array_equal(restyler(frames[0]), after.data)
    assert not np.array_equal(before, after.data)
    told = (restyler.prompt, restyler.strength, restyler.steps, restyler.guidance, restyler.seed)
    assert told == ("oil painting", 0.9, 2, 1.5, 3)


def test_the_style_changes_within_a_stream(frames: list[np.ndarray]) -> None:
    restyler = make(stability=0)
    painted = []
    for index, one in enumerate(restyler.stream([frames[0]] * 4)):
        painted.append(one)
        if index == 1:
            restyler.prompt = "oil painting"
    assert np.array_equal(painted[0], painted[1])
    assert np.array_equal(painted[2], painted[3])
    assert not np.array_equal(painted[1], painted[2])


def test_a_buffer_may_be_used_again_and_a_result_written_to(frames: list[np.ndarray]) -> None:
    """Also where the model works at the frames' own size, so that nothing is resized."""
    restyler, plain = make(), make()
    expected = [plain(frame) for frame in frames]
    buffer = np.empty_like(frames[0])
    for frame, wanted in zip(frames, expected, strict=True):
        buffer[:] = frame
        painted = restyler(buffer)
        assert np.array_equal(painted, wanted)
        painted[:] = 0


def test_a_view_of_a_bgr_frame_is_taken(frames: list[np.ndarray]) -> None:
    bgr = np.ascontiguousarray(frames[0][..., ::-1])
    assert np.array_equal(make()(bgr[..., ::-1]), make()(frames[0]))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (63, 47), (200, 3), (33, 120)])
def test_odd_sizes_come_back_at_their_size(width: int, height: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    assert make()(frame).shape == (height, width, 3)


def test_the_output_size_is_chosen(frames: list[np.ndarray]) -> None:
    assert make(output_size=(100, 50))(frames[0]).shape == (50, 100, 3)


def test_times_decide_what_is_one_scene(frames: list[np.ndarray]) -> None:
    """A pause of more than a second begins anew: nothing is kept of the frame before."""
    near = frames[0].copy()
    near[:8] //= 2
    alone = make(stability=1)(near)
    joined, parted = make(stability=1), make(stability=1)
    joined(frames[0], time_s=1.0)
    parted(frames[0], time_s=1.0)
    assert not np.array_equal(joined(near, time_s=1.04), alone)
    assert np.array_equal(parted(near, time_s=9.0), alone)


@pytest.mark.parametrize(
    ("frame", "kind", "words"),
    [
        ([[0]], TypeError, "got a frame of type list, expected a NumPy array"),
        (np.zeros((4, 4, 3)), ValueError, r"got a frame of float64 \(4, 4, 3\), expected uint8"),
        (np.zeros((4, 4), np.uint8), ValueError, r"got a frame of uint8 \(4, 4\), expected"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"uint8 \(4, 4, 4\), expected uint8 RGB"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"shape \(0, 4, 3\), expected one pixel"),
        (np.zeros((9, 9, 3), np.uint8), ValueError, "9x9 after frames of 64x48.*reset"),
    ],
)
def test_a_frame_that_cannot_be_used_is_named_and_spoils_nothing(
    frames: list[np.ndarray], frame: object, kind: type[Exception], words: str
) -> None:
    restyler, plain = make(), make()
    assert np.array_equal(restyler(frames[0]), plain(frames[0]))
    with pytest.raises(kind, match=words):
        restyler(frame)
    assert np.array_equal(restyler(frames[1]), plain(frames[1]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strength": 1.4}, r"got strength=1.4, expected \(0, 1\]"),
        ({"steps": 9}, "got steps=9, expected 1 to 8"),
        ({"guidance": 0.5}, "got guidance=0.5, expected"),
        ({"stability": 2}, "got stability=2, expected 0 to 1"),
        ({"size": 0}, "got size=0, expected"),
        ({"output_size": "big"}, "got output_size='big', expected"),
        ({"fps": 0}, "got fps=0, expected"),
        ({"prompt": "ink:-1 | oil"}, "got weight -1"),
    ],
)
def test_a_bad_value_is_refused_before_a_model_is_loaded(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        allaprima.Restyler(model="never looked for", **options)


def test_a_value_of_a_wrong_kind_is_refused() -> None:
    restyler = make()
    with pytest.raises(TypeError, match=r"got steps=1\.5, expected a whole number"):
        restyler.steps = 1.5
    with pytest.raises(ValueError, match="got steps=0"):
        restyler.steps = 0
    assert restyler.steps == 1


def test_fewer_times_than_frames_are_refused(frames: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="fewer times_s than frames"):
        list(make().stream(frames, times_s=[0.0, 0.1]))
    with pytest.raises(ValueError, match="got time_s=nan"):
        make()(frames[0], time_s=float("nan"))


def test_after_reset_another_size_is_taken(frames: list[np.ndarray]) -> None:
    restyler = make()
    restyler(frames[0])
    restyler.reset()
    assert restyler(frames[0][:40, :30]).shape == (40, 30, 3)


def test_a_closed_restyler_says_so(frames: list[np.ndarray]) -> None:
    with make() as restyler:
        stream = restyler.stream(frames)
        next(stream)
    with pytest.raises(RuntimeError, match="closed"):
        restyler(frames[0])
    with pytest.raises(RuntimeError, match="closed"):
        next(stream)


def test_notes_say_what_was_ignored(frames: list[np.ndarray]) -> None:
    restyler = make(guidance=2)
    restyler(frames[0])
    assert "guidance_scale is ignored" in restyler.notes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


@pytest.mark.usefixtures("plain_torch")
def test_a_file_keeps_its_frames_and_sound(tmp_path: Path, model: str) -> None:
    clip = write_clip(tmp_path / "in.mp4", Clip(pts=tuple(range(0, 14400, 3600)), audio="aac"))
    out, seen = tmp_path / "out.mp4", []

    def on_frame(written: int, expected: int | None) -> None:
        seen.append((written, expected))

    stats = allaprima.restyle_file(clip, out, "ink", model=model, size=64, on_frame=on_frame)
    assert stats.frames_out == len(decoded(out)) == 4
    assert stream_hash(out, "audio") == stream_hash(clip, "audio")
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(SinkError, match="overwrite=True"):
        allaprima.restyle_file(clip, out, "ink", model=model)
    with pytest.raises(ValueError, match="got steps=9, expected 1 to 8"):
        allaprima.restyle_file(clip, out, "ink", model=model, steps=9, overwrite=True)


def interrupted(frames: list[np.ndarray], at: int) -> Iterator[np.ndarray]:
    """Frames, and a Ctrl-C while the one of that number is made."""
    for index, frame in enumerate(frames):
        if index == at:
            signal.raise_signal(signal.SIGINT)
        yield frame


def test_a_with_gives_what_is_held_back_after_a_ctrl_c(frames: list[np.ndarray]) -> None:
    before, painted = signal.getsignal(signal.SIGINT), []
    stream = make().stream(interrupted(frames, 5), look_ahead=True)
    with pytest.raises(KeyboardInterrupt), stream:
        painted += stream
    assert len(painted) == 6
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_ends_at_once(frames: list[np.ndarray]) -> None:
    def twice() -> Iterator[np.ndarray]:
        for frame in interrupted(frames, 2):
            yield frame
            if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), make().stream(twice(), look_ahead=True) as stream:
        list(stream)


def test_a_stream_can_be_stopped(frames: list[np.ndarray]) -> None:
    stream = make().stream(frames, look_ahead=True)
    stream.stop()
    assert len(list(stream)) == 1


@pytest.mark.parametrize(
    "options", [{"size": 48.5}, {"size": "48"}, {"stability": "0.5"}, {"fps": "24"}]
)
def test_values_of_another_type_are_said_by_name(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"got {name}="):
        allaprima.Restyler("ink", model=FakeEngine(), **options)
