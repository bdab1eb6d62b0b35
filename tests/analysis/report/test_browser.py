"""The report in a real browser: it draws, hovers, zooms, sorts, and asks for nothing. `make test-system` installs Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro.store.folder import Folder
from tests.analysis.conftest import promised

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; make test-system installs it"),
]

PANELS = 20  # of nine figures; the heat map and the bars are images


LAPTOP = Path(__file__).parents[3] / "results" / "laptop"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a drawn sweep with a run whose loss isn't a number."""
    out, rows = tmp_path_factory.mktemp("report"), simulated_sweep.simulate(Truth())
    next(r for r in rows if r["studies"] == ["schedules"])["loss"] = float("nan")
    simulated_sweep.write(Folder.open(out), rows)
    promised(Folder.open(out), rows)
    assert main(["report", str(out), "--bootstrap", "100", "--worlds", "2"]) == 0
    return out / "report.html"


@pytest.fixture
def report(drawn: Path) -> Path:
    return drawn


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as library:
        opened = library.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, report: Path, request: pytest.FixtureRequest) -> Iterator:
    """The report, drawn; at its end nothing was complained about and nothing fetched."""
    width, scheme = getattr(request, "param", (1400, "light"))
    yield from opened(browser, report, width, scheme)


def opened(browser, report: Path, width: int, scheme: str = "light") -> Iterator:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request", lambda one: asked.append(one.url) if not one.url.startswith(("file:", "data:", "blob:")) else None
    )
    page.goto(report.as_uri())
    page.wait_for_function(
        "window.Bokeh && Bokeh.documents.flatMap(d => d.roots()).length > 0 && Bokeh.documents.every(d => d.is_idle)"
    )
    yield page
    assert said == []
    assert asked == []
    page.close()


@pytest.mark.parametrize(
    "page",
    [
        (1400, "light"),
        pytest.param((1400, "dark"), marks=pytest.mark.system),
        (400, "light"),
        pytest.param((400, "dark"), marks=pytest.mark.system),
    ],
    indirect=True,
    ids=lambda p: f"{p[0]}-{p[1]}",
)
def test_every_figure_is_drawn_and_fits_the_width(page, report: Path) -> None:
    assert_drawn(page, report)


@pytest.mark.system
@pytest.mark.skipif(not (LAPTOP / "runs.parquet").is_file(), reason="results/laptop isn't there: make reproduce")
@pytest.mark.parametrize("width", [1400, 400])
def test_the_laptop_sweeps_report_is_drawn_too(browser, width: int, tmp_path: Path) -> None:
    assert main(["report", str(LAPTOP), "--out", str(tmp_path)]) == 0
    planned = "planned" in json.loads(
        (LAPTOP / "sweep.json").read_text()
    )  # a sweep of before there were plans has none
    for page in opened(browser, tmp_path / "report.html", width):
        assert_drawn(page, tmp_path / "report.html", PANELS if planned else PANELS - 1)


def assert_drawn(page, report: Path, count: int = PANELS) -> None:
    assert report.stat().st_size < 5e6
    panels = page.locator(".panel")
    assert panels.count() == count
    for panel in panels.all():
        panel.scroll_into_view_if_needed()
        box = panel.locator("canvas").first.bounding_box()
        assert box["width"] > 200
        assert box["height"] > 200
    inked = page.evaluate(
        """() => Bokeh.documents.flatMap(d => d.roots()).map(plot => plot.renderers.filter(r =>
             r.data_source && Object.values(r.data_source.data)[0].length > 0).length)"""
    )
    assert all(count > 0 for count in inked)
    for picture in page.locator("figure img").all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_pointing_at_a_mark_shows_its_run(page) -> None:
    panel = page.locator("#fig3_law .panel").first
    panel.scroll_into_view_if_needed()
    at = page.evaluate(
        """() => {
          const holder = document.querySelector("#fig3_law .panel");
          const all = [...document.querySelectorAll(".panel")].indexOf(holder);
          const plot = Bokeh.documents.flatMap(d => d.roots())[all];
          const view = Bokeh.index.find_one(plot), box = view.canvas_view.el.getBoundingClientRect();
          const dots = plot.renderers.filter(r => r.glyph.type === "Scatter")[0], data = dots.data_source;
          const x = view.frame.x_scale.compute(data.get("x")[0]), y = view.frame.y_scale.compute(data.get("y")[0]);
          return [box.left + x, box.top + y, data.get("run")[0]];
        }"""
    )
    page.mouse.move(at[0] - 3, at[1])
    page.mouse.move(at[0], at[1], steps=3)
    tip = page.get_by_text(at[2]).locator("visible=true")
    tip.first.wait_for(timeout=3000)


def test_keys_zoom_and_0_goes_back(page) -> None:
    def ends() -> list[float]:
        return page.evaluate(
            "(() => {const r = Bokeh.documents.flatMap(d => d.roots())[0].x_range; return [r.start, r.end]})()"
        )

    whole = ends()
    page.locator(".panel").first.focus()
    page.keyboard.press("+")
    near = ends()
    assert near[1] - near[0] == pytest.approx(0.8 * (whole[1] - whole[0]))
    page.keyboard.press("ArrowRight")
    assert ends()[0] > near[0]
    page.keyboard.press("0")
    page.wait_for_function(
        """([start, end]) => {
          const r = Bokeh.documents.flatMap(d => d.roots())[0].x_range;
          return Math.abs(r.start - start) + Math.abs(r.end - end) < 1e-6 * (end - start);
        }""",
        arg=whole,
    )


@pytest.mark.parametrize("key", ["Enter", "click"])
def test_a_heading_sorts_the_runs_both_ways(page, key: str) -> None:
    column = page.locator("#runs th").all_text_contents().index("loss")
    heading = page.locator("#runs th button").nth(column)

    def losses() -> list[str]:
        return page.locator("#runs tbody tr").evaluate_all(
            f"rows => rows.map(row => row.cells[{column}].dataset.value)"
        )

    for again in (False, True):
        heading.click() if key == "click" else heading.press(key)
        *known, unknown = losses()
        assert unknown == ""  # not a number: last, both ways
        assert known == sorted(known, key=float, reverse=again)


@pytest.mark.system
def test_every_control_can_be_reached_with_the_keyboard(page) -> None:
    wanted = page.evaluate("document.querySelectorAll('nav a, summary, .panel, #runs, #runs th button').length")
    reached = set()
    for _ in range(1500):
        page.keyboard.press("Tab")
        mark = page.evaluate(
            """() => {const all = [...document.querySelectorAll('nav a, summary, .panel, #runs, #runs th button')];
                      return all.indexOf(document.activeElement)}"""
        )
        if mark >= 0:
            reached.add(mark)
        if len(reached) == wanted:
            break
    assert len(reached) == wanted


SHOWN = "nav a, summary, .panel, .scroll, #runs, #runs th button, .key button, .outcomes a"


@pytest.mark.parametrize("page", [(1400, "light"), (1400, "dark")], indirect=True, ids=lambda p: p[1])
def test_all_text_stands_out_from_its_ground_as_wcag_aa_asks(page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    faint = page.evaluate(
        """() => {
          const channels = colour => colour.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
            .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
          const ground = element => {
            for (let at = element; at; at = at.parentElement) {
              const found = channels(getComputedStyle(at).backgroundColor);
              if (found.length === 3 || found[3] > 0) return found;
            }
          };
          const found = [];
          for (const element of document.querySelectorAll("main *")) {
            const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
            if (!own || element.closest(".panel, svg") || !element.checkVisibility()) continue;
            const style = getComputedStyle(element), size = parseFloat(style.fontSize), bold = style.fontWeight >= 700;
            const [low, high] = [light(channels(style.color)), light(ground(element))].sort((a, b) => a - b);
            if ((high + .05) / (low + .05) < (size >= 24 || (bold && size >= 18.66) ? 3 : 4.5))
              found.push([element.tagName, element.className, element.textContent.slice(0, 40), style.color]);
          }
          return found;
        }"""
    )
    assert faint == []


@pytest.mark.parametrize("page", [(1400, "light"), (400, "dark")], indirect=True, ids=lambda p: p[1])
def test_what_has_the_focus_of_the_keyboard_is_outlined(page) -> None:
    page.keyboard.press("Tab")  # so that the focus is the keyboard's
    outlines = page.evaluate(
        """wanted => [...document.querySelectorAll(wanted)].filter(element => element.checkVisibility()).map(element => {
             element.focus();
             const style = getComputedStyle(element);
             return [element.tagName, document.activeElement === element, style.outlineStyle, parseFloat(style.outlineWidth)];
           })""",
        SHOWN,
    )
    assert len(outlines) > 40
    assert [one for one in outlines if one[1:3] != [True, "solid"] or one[3] < 2] == []


def test_an_entry_of_a_key_hides_what_it_names_in_all_panels_of_its_figure(page) -> None:
    def visible() -> list[bool]:
        return page.evaluate(
            """() => {
              const all = [...document.querySelectorAll(".panel")], plots = Bokeh.documents.flatMap(d => d.roots());
              return [...document.querySelectorAll("#fig1_pairs .panel")].flatMap(panel =>
                plots[all.indexOf(panel)].renderers.filter(r => r.name === "80% sparse").map(r => r.visible));
            }"""
        )

    entry = page.locator("#fig1_pairs .key button", has_text="80% sparse").first
    assert len(visible()) > 1
    assert all(visible())
    entry.press("Enter")
    assert not any(visible())
    assert entry.get_attribute("aria-pressed") == "false"
    entry.click()
    assert all(visible())


def test_panels_follow_the_readers_theme_and_keep_the_colours_of_the_key(page) -> None:
    def colours() -> list:
        return page.evaluate(
            """() => {
              const plot = Bokeh.documents.flatMap(d => d.roots())[0];
              return [plot.background_fill_color, plot.renderers.filter(r => r.name).map(r => [r.name, r.glyph.line_color.value])];
            }"""
        )

    ground, light = colours()
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("Bokeh.documents[0].roots()[0].background_fill_color !== '#fff'")
    dark_ground, dark = colours()
    assert (ground, dark_ground) == ("#fff", "#1f2125")
    assert [one for one in light if one[0] != "dense"] == [one for one in dark if one[0] != "dense"]
    assert [one for one in light if one[0] == "dense"] != [one for one in dark if one[0] == "dense"]
