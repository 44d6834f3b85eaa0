"""The model in its page: the C as wasm and ONNX Runtime beside it, from files and over http, against the published vectors."""

import re
import struct
import zlib

import numpy as np
import pytest

from microzoo.catalog.golden import read_golden
from microzoo.catalog.store import entries, read_entry

from ..conftest import NODE_PACKAGES  # noqa: TID252  # tests are no package that could be named from its root
from .trying import column, run, said, scores_of, shown_class

pytestmark = pytest.mark.browser

REAL = "digits/cortex-m4-64k/real"  # float32 raw values
MASS = "mnist/cortex-m4-64k/whole"  # centred by mass, as MNIST is
COLOUR = "mnist/cortex-m4-64k/colour"
BARE = "mnist/tiny-2k/bare"


def of(zoo, dataset):
    return next(entry for entry in entries(zoo) if entry.card.dataset.name == dataset and entry.card.id != REAL)


@pytest.mark.parametrize("way", ["file", "http"])
def test_every_published_vector_gives_its_scores_to_the_bit(opened, tried_host, zoo, way):
    entry = of(zoo, "fashion-mnist" if way == "file" else "digits")
    golden, classes = read_golden(entry.folder / "golden.npz"), entry.card.dataset.classes
    page = opened(entry.card.id, host=tried_host if way == "http" else None)
    page.wait_for_load_state("networkidle")
    assert not page.locator(".mz-try-stage").is_visible()
    assert not [path for path, _, _ in tried_host.sent if "/tryout/" in path or "onnxruntime" in path]
    run(page)
    assert f"{len(golden)} of {len(golden)} give the published scores, bit for bit" in page.locator(".mz-try-golden").inner_text()
    samples = page.locator(".mz-try-sample")
    assert samples.all_inner_texts() == [classes[label] for label in golden.label]
    for index in range(len(golden)):
        samples.nth(index).click()
        assert samples.nth(index).get_attribute("aria-pressed") == "true"
        assert column(page, 4) == golden.output[index].tolist()
        winner, true = classes[int(golden.output[index].argmax())], classes[golden.label[index]]
        assert shown_class(page) == winner
        said(page, f"The model says {winner}, ")
        said(page, "Right." if winner == true else f"Wrong: it is {true}.")
    assert page.locator(".mz-try-sample[aria-pressed=true]").count() == 1
    assert not [path for path, _, _ in tried_host.sent if "onnx" in path]


def needs_onnx_runtime():
    if not (NODE_PACKAGES / "onnxruntime-web").is_dir():
        pytest.skip("npm's onnxruntime-web is not installed (sh tools/web.sh)")


def compared(page):
    """Asks for the comparison and runs every sample; gives the number of samples, how many agree, and the largest difference."""
    page.get_by_role("button", name="Compare with ONNX Runtime").focus()
    page.keyboard.press("Enter")
    page.locator(".mz-try-agreement", has_text="the same class").wait_for()
    page.locator(".mz-try-again:focus").wait_for()  # where the focus goes when the button is gone
    agree, most, other = 0, 0, ".mz-try-scores tbody td:nth-child(5)"
    samples = page.locator(".mz-try-sample")
    for index in range(samples.count()):
        page.evaluate(f"document.querySelectorAll('{other}').forEach((cell) => (cell.textContent = ''))")
        samples.nth(index).click()
        page.wait_for_function(f"document.querySelector('{other}').textContent")
        c, onnx = column(page, 4), column(page, 5)
        assert column(page, 6) == [b - a for a, b in zip(c, onnx, strict=True)]
        agree += int(np.argmax(c) == np.argmax(onnx))
        most = max(most, *(abs(a - b) for a, b in zip(c, onnx, strict=True)))
    return samples.count(), agree, most


@pytest.mark.parametrize("dataset", ["fashion-mnist", "fsdd"])
def test_onnx_runtime_runs_beside_it_and_their_agreement_is_counted(start, zoo, dataset):
    needs_onnx_runtime()
    page = start(of(zoo, dataset).card.id)
    n, agree, most = compared(page)
    words = page.locator(".mz-try-agreement").inner_text()
    assert words.startswith(f"{agree} of {n} inputs of the validation split: the same class;")
    assert words.endswith(f"largest difference of a score: {most} int8 step{'s' if most != 1 else ''}")
    assert most <= 3 and agree >= n - 1
    page.locator(".mz-try-onnx-time", has_text=re.compile(r"^[\d.]+ (µs|ms), median of .*, one thread$")).wait_for()


def test_the_time_is_measured_over_enough_runs(start, zoo):
    page = start(of(zoo, "digits").card.id)
    page.locator(".mz-try-time", has_text="median").wait_for()
    for _ in range(2):
        words = page.locator(".mz-try-time").inner_text()
        value, unit, runs = re.fullmatch(r"([\d.]+) (µs|ms), median of 7 batches, (\d+) runs in all", words).groups()
        # More than half of the batches are no slower than the median, and each of them lasts 25 ms.
        assert float(value) * (1 if unit == "ms" else 1e-3) * int(runs) > 4 * 25 * 0.99
        page.get_by_role("button", name="Measure the time again").click()
        page.locator(".mz-try-time", has_text="median").wait_for()


def draw(page, points):
    """Strokes a closed line through points in shares of the pad."""
    page.locator(".mz-try-pad").evaluate("pad => pad.scrollIntoView({block: 'center'})")
    area = page.locator(".mz-try-pad").bounding_box()
    places = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in [*points, points[0]]]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def seen(page):
    """The pixels that the model gets, 0 to 255, (H, W) of the red channel."""
    return seen_colours(page)[:, :, 0]


def seen_colours(page):
    """The same in (H, W, 3)."""
    height, width, values = page.evaluate(
        "(() => { const c = document.querySelector('.mz-try-seen');"
        "return [c.height, c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]; })()"
    )
    return np.array(values, np.uint8).reshape(height, width, 4)[:, :, :3]


TROUSER = [(0.3, 0.1), (0.6, 0.1), (0.66, 0.8), (0.52, 0.8), (0.45, 0.3), (0.38, 0.8), (0.24, 0.8)]


def test_an_outline_is_filled_centred_and_classified_as_the_c_does(start, zoo):
    entry = of(zoo, "fashion-mnist")
    page = start(entry.card.id)
    draw(page, TROUSER)  # in place of the sample that is there
    said(page, "The model says trouser")
    assert page.locator(".mz-try-sample[aria-pressed=true]").count() == 0
    raw = seen(page)
    rows, columns = np.flatnonzero(raw.any(1)), np.flatnonzero(raw.any(0))
    assert (rows[0], rows[-1]) == (0, 27) and abs(columns[0] + columns[-1] - 27) <= 1
    assert abs(int(raw[3, 14]) - 0.7 * 255) <= 1 and raw[24, 14] == 0  # filled, and empty between the legs
    assert column(page, 4) == scores_of(entry, raw[:, :, None])
    page.get_by_label("Fill the outline").uncheck()
    page.wait_for_function("document.querySelector('.mz-try-seen').getContext('2d').getImageData(13, 3, 1, 1).data[0] === 0")


def test_a_drawing_ends_up_alike_wherever_and_however_large_it_is_drawn(start, zoo):
    page = start(of(zoo, "fashion-mnist").card.id)
    page.locator(".mz-try-clear").click()
    draw(page, TROUSER)
    said(page, "The model says trouser")
    large = seen(page).astype(int)
    page.locator(".mz-try-clear").click()
    said(page, "No input yet")
    draw(page, [(0.35 + 0.6 * x, 0.4 + 0.6 * y) for x, y in TROUSER])
    said(page, "The model says trouser")
    assert np.abs(seen(page) - large).mean() < 8


def test_a_drawing_can_be_centred_by_its_mass(start):
    page = start(MASS)
    page.locator(".mz-try-clear").click()
    draw(page, [(0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.5, 0.15), (0.5, 0.9)])  # most of it above
    said(page, "The model says ")
    raw = seen(page).astype(float)
    rows, columns = np.mgrid[:6, :6] + 0.5
    assert abs((raw * rows).sum() / raw.sum() - 3) < 0.3 and abs((raw * columns).sum() / raw.sum() - 3) < 0.3
    assert raw[4:].sum() > 0 and raw[0].sum() < raw[1].sum()


def test_an_open_outline_is_said_to_be_open_and_the_eraser_takes_away(start, zoo):
    page = start(of(zoo, "fashion-mnist").card.id)
    page.locator(".mz-try-clear").click()
    draw(page, [(0.2, 0.2), (0.8, 0.8)])
    page.get_by_text("The outline is open").wait_for()
    page.get_by_label("Eraser").check()
    draw(page, [(0.2, 0.2), (0.8, 0.8)])
    said(page, "No input yet")


def test_keys_alone_are_enough(opened, zoo):
    entry = of(zoo, "digits")
    page = opened(entry.card.id)
    page.get_by_role("button", name="Run the model here").focus()
    page.keyboard.press("Enter")
    page.locator(".mz-try-best").wait_for()
    focused = "document.activeElement.classList[0]"
    assert page.evaluate(focused) == "mz-try-sample"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    golden = read_golden(entry.folder / "golden.npz")
    assert column(page, 4) == golden.output[1].tolist()
    page.locator(".mz-try-pad").focus()
    page.keyboard.press("Delete")
    said(page, "No input yet")
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    assert page.locator(".mz-try-verdict").inner_text().startswith("No input yet")  # the pen is still up
    page.keyboard.press("Space")
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    said(page, "The model says ")
    raw = seen(page)
    assert raw[:, 3:5].min() > 0 and raw[:, [0, 7]].max() == 0  # a bar from top to bottom, in the middle


def test_drawing_on_a_sample_leaves_the_other_pixels_as_they_are(start, zoo):
    entry = of(zoo, "digits")
    page = start(entry.card.id)
    before = seen(page)
    bright = before[:, 4] > 0
    page.get_by_label("Eraser").check()
    draw(page, [(0.45, 0.9), (0.55, 0.9)])  # 0.32 wide
    page.wait_for_function("!document.querySelector('.mz-try-sample[aria-pressed=true]')")
    after = seen(page)
    assert np.array_equal(before[:5], after[:5]) and np.array_equal(before[:, :2], after[:, :2])
    assert bright[7] and after[7, 4] == 0


def png(pixels):
    """A picture (H, W) or (H, W, 3) of bytes as a file."""
    height, width = pixels.shape[:2]

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_a_picture_of_ones_own_dark_on_light(start, zoo):
    entry = of(zoo, "fashion-mnist")
    golden = read_golden(entry.folder / "golden.npz")
    page = start(entry.card.id)
    trouser = entry.card.dataset.classes.index("trouser")
    sample = golden.raw[list(golden.label).index(trouser)][:, :, 0]
    large = np.pad(np.kron(255 - sample, np.ones((5, 5), np.uint8)), 40, constant_values=255)
    chooser = page.locator(".mz-try-open input")
    chooser.set_input_files({"name": "dark.png", "mimeType": "image/png", "buffer": png(large)})
    page.wait_for_function("!document.querySelector('.mz-try-sample[aria-pressed=true]')")
    said(page, "The model says trouser")
    assert np.abs(seen(page).astype(int) - sample).mean() < 25
    chooser.set_input_files({"name": "words.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.locator(".mz-try-fault", has_text="words.png is no picture that this browser can read").wait_for()


def test_coloured_pictures_keep_their_colours(start, zoo):
    golden = read_golden(zoo / COLOUR / "golden.npz")
    page = start(COLOUR)
    page.locator(".mz-try-sample").nth(1).click()
    assert np.array_equal(seen_colours(page), golden.raw[1]) and column(page, 4) == golden.output[1].tolist()
    assert page.get_by_label("Eraser").count() == 0
    file = {"name": "x.png", "mimeType": "image/png", "buffer": png(np.kron(golden.raw[2], np.ones((21, 21, 1), np.uint8)))}
    page.locator(".mz-try-open input").set_input_files(file)
    page.wait_for_function("!document.querySelector('.mz-try-sample[aria-pressed=true]')")
    assert np.array_equal(seen_colours(page), golden.raw[2])
    assert column(page, 4) == golden.output[2].tolist() == scores_of(read_entry(zoo / COLOUR), golden.raw[2])


def test_data_that_is_no_picture_is_plotted(start, zoo):
    golden = read_golden(zoo / REAL / "golden.npz")
    page = start(REAL)
    samples = page.locator(".mz-try-sample")
    assert samples.all_inner_texts() == [str(index + 1) for index in range(len(golden))]
    for index in range(len(golden)):
        samples.nth(index).click()
        assert column(page, 4) == golden.output[index].tolist()
    assert page.locator(".mz-try-plot path").count() == 6
    assert "over 6 steps, 6 lines" in page.locator(".mz-try-caption").inner_text()
    said(page, "The model says ")
    assert "Right" not in page.locator(".mz-try-verdict").inner_text()  # made-up inputs have no class


def test_a_file_that_does_not_come_is_said_and_can_be_tried_again(opened, tried_host, zoo):
    needs_onnx_runtime()
    page = opened(of(zoo, "digits").card.id, host=tried_host)
    page.route("**/tryout/*.js", lambda route: route.abort())
    run = page.get_by_role("button", name="Run the model here")
    run.click()
    page.locator(".mz-try-fault", has_text="tryout/model.js cannot be loaded").wait_for()
    page.unroute("**/tryout/*.js")
    run.click()
    page.locator(".mz-try-best").wait_for()
    assert page.locator(".mz-try-fault").inner_text() == ""
    page.route("**/onnxruntime/runtime.js", lambda route: route.abort())
    page.get_by_role("button", name="Compare with ONNX Runtime").click()
    page.locator(".mz-try-fault", has_text="runtime.js cannot be loaded").wait_for()
    page.unroute("**/onnxruntime/runtime.js")
    n, agree, most = compared(page)
    assert n - agree <= 1 and most <= 3
    # Each is a failed request and a line on the console.
    assert len(page.faults) == 4 and all(re.search("ERR_FAILED|Failed to load resource", fault) for fault in page.faults)
    page.faults.clear()


def test_an_address_can_ask_for_it(opened, zoo):
    opened(of(zoo, "digits").card.id, "#try").locator(".mz-try-best").wait_for()


def test_an_entry_without_wasm_says_so(opened):
    assert opened(BARE).get_by_text("This entry has no model.wasm").is_visible()


def test_without_script_a_line_says_what_one_would_get(opened, zoo):
    page = opened(of(zoo, "digits").card.id, script=False)
    assert "This part needs JavaScript. With it you would draw a digit" in page.locator("#mz-try noscript").inner_text()
    assert not page.get_by_role("button", name="Run the model here").is_visible()
    assert not page.locator(".mz-try-stage").is_visible()


@pytest.mark.axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["fashion-mnist", "values"])
def test_it_is_accessible_while_it_runs(start, zoo, axe, name, dark):
    page = start(REAL if name == "values" else of(zoo, name).card.id, dark=dark)
    # As it stands when it has been compared, without the seconds that loading the runtime takes.
    page.evaluate("for (const element of document.querySelectorAll('.mz-try-stage [hidden]')) element.hidden = false")
    page.locator(".mz-try-sample").nth(1).focus()
    assert axe(page, "#mz-try") == []


@pytest.mark.parametrize("name", ["digits", "fashion-mnist", "values"])
def test_it_fits_the_window(start, zoo, name):
    page = start(REAL if name == "values" else of(zoo, name).card.id)
    for width in (360, 800, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
