"""Sound as a dataset: clips as the page cuts them, splits by people, a checksum of the recordings, errors that name them."""

import gzip
import lzma
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from microzoo.data.cache import contents_digest, fetch
from microzoo.data.load import checksum, load
from microzoo.data.readers import READERS
from microzoo.data.wav import fitted
from microzoo.errors import DataError
from microzoo.sound.logmel import front_end_of

from .recordings import SAMPLES, beeps, sound_spec, tar, wav


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MICROZOO_DATA", str(tmp_path))
    (tmp_path / "beeps").mkdir()
    return tmp_path / "beeps"


def read(files, **changes):
    return READERS["wav"].read("beeps", sound_spec(**changes), {"archive": tar(files)})


def test_people_keep_to_their_part_and_the_sound_is_what_the_inputs_were_made_from(cache):
    archive = tar(beeps())
    (cache / "beeps.tar").write_bytes(archive)
    spec = sound_spec(archive)
    dataset = load("beeps", spec)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (24, 24, 24)
    assert np.bincount(dataset.validation.y).tolist() == [8, 8, 8]
    assert dataset.raw_validation.dtype == np.uint8 and dataset.raw_validation.shape == (24, 6, 6, 1)
    assert np.array_equal(front_end_of(spec).raw(dataset.validation_sound), dataset.raw_validation)
    bob = {fitted(samples(content), SAMPLES).tobytes() for path, content in beeps().items() if "_bob_" in path}
    assert {clip.tobytes() for clip in dataset.validation_sound} == bob
    assert np.array_equal(dataset.validation.x, dataset.raw_validation.astype(np.float32) * np.float32(0.0125))


def samples(content):
    return np.frombuffer(content[44:], "<i2").astype(np.int16)


def test_without_groups_shares_of_every_class_and_a_test_part_by_its_names(cache):
    archive = tar(beeps(count=10))
    (cache / "beeps.tar").write_bytes(archive)
    recordings = {"pattern": r"(?P<class>[a-z])_[a-z]+_[0-9]\.wav", "test": r"_[01]\.wav"}
    dataset = load("beeps", sound_spec(archive, recordings=recordings, split={"validation": 0.25}))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (54, 18, 18)
    assert np.bincount(dataset.test.y).tolist() == [6, 6, 6]


def test_a_clip_is_centred_in_silence_or_the_part_with_the_greatest_energy():
    assert fitted(np.array([5, -6], np.int16), 5).tolist() == [0, 5, -6, 0, 0]
    assert fitted(np.array([], np.int16), 3).tolist() == [0, 0, 0]
    assert fitted(np.array([1, 2, 3], np.int16), 3).tolist() == [1, 2, 3]
    assert fitted(np.array([0, 3, -32768, 2, 4, 0], np.int16), 3).tolist() == [-32768, 2, 4]
    assert fitted(np.array([4, 0, 0, 4, 0], np.int16), 2).tolist() == [4, 0], "the first of equal parts"
    rng = np.random.default_rng(0)
    recording = rng.integers(-32768, 32768, 200).astype(np.int16)
    brute = max(range(200 - 50 + 1), key=lambda start: (sum(int(v) ** 2 for v in recording[start : start + 50]), -start))
    assert np.array_equal(fitted(recording, 50), recording[brute : brute + 50])


def test_recordings_that_change_places_between_folders_have_another_checksum():
    words = [wav(np.arange(20) * factor) for factor in (1, 2)]
    one = tar({"v1/yes/0.wav": words[0], "v1/no/0.wav": words[1]})
    assert contents_digest(Path("x"), one) == contents_digest(
        Path("x"), tar({"a/b/no/0.wav": words[1], "a/b/yes/0.wav": words[0]})
    )
    assert contents_digest(Path("x"), one) != contents_digest(Path("x"), tar({"v1/yes/0.wav": words[1], "v1/no/0.wav": words[0]}))


def test_a_member_that_says_it_is_larger_than_the_archive_is_refused():
    content = bytearray(tar({"a/a_ann_0.wav": wav(np.ones(9))}))
    header = content[:512]
    header[124:136] = b"77777777777\0"  # its size, 8 GiB
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(DataError, match="says that it has 8589934591 bytes"):
        contents_digest(Path("x"), bytes(header + content[512:]))


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress, lzma.compress], ids=["tar", "gzip", "xz"])
def test_the_checksum_is_that_of_the_recordings_whoever_packed_them(pack, cache, tmp_path):
    files = beeps(count=2)
    plain = tar(files)
    other = {f"somewhere/else/{path}": content for path, content in reversed(files.items())} | {"note.txt": b"not counted"}
    spec = sound_spec(plain)
    (cache / "beeps.tar").write_bytes(pack(tar(other)))
    assert contents_digest(Path("x"), fetch("beeps", spec.sources[0])) == spec.sources[0].contents_sha256
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "packed.tar").write_bytes(plain)
    subprocess.run(["tar", "xf", tmp_path / "packed.tar", "-C", tmp_path / "unpacked"], check=True)
    command = "find . -name '*.wav' -exec sha256sum {} + | sed 's,  ./,  ,' | LC_ALL=C sort | sha256sum"
    said = subprocess.run(
        command, shell=True, cwd=tmp_path / "unpacked/recordings", capture_output=True, text=True, check=True
    ).stdout
    assert said.split()[0] == spec.sources[0].contents_sha256
    changed = files | {"recordings/a_ann_0.wav": wav(np.ones(50))}
    (cache / "beeps.tar").write_bytes(pack(tar(changed)))
    with pytest.raises(DataError, match=r"SHA-256 of what it holds is .*the spec wants contents_sha256"):
        fetch("beeps", spec.sources[0])


def test_what_is_no_archive_of_recordings(cache):
    spec = sound_spec(tar(beeps(count=1)))
    for content, words in (
        (b"\x1f\x8bnonsense", "damaged or truncated"),
        (b"\xfd7zXZ\x00nonsense", "damaged or truncated"),
        (b"nonsense" * 100, r"cannot be read as \.tar"),
    ):
        (cache / "beeps.tar").write_bytes(content)
        with pytest.raises(DataError, match=words) as raised:
            fetch("beeps", spec.sources[0])
        assert "beeps.tar" in str(raised.value)
    named = spec.sources[0].model_copy(update={"file": "beeps.tar.xz"})
    (cache / "beeps.tar.xz").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="neither a gzip nor an xz file"):
        fetch("beeps", named)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (wav(np.ones(9), rate=16000), r"1 channels of 16 bits at 16000 Hz.*sound.rate_hz = 8000"),
        (wav(np.ones(10), channels=2), "2 channels"),
        (wav(np.ones(10), width=4), "32 bits"),
        (wav(np.ones(9))[:30], "is no WAV file"),
        (b"RIFFxxxxWAVE", "is no WAV file"),
        (b"", "is no WAV file"),
        (wav(np.zeros(61 * 8000)), "is 61 s long, at most 60 s"),
    ],
)
def test_a_recording_that_does_not_fit_is_named(content, words):
    with pytest.raises(DataError, match=words) as raised:
        read(beeps(count=1) | {"recordings/a_ann_9.wav": content})
    assert "beeps: recordings/a_ann_9.wav" in str(raised.value)


def test_classes_and_patterns_that_do_not_fit():
    with pytest.raises(DataError, match=r"recordings/a_ann_0\.wav: recordings\.pattern finds class 'a'; classes = x, b, c"):
        read(beeps(count=1), classes=("x", "b", "c"))
    with pytest.raises(DataError, match="matches no file of the archive"):
        read(beeps(count=1), recordings={"pattern": r"(?P<class>[0-9])\.wav"})
    with pytest.raises(DataError, match=r"sound.window = 64 has no frequency in band [0-9]+ of 60"):
        read(beeps(count=1), input_shape=(6, 60, 1))
    with pytest.raises(DataError, match="needs a file with role"):
        READERS["wav"].read("beeps", sound_spec(), {})


def test_groups_that_nobody_has_and_readers_without_groups(cache):
    archive = tar(beeps(count=1))
    (cache / "beeps.tar").write_bytes(archive)
    with pytest.raises(DataError, match=r"beeps.toml: split.test_groups: no input is of 'zoe'; known are ann, bob, eve"):
        load("beeps", sound_spec(archive, split={"validation": 0.3, "test_groups": ["zoe"]}))
    recordings = {"pattern": r"(?P<class>[a-z])_(?P<group>[a-z]+)_[0-9]\.wav", "test": "eve_0.wav"}
    spec = sound_spec(archive, recordings=recordings)
    with pytest.raises(DataError, match=r"split.test_groups: the data has a test part of its own"):
        load("beeps", spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sound": None}, r'reader = "wav" needs \[sound\]'),
        ({"reader": "idx"}, r'reader = "idx" takes no \[recordings\]'),
        ({"input_shape": (6, 6, 2)}, r"sound is frames, bands \(at most 254\), 1"),
        ({"input_shape": (6, 255, 1)}, r"bands \(at most 254\)"),
        ({"preprocess": {"raw_min": 0, "raw_max": 81}}, "raw_min = 0, raw_max = 80"),
        ({"recordings": {"pattern": "(?P<class>"}}, "is no regular expression"),
        ({"recordings": {"pattern": "[a-z]+"}}, "has no group"),
        ({"split": {"validation": 0.1, "validation_groups": ["bob"]}}, "or validation_groups"),
        ({"split": {}}, "give validation"),
        ({"split": {"validation_groups": ["bob"], "test_groups": ["bob"]}}, "both have 'bob'"),
        ({"sound": {"rate_hz": 8000, "window": 64, "hop": 65, "low_hz": 1, "high_hz": 9}}, "hop = 65 is greater"),
        ({"sound": {"rate_hz": 8000, "window": 64, "hop": 64, "low_hz": 1, "high_hz": 4001}}, "up to half of rate_hz"),
        ({"sources": [{"role": "archive", "file": "x"}]}, "give sha256, or contents_sha256"),
    ],
)
def test_a_spec_that_contradicts_itself(changes, words):
    with pytest.raises(ValidationError, match=words):
        sound_spec(**changes)


def test_whatever_decides_the_arrays_is_part_of_the_checksum():
    spec = sound_spec()
    others = [
        sound_spec(sound={**spec.sound.model_dump(), "hop": 63}),
        sound_spec(recordings={"pattern": spec.recordings.pattern, "test": "_0.wav"}),
        sound_spec(split={"validation_groups": ["ann"], "test_groups": ["eve"]}),
    ]
    assert len({checksum(each) for each in (spec, *others)}) == 4
    assert checksum(sound_spec(title="Other")) == checksum(spec)
