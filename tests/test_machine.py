"""What is installed, and what is not."""

import numpy as np

from protores.machine import installed_versions


def test_versions_of_what_is_installed_and_no_word_of_the_rest():
    assert installed_versions(("numpy", "no-such-distribution")) == {"numpy": np.__version__}
