"""A station that asks for its token."""

from selenium.webdriver.common.keys import Keys

TOKEN = "correct-horse-battery-staple"


def test_it_is_asked_for_once(filled, serving, shown_bundle, spoiled, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    with serving(shown_bundle, tmp_path / "store", "--token-file", str(tmp_path / "token")) as address:
        station = type(filled.station)(address, TOKEN)
        person = type(filled)(filled.browser, station, filled.pictures)
        person.browser.get(address)
        person.wait(lambda: person["token"].is_displayed())
        person.photograph("token")
        person["token"].send_keys("wrong-horse", Keys.ENTER)
        person.wait(lambda: person.reads("token-wrong") == "That was not it.")
        person["token"].send_keys(TOKEN, Keys.ENTER)
        person.wait(lambda: person["connection"].get_attribute("data-state") == "there")
        person.drop({"one.png": spoiled(0.5)})
        person.wait(lambda: "one.png" in person.history())
        person.wait(lambda: person.sees().any())
        person.reload()
        assert not person["token"].is_displayed()
        assert [record["name"] for record in station.verdicts()] == ["one.png"]
    person.browser.get_log("browser")
