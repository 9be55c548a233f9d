from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.labels.names import Names, safe


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Kratzer ß", "Kratzer ß"),
        ("a/b:c*?", "a_b_c__"),
        (" x. ", "x"),
        (".hidden", "_hidden"),
        ("..", "_"),
        ("", "_"),
        ("CON", "_CON"),
        ("aux.txt", "_aux.txt"),
        ("tab\there", "tab_here"),
    ],
)
def test_a_name_that_every_system_can_write(name, written):
    assert safe(name) == written


@given(st.text())
def test_any_text_becomes_one_name(text):
    name = safe(text)
    assert name
    assert safe(name) == name
    assert PurePosixPath(name).parts == (name,)
    assert not name.startswith(".")


def test_folders_stay_and_lead_nowhere_else():
    names = Names()
    assert names.places("line 1/2.png", "dent", ".png")[0].as_posix() == "bad/dent/line 1/2.png"
    assert names.places("../../etc/./2.png", "good", ".png")[0].as_posix() == "good/etc/2.png"
    assert names.places("/", "good", ".png")[0].as_posix() == "good/_.png"


stems = st.sampled_from(("a", "A", "a_mask", "b/a", "a_mask_mask"))


@given(st.lists(st.tuples(stems, st.sampled_from((".png", ".jpg")))))
def test_no_two_images_or_masks_share_a_name(wanted):
    names = Names()
    places = [names.places(name + ending, "dent", ending) for name, ending in wanted]
    images = [image.with_suffix("").as_posix().casefold() for image, _ in places]
    masks = [mask.as_posix().casefold() for _, mask in places]
    assert len(set(images)) == len(set(masks)) == len(wanted)
    assert not any(image.endswith("_mask") for image in images)
