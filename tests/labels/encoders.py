"""Run lengths as the tools write them: encoders of our own, beside the decoders that are tested."""

import numpy as np


def runs_of(values: np.ndarray) -> list[int]:
    """Background first, so that a mask that begins with a defect has a first run of 0."""
    changes = np.flatnonzero(np.diff(values, prepend=0)) if len(values) else np.zeros(0, int)
    return np.diff(np.concatenate([[0], changes, [len(values)]])).tolist()


def compressed(runs: list[int]) -> str:
    """As rleToString of the COCO API."""
    text = ""
    for index, run in enumerate(runs):
        value, more = run - runs[index - 2] if index > 2 else run, True
        while more:
            bits, value = value & 31, value >> 5
            more = value != -1 if bits & 16 else value != 0
            text += chr(bits + 32 * more + 48)
    return text
