"""The front end of sound in C against the reference in Python: every corner, in pieces of every size, and while it goes on."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from microzoo.export.features import features_sources
from microzoo.sound.logmel import LogMel

from ..sound.front_ends import FRONT_ENDS, clips  # noqa: TID252
from .c_program import WARNINGS

CLIPS = """
#include "net_features.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    static int16_t sound[NET_SOUND_SAMPLES];
    static uint8_t raw[NET_SOUND_FRAMES * NET_SOUND_BANDS];
    uint32_t piece = argc > 1 ? (uint32_t)atoi(argv[1]) : 1, at;
    while (fread(sound, 2, NET_SOUND_SAMPLES, stdin) == NET_SOUND_SAMPLES) {
        net_features_reset();
        for (at = 0; at < NET_SOUND_SAMPLES; at += piece)
            net_features_take(sound + at, NET_SOUND_SAMPLES - at < piece ? NET_SOUND_SAMPLES - at : piece);
        net_features_raw(raw);
        fwrite(raw, 1, sizeof raw, stdout);
    }
    return 0;
}
"""
STREAM = """
#include "net_features.h"
#include <stdio.h>
int main(void) {
    int16_t sample;
    uint32_t before = 0, heard = 0, frames;
    static uint8_t raw[NET_SOUND_FRAMES * NET_SOUND_BANDS];
    while (fread(&sample, 2, 1, stdin) == 1) {
        heard++;
        frames = net_features_take(&sample, 1);
        if (heard >= NET_SOUND_WINDOW && (heard - NET_SOUND_WINDOW) % NET_SOUND_HOP == 0) {
            net_features_raw(raw);
            fwrite(raw, 1, sizeof raw, stdout);
            if (frames != (before < NET_SOUND_FRAMES ? before + 1 : before)) return 1;
        } else if (frames != before) return 2;
        before = frames;
    }
    return 0;
}
"""
FLAGS = {
    "as it is, with sanitizers": ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"),
    "short multiplications": ("-O2", "-D__ARM_ARCH_6M__"),
}


def build(front_end: LogMel, program: str, folder: Path, *flags: str) -> Path:
    for name, text in features_sources("net", front_end).items():
        (folder / name).write_text(text, "utf-8")
    (folder / "main.c").write_text(program, "utf-8")
    command = ["gcc", *WARNINGS, *flags, "main.c", "net_features.c", "-o", "program"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[:2000]
    return folder / "program"


def heard(program: Path, sound: np.ndarray, *arguments: str) -> np.ndarray:
    done = subprocess.run([program, *arguments], input=sound.tobytes(), capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    return np.frombuffer(done.stdout, np.uint8)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_it_gives_the_same_bits_as_the_reference_whatever_the_pieces(name, flags, tmp_path):
    front_end = FRONT_ENDS[name]
    program, sound = build(front_end, CLIPS, tmp_path, *FLAGS[flags]), clips(front_end)
    expected = front_end.raw(sound)
    assert len(np.unique(expected)) > 5
    for piece in (1, front_end.spec.hop + 3, front_end.samples):
        found = heard(program, sound, str(piece)).reshape(expected.shape)
        assert np.array_equal(found, expected), f"pieces of {piece}"


def test_it_goes_on_listening_and_what_was_not_heard_yet_is_silence(tmp_path):
    front_end = FRONT_ENDS["spoken digits"]
    spec, rng = front_end.spec, np.random.default_rng(3)
    sound = (
        (rng.normal(size=2 * front_end.samples) * np.repeat(rng.uniform(10, 9000, 2 * 62), 128))
        .clip(-32768, 32767)
        .astype(np.int16)
    )
    found = heard(build(front_end, STREAM, tmp_path, "-O2"), sound).reshape(-1, front_end.frames, front_end.bands, 1)
    assert len(found) == (len(sound) - spec.window) // spec.hop + 1
    silent = np.zeros(front_end.samples, np.int16)
    for frame in range(len(found)):
        end = frame * spec.hop + spec.window
        if frame + 1 >= front_end.frames:
            assert np.array_equal(found[frame], front_end.raw(sound[None, end - front_end.samples : end])[0]), frame
        else:
            # Frames that straddle silence and sound are no frames that were heard: compare those that were.
            padded = np.concatenate([silent, sound[:end]])[None, -front_end.samples :]
            missing = front_end.frames - frame - 1
            levels = front_end.levels(padded)[0].astype(int)
            loudest = max(int(levels[missing:].max()), 120)
            assert not found[frame][:missing].any()
            assert np.array_equal(found[frame][missing:, :, 0], np.maximum(levels[missing:] - loudest + spec.steps, 0)), frame
