"""The history after a kill or a full disk, and a state that holds numbers only."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from protores.errors import RunError
from protores.progress import Progress
from protores.training.averaging import AveragedWeights
from protores.training.callbacks import COLUMNS, History
from protores.training.checkpoint import read_progress, save_checkpoint

HEAD = ",".join(COLUMNS)


def row(step: int) -> str:
    return ",".join([str(step), *["0.5"] * (len(COLUMNS) - 1)])


@pytest.mark.parametrize("tail", ["", row(30)[:9], f"{row(20)}", f"{row(2)[:-1]}\x00", "3"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_whole_rows_up_to_the_checkpoint_stay(tmp_path, tail, end):
    """The last one may be cut off anywhere, by a disk that was full: also where it looks like another step's."""
    path = tmp_path / "history.csv"
    path.write_bytes((end.join([HEAD, row(10), row(20), row(30)]) + end + tail).encode())
    History(path, Progress(), dict, start=20)
    assert path.read_text() == "\n".join([HEAD, row(10), row(20)]) + "\n"


@pytest.mark.parametrize("start", [0, 20])
def test_without_a_history_one_is_begun(tmp_path, start):
    History(tmp_path / "history.csv", Progress(), dict, start=start)
    assert (tmp_path / "history.csv").read_text() == HEAD + "\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["weights", "averages", "optimiser"])
def test_what_is_not_a_number_is_never_saved(tmp_path, value, where):
    """Else training would go on from it for ever: the state before stays."""
    network = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    training = SimpleNamespace(
        network=network,
        averaged=AveragedWeights(network, 0.9),
        optimizer=optimizer,
        step=1,
        schedule=SimpleNamespace(elapsed=0.0),
    )
    save_checkpoint(tmp_path / "checkpoint", training)
    before = (tmp_path / "checkpoint").read_bytes()
    training.step = 2
    spoilt = {
        "weights": network.bias,
        "averages": training.averaged.average["bias"],
        "optimiser": optimizer.state[network.bias]["exp_avg"],
    }[where]
    with torch.no_grad():
        spoilt[0] = value
    with pytest.raises(RunError, match=r"not numbers any more at step 2; .*lower training\.learning_rate"):
        save_checkpoint(tmp_path / "checkpoint", training)
    assert (tmp_path / "checkpoint").read_bytes() == before
    assert read_progress(tmp_path / "checkpoint").step == 1
