"""What a training may use of its machine."""

import pytest

from protores.errors import SettingsError
from protores.fleet.share import Share, share_of
from protores.settings import TrainingSettings

PLAIN = {"CPU": 8.0}
TWO_CARDS = {"CPU": 32.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("machines", "cpus", "gpus", "share"),
    [
        ([PLAIN], None, None, Share(1, 0)),
        ([PLAIN], 4, None, Share(4, 0)),
        ([TWO_CARDS], None, None, Share(16, 1)),
        ([TWO_CARDS, {"CPU": 6.0, "GPU": 1.0}, PLAIN], None, None, Share(6, 1)),
        ([TWO_CARDS], None, 0.25, Share(4, 0.25)),
        ([TWO_CARDS], None, 2, Share(32, 2)),
        ([TWO_CARDS], None, 0, Share(1, 0)),
        ([{"CPU": 1.0, "GPU": 4.0}], None, None, Share(1, 1)),
    ],
)
def test_as_asked_or_what_falls_to_a_gpu(machines, cpus, gpus, share):
    assert share_of(machines, cpus, gpus) == share


@pytest.mark.parametrize(
    ("cpus", "gpus", "says"),
    [
        (9, None, "no machine of the cluster has 9 CPUs and 0 GPUs; lower --cpus-per-row"),
        (1, 1, "no machine of the cluster has 1 CPU and 1 GPU"),
        (1, 1.5, "1.5 GPUs cannot be shared out"),
    ],
)
def test_what_no_machine_has_is_refused(cpus, gpus, says):
    with pytest.raises(SettingsError, match=says):
        share_of([PLAIN, {"CPU": 2.0}], cpus, gpus)


@pytest.mark.parametrize(
    ("share", "threads", "workers"),
    [(Share(1, 0), 1, 0), (Share(2, 0), 2, 0), (Share(4, 0), 4, 3), (Share(16, 1), 16, 8), (Share(1, 0.5), 1, 0)],
)
def test_threads_and_workers_stay_within_it(share, threads, workers):
    assert share.settings(None) == {"training.threads": threads, "training.workers": workers}


def test_an_interrupted_run_keeps_its_own():
    begun = TrainingSettings(threads=3, workers=2)
    assert Share(8, 0).settings(begun) == {"training.threads": 3, "training.workers": 2}
