"""A camera of the browser: Chromium brings one that shows a moving disc."""


def test_the_space_bar_inspects_what_it_sees(person):
    before = {record["id"] for record in person.station.verdicts()}
    person.press("c")
    person.wait(lambda: person.asks("document.getElementById('video').videoWidth > 0"))
    person.photograph("camera")
    person.press(" ")
    person.wait(lambda: person.reads("name").startswith("camera "))
    (taken,) = [record for record in person.station.verdicts() if record["id"] not in before]
    video = "document.getElementById('video')"
    assert taken["size"] == person.asks(f"[{video}.videoHeight, {video}.videoWidth]")
    pixels = person.station.image(f"/v1/verdicts/{taken['id']}/image")
    assert len(set(map(tuple, pixels[::20, ::20].reshape(-1, 3)))) > 2
    person.photograph("captured")
    person.press("c")
    assert not person["live"].is_displayed()
    assert person.asks("document.getElementById('video').srcObject") is None
