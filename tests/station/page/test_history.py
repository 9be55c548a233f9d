"""What was inspected, what was said about it, and what of it is shown."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ADD = """
const [many, done] = arguments;
window.fetch = async () => new Response(new Blob());
import("/static/history.js").then(({ History }) => {
  const told = { picked() {}, changed() {}, trial: () => false, verdictOf: (record) => record.verdict, lost() {} };
  const history = new History(told), before = document.querySelectorAll("#list li").length;
  for (let k = 0; k < many; k += 1) {
    const id = k.toString(16).padStart(16, "0"), time = new Date(4e12 + k).toISOString();
    history.add({ id, time, name: `${k}.png`, score: 0.5, verdict: "good", feedback: null });
  }
  const { records, next } = history, shown = document.querySelectorAll("#list li").length - before;
  done([records.length, shown, parseInt(records[0].id, 16), next === records.at(-1).id]);
});
"""


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


def test_after_a_choice_by_mouse_the_keys_judge_again_and_by_keyboard_they_choose_on(person):
    choose = "arguments[0].value = 'none'; arguments[0].dispatchEvent(new Event('change', { bubbles: true }))"
    person["feedback"].click()
    person.browser.execute_script(choose, person["feedback"])
    assert person.asks("document.activeElement.id") == ""
    person.browser.execute_script("arguments[0].focus()", person["feedback"])
    person.browser.execute_script(choose, person["feedback"])
    assert person.asks("document.activeElement.id") == "feedback"
    person["feedback"].find_element(By.CSS_SELECTOR, "option[value='']").click()


def test_a_defect_without_a_mask_is_said_not_to_train(person):
    person.choose("faint.png")
    person.press("b")
    person.wait(lambda: person.reads("said") == "missed defect · paint a mask to train on it")
    person.press(Keys.DELETE)
    person.wait(lambda: person.reads("said") == "nothing said yet")


def test_a_thumbnail_keeps_its_size_when_it_is_judged(person):
    person.choose("ruined.png")
    sizes = [(one.size["width"], one.size["height"]) for one in person.all("#list button")]
    person.press("g")
    person.wait(lambda: any(mark.text for mark in person.all("#list .mark")))
    assert [(one.size["width"], one.size["height"]) for one in person.all("#list button")] == sizes
    person.press(Keys.DELETE)
    person.wait(lambda: person.reads("said") == "nothing said yet")


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


@pytest.mark.parametrize(("many", "kept"), [(1200, 1200), (1300, 699)])
def test_a_page_that_stays_open_does_not_grow_for_ever(person, many, kept):
    records, shown, newest, goes_on = person.browser.execute_async_script(ADD, many)
    assert records == shown == kept
    assert newest == many - 1
    assert goes_on == (kept < many)
