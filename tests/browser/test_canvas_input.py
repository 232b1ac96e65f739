"""Strokes on the canvas by mouse, pen and fingers, in a real Chromium with a fake engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import Tab, chromium
from studios import RunningStudio, running_studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

PHONE = (390, 844)
SEATED = "window.studio?.canvas.connection?.seated"
STROKES = "window.studio.canvas.drawing.done.length"
SCALE = "window.studio.canvas.view.scale"

Place = tuple[float, float]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("studio"), seats=16) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(None) as opened:
        yield opened


@pytest.fixture
def tab(studio: RunningStudio, browser: Any) -> Iterator[Tab]:
    opened = open_canvas(studio, browser, (1360, 800))
    yield opened
    opened.close()


@pytest.fixture
def phone(studio: RunningStudio, browser: Any) -> Iterator[Tab]:
    opened = open_canvas(studio, browser, PHONE, has_touch=True, is_mobile=True)
    yield opened
    opened.close()


def open_canvas(studio: RunningStudio, browser: Any, size: tuple[int, int], **context: Any) -> Tab:
    tab = Tab(browser, size, **context)
    tab.page.goto(f"http://127.0.0.1:{studio.port}/#canvas")
    tab.wait(SEATED)
    return tab


def places(tab: Tab, box: str, shares: list[Place]) -> list[dict[str, float]]:
    """Places in the window of shares of a picture."""
    at = tab.page.locator(box).bounding_box()
    return [{"x": at["x"] + x * at["width"], "y": at["y"] + y * at["height"]} for x, y in shares]


def touch(tab: Tab, *fingers: list[Place]) -> None:
    """Fingers that come down one after the other, move together and leave together."""
    cdp = tab.context.new_cdp_session(tab.page)
    ways = [places(tab, "#painted-box", finger) for finger in fingers]

    def send(kind: str, count: int, step: int) -> None:
        points = [{**way[step], "id": index} for index, way in enumerate(ways[:count])]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for count in range(1, len(ways) + 1):
        send("touchStart", count, 0)
    for step in range(1, len(ways[0])):
        send("touchMove", len(ways), step)
    send("touchEnd", 0, 0)
    cdp.detach()


def dark_width(tab: Tab, x: float) -> int:
    """How many pixels of a column of the drawing are not paper."""
    column = f"window.studio.canvas.drawing.flat.getImageData({round(x * 640)}, 0, 1, 640).data"
    return int(tab.page.evaluate(f"[...{column}].filter((v, i) => i % 4 === 2 && v < 200).length"))


def test_a_finger_paints_without_scrolling_or_leaving_the_page(phone: Tab) -> None:
    touch(phone, [(0.5, 0.9), (0.5, 0.6), (0.5, 0.1)])
    touch(phone, [(-0.02, 0.5), (0.3, 0.5), (0.9, 0.5)])  # from beside the picture
    phone.wait(f"{STROKES} === 2")
    assert phone.page.evaluate("scrollY") == 0
    assert phone.page.url.endswith("#canvas")


def test_the_tools_are_in_view_when_the_canvas_is_chosen(phone: Tab) -> None:
    for screen in ("Live", "Canvas"):
        phone.page.get_by_role("link", name=screen, exact=True).click()
    phone.wait(SEATED)
    picture, tools = (
        phone.page.locator(name).bounding_box() for name in ("#painted-box", "#tools")
    )
    assert picture["y"] + picture["height"] <= tools["y"]


def test_two_fingers_zoom_and_a_tap_of_two_takes_a_stroke_back(phone: Tab) -> None:
    touch(phone, [(0.1, 0.3), (0.9, 0.3)])
    phone.wait(f"{STROKES} === 1")
    apart = [[(0.5 - 0.04 * i, 0.5) for i in range(6)], [(0.55 + 0.04 * i, 0.5) for i in range(6)]]
    touch(phone, *apart)
    phone.wait(f"{SCALE} > 2")
    assert phone.page.evaluate(STROKES) == 1  # the first finger's beginning is taken back
    assert phone.page.evaluate("visualViewport.scale") == 1
    phone.page.locator("#painted-box .whole").click()
    assert phone.page.evaluate(SCALE) == 1
    touch(phone, [(0.4, 0.5)], [(0.6, 0.5)])
    phone.wait(f"{STROKES} === 0")


def test_a_pen_that_presses_harder_draws_wider(tab: Tab) -> None:
    cdp = tab.context.new_cdp_session(tab.page)
    steps = [(0.1 + 0.02 * index, 0.5) for index in range(40)]
    pen = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
    way = places(tab, "#drawing-box", steps)
    cdp.send("Input.dispatchMouseEvent", {"type": "mousePressed", **way[0], **pen, "force": 0.1})
    for index, place in enumerate(way):
        moved = {"type": "mouseMoved", **place, **pen, "force": 0.1 + 0.02 * index}
        cdp.send("Input.dispatchMouseEvent", moved)
    cdp.send("Input.dispatchMouseEvent", {"type": "mouseReleased", **way[-1], **pen})
    tab.wait(f"{STROKES} === 1")
    assert dark_width(tab, 0.7) > 1.5 * dark_width(tab, 0.2) > 0


def test_both_pictures_can_be_drawn_on_and_a_stroke_may_begin_beside_them(tab: Tab) -> None:
    for box, shares in (
        ("#painted-box", [(0.1, 0.2), (0.5, 0.2), (0.9, 0.2)]),
        ("#drawing-box", [(-0.02, 0.7), (0.5, 0.7), (1.01, 0.7)]),
    ):
        way = places(tab, box, shares)
        tab.page.mouse.move(**way[0])
        tab.page.mouse.down()
        for place in way[1:]:
            tab.page.mouse.move(**place)
        tab.page.mouse.up()
    tab.wait(f"{STROKES} === 2")
    assert dark_width(tab, 0.5) > 40


def test_who_waits_for_a_seat_draws_on_the_painting_meanwhile(tmp_path: Path, browser: Any) -> None:
    with running_studio(tmp_path, seats=1) as studio:
        first = open_canvas(studio, browser, PHONE)
        second = Tab(browser, PHONE, has_touch=True, is_mobile=True)
        second.page.goto(f"http://127.0.0.1:{studio.port}/#canvas")
        second.wait("document.querySelector('#canvas-state').textContent.includes('are next')")
        assert second.page.locator("#chips").inner_text() == "Place 1 in line"
        touch(second, [(0.2, 0.8), (0.8, 0.8)])
        second.wait(f"{STROKES} === 1")
        first.close()
        second.wait("window.studio.canvas.isAtRest")
        second.close()


def test_a_hundred_strokes_can_be_undone(tab: Tab) -> None:
    for index in range(100):
        tab.page.evaluate(
            "(i) => { const d = window.studio.canvas.drawing;"
            "const brush = {size: 90, colour: '#204080', bristles: false};"
            "d.begin({x: 0, y: 6 * i, pressure: 0.5}, brush, 1, false);"
            "d.end({x: 640, y: 640 - 6 * i, pressure: 0.5}) }",
            index,
        )
    assert tab.page.evaluate(STROKES) == 100
    for _ in range(100):
        tab.page.keyboard.press("Control+z")
    assert tab.page.evaluate(STROKES) == 0
    assert dark_width(tab, 0.5) == 0
