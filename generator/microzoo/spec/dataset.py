"""What a spec may say of a dataset, as frozen pydantic models: its files, how they are read, cut and prepared, its licence."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from microzoo.spec.base import Count, Model, Positive, Sha256, Share

MOST_BANDS = 254
"""Of a spectrogram: a band's number is a byte, one of which says that there is none."""


class Source(Model):
    """One file of a dataset."""

    file: str
    """Name in the dataset's folder of the cache."""
    urls: tuple[str, ...] = ()
    """Addresses to download it from, tried in order. Empty: it must be in the cache already."""
    sha256: Sha256 | None = None
    """SHA-256 of the uncompressed bytes, so that another gzip header does not matter."""
    contents_sha256: Sha256 | None = None
    """For an archive of recordings, in place of sha256: SHA-256 over their names and checksums, whoever packed them. See the page
    on datasets."""
    role: Literal["train_images", "train_labels", "test_images", "test_labels", "archive"]
    """What the reader takes it for."""

    @model_validator(mode="after")
    def _one_checksum(self) -> Self:
        if (self.sha256 is None) == (self.contents_sha256 is None):
            raise ValueError("give sha256, or contents_sha256 for an archive of recordings")
        return self

    @property
    def checksum(self) -> str:
        """The one of the two that is given."""
        return self.sha256 or self.contents_sha256 or ""

    @model_validator(mode="after")
    def _plain_name(self) -> Self:
        if "/" in self.file or "\\" in self.file or self.file in (".", ".."):
            raise ValueError(f"file = {self.file!r} must be a plain file name, without folders")
        return self


class Split(Model):
    """How train, validation and test are cut: seeded, and stratified by class."""

    validation: Share = 0.0
    """Share of the training part that selection sees and training does not."""
    test: Share | None = None
    """Share cut off as test where the dataset has no test part of its own."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the cut. Another seed is another dataset."""
    test_groups: tuple[str, ...] = ()
    """Groups, for instance people, all of whose inputs are the test part. With readers that know groups."""
    validation_groups: tuple[str, ...] = ()
    """Groups all of whose inputs are validation, in place of a share: the greatest care not to select on people that training
    has met."""

    @model_validator(mode="after")
    def _each_group_once(self) -> Self:
        if both := sorted(set(self.test_groups) & set(self.validation_groups)):
            raise ValueError(f"test_groups and validation_groups both have {both[0]!r}")
        if bool(self.validation) == bool(self.validation_groups):
            raise ValueError("give validation, a share above 0, or validation_groups")
        return self


class Preprocess(Model):
    """From raw values to what the network reads: (raw * scale - mean) / std. The shipped C does the same."""

    raw_min: float
    """Least raw value that can occur."""
    raw_max: float
    """Greatest raw value that can occur."""
    scale: Positive = 1.0
    """Factor on the raw value."""
    mean: float = 0.0
    """Subtracted after scaling."""
    std: Positive = 1.0
    """Divides last."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.raw_min >= self.raw_max:
            raise ValueError(f"raw_min = {self.raw_min} must be less than raw_max = {self.raw_max}")
        return self

    @property
    def real_range(self) -> tuple[float, float]:
        """Least and greatest value that the network can read."""
        low, high = ((raw * self.scale - self.mean) / self.std for raw in (self.raw_min, self.raw_max))
        return low, high


class Augment(Model):
    """Random changes to training inputs, never to validation or test."""

    shift: Annotated[int, Field(ge=0, le=8)] = 0
    """Shift by up to this many pixels in each direction, zeros moving in."""
    shift_time: Annotated[int, Field(ge=0, le=64)] = 0
    """Shift by up to this many rows, which are moments in sound and signals: earlier or later, in place of `shift`."""
    noise: Annotated[float, Field(ge=0.0)] = 0.0
    """Standard deviation of Gaussian noise on every value, after preprocessing."""
    floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Background of up to this share of the range: half of the inputs get a level below which no value is, with a little noise.
    So networks hear words in rooms, not in digital silence."""
    flip: bool = False
    """Mirror left and right with probability one half."""


class RecordingsSpec(Model):
    """Which files of an archive of sound are recordings, and what their names say. For reader wav."""

    pattern: str
    """Regular expression for the end of a file's path, from the beginning of a name on. Its group `class` is the name of a class;
    a group `group`, where there is one, the person or place, for split.test_groups and split.validation_groups. Files that it
    does not match are left out."""
    test: str = ""
    """Regular expression for the end of the paths of the test part. Empty: the archive has none of its own."""

    @model_validator(mode="after")
    def _compiled(self) -> Self:
        for key in ("pattern", "test"):
            try:
                found = re.compile(getattr(self, key))
            except re.error as error:
                raise ValueError(f"{key} = {getattr(self, key)!r} is no regular expression: {error}") from error
            if key == "pattern" and "class" not in found.groupindex:
                raise ValueError(f"pattern = {self.pattern!r} has no group (?P<class>...)")
        return self


class SoundSpec(Model):
    """How sound becomes the raw values of an input: the log-mel spectrogram of `microzoo.sound.logmel`, which the shipped C
    computes as well. input_shape is frames, bands, 1; a clip has (frames - 1) * hop + window samples. For reader wav.
    """

    rate_hz: Annotated[int, Field(ge=1000, le=48000)]
    """Samples a second, 16 bits each, one channel."""
    window: Literal[64, 128, 256, 512, 1024]
    """Samples of a frame."""
    hop: Count
    """Samples from one frame to the next."""
    low_hz: Annotated[float, Field(ge=0.0)]
    """Where the lowest band begins."""
    high_hz: Positive
    """Where the highest band ends."""
    steps: Annotated[int, Field(ge=8, le=255)] = 80
    """Steps of 0.75 dB below the loudest value of a clip that raw values tell apart: they are 0 to steps."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.hop > self.window:
            raise ValueError(
                f"hop = {self.hop} is greater than window = {self.window}: samples between frames would not be heard"
            )
        if not self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ValueError(
                f"low_hz = {self.low_hz:g}, high_hz = {self.high_hz:g}: must rise, up to half of rate_hz = {self.rate_hz}"
            )
        return self


class SignalSpec(Model):
    """What a window of sensor values holds: input_shape is its length in samples, 1, and the number of channels. For reader
    windows.
    """

    rate_hz: Positive
    """Samples a second."""
    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the channels, in the order of the data."""
    units: tuple[str, ...]
    """Unit of each channel, after its factor."""
    factors: tuple[float, ...] = ()
    """What each channel of the file is multiplied by; none: by 1. So channels of unlike size can share a range. What is beyond
    preprocess.raw_min and raw_max then is cut, as a sensor of that range cuts it."""
    step: Count
    """Samples from the start of one window to that of the next."""

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        for key in ("units", "factors"):
            if (found := len(getattr(self, key))) != len(self.channels) and not (key == "factors" and found == 0):
                raise ValueError(f"{key} has {found} values for {len(self.channels)} channels")
        return self


class Licence(Model):
    """What may be done with the data."""

    name: str
    """SPDX identifier, or words where there is none."""
    redistributable: bool
    """Whether samples of the data may be shipped with an entry."""
    url: str = ""
    """Where the licence stands."""


class DatasetSpec(Model):
    """One dataset: where its bytes come from, how they are read, cut and prepared. Its name is the file's."""

    title: str
    """Name for people."""
    description: str = ""
    """One paragraph for people."""
    reader: Literal["idx", "npz", "sklearn_digits", "wav", "windows"]
    """Format of the files."""
    input_shape: tuple[Count, Count, Count]
    """Height, width and channels of one input."""
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    """Names of the classes, in the order of the labels."""
    sources: tuple[Source, ...] = ()
    """The files. Empty for data that comes with a package."""
    arrays_sha256: Sha256 | None = None
    """For data that comes with a package: SHA-256 over its input bytes, then its label bytes (uint8)."""
    split: Split
    """How it is cut."""
    preprocess: Preprocess
    """How raw values become inputs."""
    recordings: RecordingsSpec | None = None
    """Which files are recordings of sound. With reader wav."""
    sound: SoundSpec | None = None
    """How sound becomes raw values. With reader wav."""
    signal: SignalSpec | None = None
    """What sensor values the inputs are windows of. With reader windows."""
    augment: Augment = Augment()
    """Augmentation that suits this data."""
    licence: Licence
    """Licence of the data."""
    citation: str
    """What to cite."""
    known_limits: tuple[str, ...] = ()
    """Sentences that belong beside every result on this data, for instance that the same people speak in training and test."""

    @model_validator(mode="after")
    def _what_the_reader_needs(self) -> Self:
        needs = {"wav": ("recordings", "sound"), "windows": ("signal",)}.get(self.reader, ())
        for key in ("recordings", "sound", "signal"):
            if (getattr(self, key) is None) == (key in needs):
                raise ValueError(f'reader = "{self.reader}" {"needs" if key in needs else "takes no"} [{key}]')
        (height, width, channels), sound, signal = self.input_shape, self.sound, self.signal
        if sound is not None and (channels != 1 or width > MOST_BANDS):
            raise ValueError(f"input_shape = {list(self.input_shape)}: sound is frames, bands (at most {MOST_BANDS}), 1")
        if sound is not None and (self.preprocess.raw_min, self.preprocess.raw_max) != (0, sound.steps):
            raise ValueError(f"preprocess: the raw values of sound are 0 to sound.steps: raw_min = 0, raw_max = {sound.steps}")
        if signal is not None and (width, channels) != (1, len(signal.channels)):
            raise ValueError(f"input_shape = {list(self.input_shape)}: a window is {height}, 1, {len(signal.channels)} channels")
        return self
