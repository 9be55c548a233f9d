"""Thresholds on trial."""

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys


def judged(person, good_below: float, bad_above: float) -> dict[str, str]:
    """What the history should show at these thresholds."""

    def outcome(score: float) -> str:
        return "good" if score < good_below else "bad" if score > bad_above else "look-again"

    return {record["name"]: outcome(record["score"]) for record in person.station.verdicts()}


def thresholds(person) -> tuple[float, float]:
    low, high = (person[f"{name}-number"].get_attribute("value") for name in ("good-below", "bad-above"))
    return float(low), float(high)


def test_by_key_all_is_judged_again_and_nothing_is_changed(person):
    score = person.choose("doubtful.png")["score"]
    before, records, in_use = person.history(), person.station.verdicts(), thresholds(person)
    assert before == judged(person, *in_use)
    assert set(before.values()) == {"good", "look-again", "bad"}
    person.press("t")
    assert person.browser.switch_to.active_element.get_attribute("id") == "good-below"
    for _ in range(60):
        person.press(Keys.ARROW_RIGHT)
        low, high = thresholds(person)
        if low > score:
            break
    assert in_use[0] < score < low < high == in_use[1]
    assert person.history() == judged(person, low, high) != before
    assert person.reads("word") == "good"
    assert "look again" in person.reads("trial")
    assert person.reads("tally").startswith("trial: ")
    assert f"--good-below {low:g} --bad-above {high:g}" in person.reads("status")
    person.photograph("trial")
    assert person.station.verdicts() == records
    person.press(Keys.ESCAPE)
    assert person.history() == before
    assert not person["trial"].is_displayed()


def test_one_threshold_pushes_the_other(person):
    person.press("t", Keys.END)
    low, high = thresholds(person)
    assert low == high
    assert set(person.history().values()) == {"good"}


def test_by_dragging_and_by_number(person):
    in_use = thresholds(person)
    drag = ActionChains(person.browser).move_to_element_with_offset(person["bad-above"], 8, 0).click_and_hold()
    drag.move_by_offset(60, 0).move_by_offset(100, 0).release().perform()
    person.settle()
    low, high = thresholds(person)
    assert (low, high > in_use[1]) == (in_use[0], True)
    assert person.history() == judged(person, low, high)
    field = person["bad-above-number"]
    field.clear()
    field.send_keys("0.7", Keys.ENTER)
    person.settle()
    assert person.history() == judged(person, in_use[0], 0.7)
    person["reset"].click()
    assert thresholds(person) == in_use


def test_a_filter_by_verdict_is_one_by_the_trial(person):
    person.all("#verdicts [data-verdict=good]")[0].click()
    person.press("t", Keys.END)
    names = {record["name"] for record in person.station.verdicts()}
    person.wait(lambda: set(person.history()) == names)
    person.press(Keys.ESCAPE)
    good = {record["name"] for record in person.station.verdicts() if record["verdict"] == "good"}
    person.wait(lambda: set(person.history()) == good)
