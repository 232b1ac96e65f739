"""The studio's pages in a real Chromium, with a fake engine: run by `make test-browser`."""

import base64
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browsers import Tab, chromium, write_camera
from studios import RunningStudio, running_studio, write_clip

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

SIZES = ((1360, 800), (390, 844))
SEATED = "window.studio?.canvas.connection?.seated"
AT_REST = "window.studio.canvas.isAtRest"
PAINTS = "document.querySelector('#chips').textContent.includes('fps')"
FLAT = """() => {
  const c = window.studio.canvas.drawing.flat.canvas;
  return c.convertToBlob({type: 'image/png'}).then(b => b.arrayBuffer()).then(a => {
    let s = ''; for (const v of new Uint8Array(a)) s += String.fromCharCode(v); return btoa(s) })
}"""


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    write_camera(path)
    return path


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("studio"), seats=16) as running:
        yield running


@pytest.fixture(scope="module")
def browser(camera: Path) -> Iterator[Any]:
    with chromium(camera) as opened:
        yield opened


def address(studio: RunningStudio, screen: str = "") -> str:
    return f"http://127.0.0.1:{studio.port}/{screen}"


def start_live(tab: Tab, studio: RunningStudio) -> None:
    tab.page.goto(address(studio))
    tab.page.get_by_text("Start the camera").click()
    tab.wait(PAINTS)


def open_canvas(tab: Tab, studio: RunningStudio) -> None:
    tab.page.goto(address(studio, "#canvas"))
    tab.wait(SEATED)


def flat(tab: Tab) -> Any:
    """The drawing as it is, uint8 RGB."""
    coded = np.frombuffer(base64.b64decode(tab.page.evaluate(FLAT)), np.uint8)
    return cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)


@pytest.mark.parametrize("size", SIZES)
def test_a_camera_is_painted_after_one_click(
    studio: RunningStudio, browser: Any, size: tuple[int, int]
) -> None:
    tab = Tab(browser, size)
    tab.page.goto(address(studio))
    tab.wait_for_text("Start the camera")
    assert tab.page.locator(".primary:visible:enabled").all_inner_texts() == ["Start the camera"]
    start_live(tab, studio)
    width = tab.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0]  # nothing sticks out
    assert tab.page.locator("#live-state").is_hidden()
    assert all(url.startswith((address(studio), "blob:")) for url in tab.requests)
    tab.close()


def test_keys_and_controls_change_the_look(studio: RunningStudio, browser: Any) -> None:
    tab = Tab(browser)
    start_live(tab, studio)
    place = studio.runner._studio.seats.places[-1]
    tab.page.locator("#live-strip button").nth(4).click()
    tab.wait("document.querySelector('#live-look textarea').value === 'pencil sketch'")
    tab.page.keyboard.press("n")
    tab.wait("document.querySelector('#live-look textarea').value === 'ukiyo-e'")
    tab.page.keyboard.press("f")
    tab.wait("document.querySelector('#chips').textContent.includes('Frozen')")
    assert place.seat.controls.look.freeze
    tab.page.keyboard.press("f")
    tab.wait(PAINTS)
    tab.page.keyboard.press("b")
    tab.wait_for_text("Nothing is painted until you press B again")
    tab.page.keyboard.press("Control+b")  # the browser's
    assert place.seat.controls.look.bypass
    tab.page.keyboard.press("b")
    tab.page.locator("#live-strength").fill("0.9")
    tab.page.keyboard.press("s")
    assert tab.page.locator("#seam").is_hidden()
    with tab.page.expect_download() as download:
        tab.page.keyboard.press("c")
    photo = cv2.imread(str(download.value.path()))
    assert photo.shape[0] == 64
    assert place.seat.controls.look.style.strength == 0.9
    tab.close()


def test_only_people_are_painted_where_that_is_asked_for(
    studio: RunningStudio, browser: Any
) -> None:
    tab = Tab(browser)
    start_live(tab, studio)
    seat = studio.runner._studio.seats.places[-1].seat
    tab.page.locator("#live-mask").click()
    tab.wait("document.querySelector('#live-mask').getAttribute('aria-checked') === 'true'")
    tab.page.wait_for_function("() => window.studio.live.stats?.fps > 0")
    tab.page.reload()
    tab.page.get_by_text("Start the camera").or_(tab.page.locator("#seam")).first.wait_for()
    assert tab.page.locator("#live-mask").get_attribute("aria-checked") == "true"
    assert seat.controls.look.mask
    tab.close()


@pytest.mark.skipif(sys.platform != "linux", reason="PipeWire is for Linux")
def test_an_output_runs_or_says_what_it_lacks(studio: RunningStudio, browser: Any) -> None:
    tab = Tab(browser)
    start_live(tab, studio)
    tab.page.locator("#to-pipewire").click()
    said = "document.querySelector('.toast')?.textContent.includes('PipeWire')"
    tab.wait(f"{said} || window.studio.live.stats.outputs.includes('pipewire')")
    tab.page.locator("#to-stream").click()
    tab.page.locator("#stream-address input").fill("http://127.0.0.1/")
    tab.page.keyboard.press("Enter")
    tab.wait_for_text("expected an address that begins with rtmp")
    assert tab.page.locator("#to-stream").get_attribute("aria-checked") == "false"
    tab.close()


def test_a_recording_is_offered_for_download(studio: RunningStudio, browser: Any) -> None:
    tab = Tab(browser)
    start_live(tab, studio)
    tab.page.locator("#record").click()
    tab.wait("!document.querySelector('#tag-recording').hidden")
    place = studio.runner._studio.seats.places[-1]
    written = "recording"
    tab.wait("document.querySelector('#tag-recording').textContent.includes('without sound')")
    while place.seat.stats.sinks.get(written, {"frames": 0})["frames"] < 5:
        tab.page.evaluate("0")
    tab.page.locator("#record").click()
    with tab.page.expect_download() as download:
        tab.page.locator(".toast a").click()
    assert download.value.path().stat().st_size > 500
    tab.close()


@pytest.mark.parametrize(
    ("arguments", "has_camera", "grants", "says"),
    [
        (("--deny-permission-prompts",), True, False, "The camera is blocked for this page"),
        ((), False, True, "No camera was found"),
    ],
)
def test_what_is_wrong_with_the_camera_is_said(
    studio: RunningStudio,
    camera: Path,
    arguments: tuple[str, ...],
    has_camera: bool,
    grants: bool,
    says: str,
) -> None:
    with chromium(camera if has_camera else None, *arguments, grants=grants) as opened:
        tab = Tab(opened)
        tab.page.goto(address(studio))
        tab.page.get_by_text("Start the camera").click()
        tab.wait_for_text(says)
        assert tab.page.get_by_text("Use a video").is_visible()
        tab.close()


def test_plain_http_under_another_name_says_why_there_is_no_camera(
    tmp_path: Path, camera: Path
) -> None:
    rules = "--host-resolver-rules=MAP lan.test 127.0.0.1"
    with (
        running_studio(tmp_path, host_names=("lan.test",)) as studio,
        chromium(camera, rules) as opened,
    ):
        tab = Tab(opened)
        tab.page.goto(f"http://lan.test:{studio.port}/")
        tab.page.get_by_text("Start the camera").click()
        tab.wait_for_text("This address is not secure enough for a camera")
        tab.close()


def test_a_studio_that_ends_and_comes_back_is_found_again(tmp_path: Path, browser: Any) -> None:
    tab = Tab(browser)
    with running_studio(tmp_path) as studio:
        port = studio.port
        start_live(tab, studio)
    tab.wait_for_text("The studio does not answer")
    with running_studio(tmp_path / "again", port=port):
        tab.wait("document.querySelector('#live-state').hidden")
        tab.wait(PAINTS)
    tab.close()


def test_who_waits_is_told_a_place_and_who_lacks_the_key_how_to_get_it(
    tmp_path: Path, browser: Any
) -> None:
    with running_studio(tmp_path, seats=1, require_key=True) as studio:
        key = next(iter(studio.addresses.values())).split("#key=")[1]
        first, second, stranger = Tab(browser), Tab(browser), Tab(browser)
        first.page.goto(address(studio, f"#key={key}"))
        first.page.get_by_text("Start the camera").click()
        first.wait(PAINTS)
        assert key not in first.page.url
        second.page.goto(address(studio, f"#key={key}"))
        second.page.get_by_text("Start the camera").click()
        second.wait_for_text("One person is painting. You are next.")
        stranger.page.goto(address(studio))
        stranger.page.get_by_text("Start the camera").click()
        stranger.wait_for_text("This page needs the studio’s key")
        for tab in (first, second, stranger):
            tab.close()


def test_the_last_stroke_is_painted_and_then_there_is_silence(
    studio: RunningStudio, browser: Any
) -> None:
    tab = Tab(browser)
    open_canvas(tab, studio)
    seat = studio.runner._studio.seats.places[-1].seat
    tab.page.locator('[data-colour="#a23b2c"]').click()
    for y in (0.2, 0.5, 0.8):
        tab.draw((0.1, y), (0.4, y + 0.05), (0.9, y))
    tab.wait(AT_REST)
    assert np.array_equal(seat._picture.with_grain(0), flat(tab))
    painted = tab.page.evaluate("window.studio.canvas.count")
    stats = tab.page.evaluate("window.studio.canvas.stats && 1")
    assert stats
    before = seat.stats.frames_out
    tab.page.evaluate("window.studio.canvas.stats = null")
    tab.wait("window.studio.canvas.stats")  # half a second at most, and another
    tab.page.evaluate("window.studio.canvas.stats = null")
    tab.wait("window.studio.canvas.stats")
    assert (tab.page.evaluate("window.studio.canvas.count"), seat.stats.frames_out) == (
        painted,
        before,
    )
    tab.close()


def test_undo_is_exact_and_a_reload_keeps_the_drawing(studio: RunningStudio, browser: Any) -> None:
    tab = Tab(browser)
    open_canvas(tab, studio)
    states = [flat(tab)]
    for index, tool in enumerate(("brush", "pencil", "line", "eraser", "fill")):
        tab.page.locator(f'[data-tool="{tool}"]').click()
        y = 0.1 if tool == "eraser" else 0.15 * index + 0.1
        tab.draw((0.1, y), (0.5, y + 0.1), (0.9, y))
        states.append(flat(tab))
    for before, after in pairwise(states):
        assert not np.array_equal(before, after)
    for wanted in reversed(states[:-1]):
        tab.page.keyboard.press("Control+z")
        assert np.array_equal(flat(tab), wanted)
    for wanted in states[1:]:
        tab.page.keyboard.press("Control+Shift+Z")
        assert np.array_equal(flat(tab), wanted)
    tab.page.evaluate("window.studio.canvas.keepDrawing()")
    tab.page.reload()
    tab.wait(SEATED)
    assert np.array_equal(flat(tab), states[-1])
    tab.close()


def test_a_photo_lies_under_the_drawing_and_the_painting_is_exported(
    studio: RunningStudio, browser: Any, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((300, 500, 3), (30, 90, 200), np.uint8))
    tab = Tab(browser)
    open_canvas(tab, studio)
    tab.draw((0.1, 0.1), (0.3, 0.1))
    tab.page.set_input_files("#under-file", str(tmp_path / "photo.png"))
    tab.wait("window.studio.canvas.drawing.layers.length === 2")
    assert (flat(tab)[600, 600] == (200, 90, 30)).all()
    tab.wait(AT_REST)
    with tab.page.expect_download() as download:
        tab.page.locator("#export").click()
    exported = cv2.imread(str(download.value.path()), cv2.IMREAD_COLOR_RGB)
    assert exported.shape == (640, 640, 3)
    tab.page.locator("#timelapse").click()
    tab.page.locator(".toast a").wait_for()
    tab.close()


def test_dropped_files_have_cards_and_a_broken_one_says_so(
    studio: RunningStudio, browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"rubbish")
    write_clip(tmp_path / "good.mp4", 5)
    tab = Tab(browser)
    tab.page.goto(address(studio, "#files"))
    tab.page.set_input_files(
        "#file-input", [str(tmp_path / "broken.mp4"), str(tmp_path / "good.mp4")]
    )
    tab.page.locator('[data-state="failed"]').wait_for()
    assert "check that it plays" in tab.page.locator('[data-state="failed"]').inner_text()
    card = tab.page.locator('article:has-text("good.mp4")')
    card.get_by_text("Stop").or_(card.get_by_text("Remove")).first.click()
    tab.close()


def test_the_page_for_obs_shows_the_stage_on_nothing(studio: RunningStudio, browser: Any) -> None:
    owner, watcher = Tab(browser), Tab(browser)
    start_live(owner, studio)
    watcher.page.goto(address(studio, "obs"))
    owner.page.locator("#to-stage").click()
    watcher.page.locator("canvas.there").wait_for()
    ground = "getComputedStyle(document.body).backgroundColor"
    assert watcher.page.evaluate(ground) == "rgba(0, 0, 0, 0)"
    assert watcher.page.inner_text("body").strip() == ""
    watcher.close()
    owner.close()
