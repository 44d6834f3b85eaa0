"""Sound in the page: clips, files and a microphone, cut as in Python, and heard by the C as wasm."""

import base64
import io
import re
import wave

import numpy as np
import pytest

from microzoo.catalog.golden import read_golden
from microzoo.catalog.store import read_entry
from microzoo.data.wav import fitted
from microzoo.sound.logmel import LogMel

from ..pages.senses import tone  # noqa: TID252  # tests are no package that could be named from its root
from .trying import column, listen, run, said, scores_of, shown_class

pytestmark = pytest.mark.browser

WORDS = "fsdd/cortex-m4-64k/words"
RATE, SAMPLES = 8000, 7936
SPOKEN = 4
"""The class of the tone that the microphone hears."""
RESTS = "document.querySelector('.mz-try-record').textContent === 'Record'"


@pytest.fixture
def entry(zoo):
    return read_entry(zoo / WORDS)


@pytest.fixture
def golden(entry):
    return read_golden(entry.folder / "golden.npz")


@pytest.fixture
def hears(entry):
    """`hears(recording)`: raw values (H, W, 1) of the clip of a recording, by Python."""
    front_end = LogMel(entry.card.dataset.sound, *entry.card.dataset.input_shape[:2])
    return lambda recording: front_end.raw(fitted(recording, SAMPLES)[None])[0]


def wav(samples, rate=RATE):
    """int16 (n,) or (n, channels) as a file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as made:
        made.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        made.setsampwidth(2)
        made.setframerate(rate)
        made.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def choose(page, content, name="word.wav"):
    page.locator(".mz-try-open input").set_input_files({"name": name, "mimeType": "audio/wav", "buffer": content})


def brightness(page):
    """Luminance of what stands for the raw values (frames, bands), by CIE 1931 of linear light."""
    frames, bands, values = page.evaluate(
        "(() => { const c = document.querySelector('.mz-try-seen');"
        "return [c.width, c.height, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]; })()"
    )
    pixels = np.array(values).reshape(bands, frames, 4)[::-1, :, :3].transpose(1, 0, 2) / 255
    return (pixels**2.2) @ [0.2126, 0.7152, 0.0722]


def shows(page, raw):
    """Whether the picture has another lightness for each raw value, more for more."""
    found, raw = brightness(page).ravel(), raw.ravel()
    means = [found[raw == value] for value in np.unique(raw)]
    return all(np.ptp(each) == 0 for each in means) and bool((np.diff([each[0] for each in means]) > 0).all())


def test_every_sample_gives_its_spectrogram_and_its_scores(start, entry, golden):
    page = start(WORDS)
    count = len(golden)
    assert f"{count} of {count} give the published scores, bit for bit" in page.locator(".mz-try-golden").inner_text()
    assert f"{count} of {count} give the published spectrogram, bit for bit" == page.locator(".mz-try-heard").inner_text()
    page.locator(".mz-try-heard-time", has_text="median").wait_for()
    samples = page.locator(".mz-try-sample")
    for index in range(count):
        samples.nth(index).click()
        assert column(page, 4) == golden.output[index].tolist()
        assert shown_class(page) == entry.card.dataset.classes[golden.label[index]]
        assert shows(page, golden.raw[index])
        assert not shows(page, golden.raw[index - 1])
    page.get_by_role("button", name="Next").click()
    assert column(page, 4) == golden.output[0].tolist()


def test_a_spectrogram_that_differs_is_counted(opened, tried, tried_host, golden):
    """The first clip is made another one, as if the wasm computed its spectrogram wrongly."""
    script = (tried / "models" / WORDS / "tryout" / "model.js").read_text()
    first, second = (base64.b64encode(clip.astype("<i2").tobytes()).decode() for clip in golden.sound[:2])
    assert script.count(first) == 1
    page = opened(WORDS, host=tried_host)
    spoilt = script.replace(first, second)
    page.route("**/tryout/model.js", lambda route: route.fulfill(body=spoilt, content_type="text/javascript"))
    run(page)
    assert page.locator(".mz-try-heard").inner_text() == "9 of 10 give the published spectrogram"


def test_a_clip_is_cut_as_in_python(start):
    page = start(WORDS)
    rng = np.random.default_rng(3)
    burst = np.concatenate([np.zeros(9, np.int16), np.array([5, -7, 3], np.int16)])
    cases = [(rng.integers(-9, 9, int(n)), int(k)) for n, k in zip(rng.integers(0, 60, 60), rng.integers(1, 40, 60), strict=True)]
    cases += [(np.zeros(20), 7), (np.full(20, 4), 7), (np.tile(burst, 3), 5), (np.full(50_000, -32768), 40_000)]
    cases += [(np.arange(3), 3), (np.arange(3), 4), (np.arange(3), 6), (np.array([]), 2)]
    for made, samples in cases:
        recording = made.astype(np.int16)
        found, start_at = page.evaluate(
            "([recording, samples]) => { const { clip, start } ="
            " mzTryout.widgets.sound.fitted(Int16Array.from(recording), samples); return [Array.from(clip), start]; }",
            [recording.tolist(), samples],
        )
        assert found == fitted(recording, samples).tolist(), (recording, samples)
        if len(recording) >= samples:
            assert found == recording[start_at : start_at + samples].tolist()


def test_a_file_is_heard_as_python_hears_it(start, entry, hears):
    page = start(WORDS)
    for digit, length in ((6, SAMPLES), (7, 3 * RATE), (5, RATE // 2)):
        recording = tone(digit, length, RATE, 5)
        choose(page, wav(recording))
        said(page, f"The model says {digit}, ")
        assert page.locator(".mz-try-sample[aria-pressed=true]").count() == 0
        assert column(page, 4) == scores_of(entry, hears(recording)) and shows(page, hears(recording))
        clip = fitted(recording, SAMPLES)
        begins = np.flatnonzero([np.array_equal(recording[at : at + SAMPLES], clip) for at in range(length)])
        part = f", of which the model gets 0.99 s from {begins[0] / RATE:.2f} s on" if length > SAMPLES else ""
        assert page.locator(".mz-try-caption").inner_text() == f"word.wav: {length / RATE:.2f} s{part}."


def test_a_file_of_another_rate_is_brought_to_that_of_the_model(start):
    page = start(WORDS)
    # 7 kHz would be heard as 1 kHz if every sixth sample were taken as it is.
    high = 3000 * np.sin(2 * np.pi * 7000 * np.arange(48_000) / 48_000)
    choose(page, wav(tone(2, 48_000, 48_000, 5) + high.astype(np.int16), 48_000))
    said(page, "The model says 2, ")


def test_channels_are_averaged_and_silence_is_said_to_be_silent(start, entry, hears):
    page = start(WORDS)
    recording = tone(3, SAMPLES, RATE, 1)
    choose(page, wav(np.stack([recording, recording], axis=1)))
    said(page, "The model says 3, ")
    assert column(page, 4) == scores_of(entry, hears(recording))
    choose(page, wav(np.stack([recording, -recording], axis=1)), "nothing.wav")
    page.locator(".mz-try-caption", has_text="nothing.wav: 0.99 s. There is hardly any sound in it").wait_for()


def test_a_file_that_is_no_sound_or_too_long_is_said_and_changes_nothing(start, golden):
    page = start(WORDS)
    page.locator(".mz-try-sample").nth(2).click()
    choose(page, b"no sound", "words.txt")
    page.locator(".mz-try-fault", has_text="words.txt is no sound that this browser can read").wait_for()
    choose(page, wav(np.zeros(61 * RATE, np.int16)), "long.wav")
    page.locator(".mz-try-fault", has_text="long.wav is longer than 60 s").wait_for()
    assert column(page, 4) == golden.output[2].tolist()
    assert page.locator(".mz-try-sample[aria-pressed=true]").inner_text() == "2"


PLAYED = """window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function () {
  played.push([this.buffer.sampleRate, Array.from(this.buffer.getChannelData(0), (value) => 32768 * value)]);
  return start.call(this);
};"""


def test_what_is_played_is_what_the_model_hears(start, golden):
    page = start(WORDS, before=PLAYED, still=False)
    page.locator(".mz-try-sample").nth(5).click()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.mz-try-wave .mz-try-cursor').getAttribute('d')")
    page.wait_for_function("document.querySelector('.mz-try-play').textContent === 'Play'")  # it has come to its end
    assert page.locator(".mz-try-wave .mz-try-cursor").get_attribute("d") == ""
    assert page.evaluate("played") == [[RATE, golden.sound[5].tolist()]] * 2


@pytest.fixture(scope="module")
def microphone(launch, tmp_path_factory):
    """A browser whose microphone hears the tone of a class, again and again."""
    file = tmp_path_factory.mktemp("microphone") / "tone.wav"
    file.write_bytes(wav(tone(SPOKEN, 48_000, 48_000, 5), 48_000))
    devices = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={file}",
    )
    browser = launch(*devices)
    yield browser
    browser.close()


STREAMS = """window.streams = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await ask(wanted);
  streams.push(stream);
  return stream;
};"""
WATCHES = """() => {
  window.watched = [];
  const find = (name) => document.querySelector(`.mz-try-${name}`);
  const watch = setInterval(() => {
    if (!find("recording").hidden) {
      find("play").click();
      const scores = document.querySelectorAll(".mz-try-best").length;
      watched.push([find("clock").textContent, find("level").value, scores, streams[0].getTracks()[0].readyState === "live"]);
    } else if (watched.length) clearInterval(watch);
  }, 20);
}"""
"""What stands there while a recording is made; and Play is pressed all the time."""
ENDED = "streams.every((stream) => stream.getTracks().every((track) => track.readyState === 'ended'))"


@pytest.mark.parametrize("way", ["file", "http"])
def test_a_word_is_recorded_and_recognised(start, microphone, tried_host, way):
    page = start(WORDS, within=microphone, before=PLAYED + STREAMS, host=tried_host if way == "http" else None)
    page.wait_for_load_state("networkidle")
    asked = len(tried_host.sent)
    listen(page)
    page.evaluate(WATCHES)
    page.get_by_role("button", name="Record").focus()
    page.keyboard.press("Enter")
    page.locator(".mz-try-caption", has_text="Your recording").wait_for()
    said(page, f"The model says {SPOKEN}, ")
    assert page.evaluate("verdicts.at(-2)") == "Speak now: 2 seconds are recorded."
    watched = page.evaluate("watched")
    assert watched and all(scores == 0 and listening for _, _, scores, listening in watched)
    clocks = [float(re.fullmatch(r"(\d\.\d) s left", clock)[1]) for clock, *_ in watched]
    assert clocks == sorted(clocks, reverse=True) and 1.5 < clocks[0] <= 2 and clocks[-1] < 1
    assert max(level for _, level, *_ in watched) > 0.6
    assert page.evaluate("played.length") == 0  # it would be recorded
    words = page.locator(".mz-try-caption").inner_text()
    assert re.match(r"Your recording: (1\.9|2\.)\d* s, of which the model gets 0\.99 s from", words)
    assert page.locator(".mz-try-sample[aria-pressed=true]").count() == 0 and not page.locator(".mz-try-recording").is_visible()
    page.wait_for_function(f"{ENDED} && {RESTS}")
    assert page.evaluate("document.activeElement.textContent") == "Record"
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("played.length === 1")
    rate, clip = page.evaluate("played[0]")
    assert (rate, len(clip)) == (RATE, SAMPLES)
    loudest = np.argmax(np.abs(np.fft.rfft(clip))) * RATE / SAMPLES
    assert min(abs(loudest / pitch - 1) for pitch in (200 * 1.3**SPOKEN, 500 * 1.3**SPOKEN)) < 0.01
    assert len(tried_host.sent) == asked  # nothing is uploaded, and nothing more is loaded


STOPS = """() => {
  const poll = setInterval(() => {
    if (document.querySelector(".mz-try-recording").hidden) return;
    clearInterval(poll);
    setTimeout(() => document.querySelector(".mz-try-record").click(), 300);
  }, 10);
}"""
"""By the page's own clock: how long a test takes to see something is not known."""


def test_a_recording_can_be_stopped_early(start, microphone):
    page = start(WORDS, within=microphone, before=STREAMS)
    page.evaluate(STOPS)
    page.get_by_role("button", name="Record").click()
    page.locator(".mz-try-caption", has_text="Your recording: ").wait_for()
    length = re.match(r"Your recording: (\d\.\d+) s", page.locator(".mz-try-caption").inner_text())[1]
    assert 0.2 < float(length) < 1.5
    said(page, "The model says ")
    page.wait_for_function(f"{ENDED} && {RESTS}")


def test_picking_a_sample_ends_a_recording(start, microphone, golden):
    page = start(WORDS, within=microphone, before=STREAMS)
    page.get_by_role("button", name="Record").click()
    said(page, "Speak now")
    page.locator(".mz-try-sample").nth(7).click()
    assert column(page, 4) == golden.output[7].tolist()
    page.wait_for_function(f"{ENDED} && {RESTS}")
    page.wait_for_timeout(300)
    assert column(page, 4) == golden.output[7].tolist() and "A clip of" in page.locator(".mz-try-caption").inner_text()


def refusing(error):
    return f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{error}'); }};"


REASONS = (
    (refusing("NotAllowedError"), "the microphone was refused; allow it for this page"),
    (refusing("NotFoundError"), "no microphone was found"),
    (refusing("NotReadableError"), "maybe another program uses it"),
    ("delete window.MediaRecorder;", "this browser cannot record, as it has no MediaRecorder"),
    ("Object.defineProperty(navigator, 'mediaDevices', { value: undefined });", "this browser gives pages no microphone"),
    ("Object.defineProperty(window, 'isSecureContext', { value: false });", "only to pages over https or from"),
)
"""One after the other in one page: what makes it fail, each besides those before it, and what the page then says."""


def test_without_a_microphone_the_page_says_why_and_what_else_to_do(start, golden):
    page = start(WORDS)
    page.locator(".mz-try-sample").nth(3).click()
    for change, words in REASONS:
        page.evaluate(f"() => {{ {change} }}")
        page.get_by_role("button", name="Record").click()
        page.locator(".mz-try-fault", has_text=words).wait_for()
        assert "a sound file works as well" in page.locator(".mz-try-fault").inner_text()
        page.wait_for_function(RESTS)
        assert column(page, 4) == golden.output[3].tolist()


def test_a_question_that_nobody_answers_can_be_taken_back(start, golden):
    page = start(WORDS, before="navigator.mediaDevices.getUserMedia = () => new Promise(() => {});")
    page.get_by_role("button", name="Record").click()
    said(page, "The browser asks whether this page may use the microphone.")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_function(RESTS)
    assert column(page, 4) == golden.output[0].tolist()


def test_the_page_says_what_to_expect_and_that_nothing_leaves(start, entry):
    page = start(WORDS)
    assert "stays in this browser" in page.locator(".mz-try-input").inner_text()
    expected = page.locator(".mz-try-expect")
    assert "not on your voice and microphone" in expected.inner_text()
    assert expected.locator("li").all_inner_texts() == list(entry.card.known_limits) != []


def test_without_script_a_line_says_what_one_would_get(opened):
    page = opened(WORDS, script=False)
    assert (
        "With it you would record a word, choose a sound file or pick one of 10" in page.locator("#mz-try noscript").inner_text()
    )
    assert not page.locator(".mz-try-stage").is_visible()


@pytest.mark.axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_accessible_at_rest_and_while_it_records(start, microphone, axe, dark):
    page = start(WORDS, dark=dark, within=microphone)
    assert axe(page, "#mz-try") == []
    page.evaluate("document.querySelector('.mz-try-recording').hidden = false")
    assert axe(page, "#mz-try") == []


def test_it_fits_the_window(start):
    page = start(WORDS)
    page.evaluate("document.querySelector('.mz-try-recording').hidden = false")
    for width in (360, 390, 800, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
