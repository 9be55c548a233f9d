"""What was inspected, what was said about it, and what of it is shown."""

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def test_what_is_wrong_is_said_and_taken_back_and_filters_follow(person):
    person.choose("ruined.png")
    assert person.reads("means-good") == "false alarm"
    person.press("g")
    person.wait(lambda: person.reads("said") == "false alarm")
    assert person.station.named("ruined.png")["feedback"]["label"] == "good"
    every = set(person.history())
    filters = {"good": {"ruined.png"}, "bad": set(), "any": {"ruined.png"}, "none": every - {"ruined.png"}, "": every}
    for value, found in filters.items():
        person["feedback"].find_element(By.CSS_SELECTOR, f"option[value='{value}']").click()
        person.wait(lambda found=found: set(person.history()) == found)
    person["take-back"].click()
    person.wait(lambda: person.reads("said") == "nothing said yet")
    assert person.station.named("ruined.png")["feedback"] is None


def test_a_filter_by_verdict_and_its_counts(person):
    records = person.station.verdicts()
    for verdict in ("bad", "look-again", "good", ""):
        found = {one["name"] for one in records if verdict in ("", one["verdict"])}
        (chip,) = person.all(f"#verdicts [data-verdict='{verdict}']")
        chip.click()
        person.wait(lambda found=found: set(person.history()) == found)
        if verdict:
            assert int(chip.text) == sum(one["verdict"] == verdict for one in records)


def test_a_reload_shows_the_same_image_and_arrows_go_on(person):
    person.choose("doubtful.png")
    person.reload()
    person.wait(lambda: person.reads("name").startswith("doubtful.png"))
    names = [one["name"] for one in person.station.verdicts()]
    place = names.index("doubtful.png")
    older = Keys.ARROW_DOWN if place + 1 < len(names) else Keys.ARROW_UP
    neighbour = names[place + 1 if older == Keys.ARROW_DOWN else place - 1]
    person.press(older)
    person.wait(lambda: person.reads("name").startswith(neighbour))
    person.press(Keys.ARROW_UP if older == Keys.ARROW_DOWN else Keys.ARROW_DOWN)
    person.wait(lambda: person.reads("name").startswith("doubtful.png"))
