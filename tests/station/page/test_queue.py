"""Images on their way: what is refused, and what is sent again."""

FULL_ONCE = """
const Real = window.XMLHttpRequest;
window.XMLHttpRequest = class extends Real {
  send(body) {
    window.XMLHttpRequest = Real;
    Object.defineProperty(this, "status", { value: 429 });
    Object.defineProperty(this, "response", { value: { error: "the queue is full; try again" } });
    this.getResponseHeader = () => "1";
    setTimeout(() => this.onload(), 50);
  }
};
"""
SPEED = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


def test_what_cannot_be_read_is_a_line_and_the_rest_goes_on(person, console, spoiled):
    person.drop({"broken.png": b"no image", "fine.png": spoiled(0.1, seed=5), "notes.txt": b"no image either"})
    person.wait(lambda: "fine.png" in person.history() and not person.is_working())
    lines = [line.text for line in person.all("#failures li")]
    assert sorted(line.partition(":")[0] for line in lines) == ["broken.png", "notes.txt"]
    assert all("422" in line for line in console())
    person["forget"].click()
    assert not person["failed"].is_displayed()


def test_a_full_station_is_given_its_time(person, spoiled):
    person.browser.execute_script(FULL_ONCE)
    person.drop({"patient.png": spoiled(0.1, seed=6)})
    person.wait(lambda: "the station is full: again in 1 s" in person.reads("worked"))
    person.wait(lambda: "patient.png" in person.history() and not person.is_working())
    assert not person.all("#failures li")


def test_a_lost_network_is_told_and_waited_for(person, console, spoiled):
    person.browser.execute_cdp_cmd("Network.enable", {})
    person.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **SPEED})
    person.drop({"lost.png": spoiled(0.1, seed=7)})
    person.wait(lambda: person["connection"].get_attribute("data-state") == "lost")
    person.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **SPEED})
    person.wait(lambda: "lost.png" in person.history() and not person.is_working())
    person.wait(lambda: person["connection"].get_attribute("data-state") == "there")
    assert all("ERR_INTERNET_DISCONNECTED" in line for line in console())
