"""Images and maps as a browser can show them."""

import cv2
import numpy as np

from protores import Inspector


def decoded(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def inspected(client, content: bytes) -> str:
    return client.post("/v1/inspect", content=content).json()["verdicts"][0]["id"]


def test_any_image_is_shown_as_it_was_inspected(client, image):
    deep = image.astype(np.uint16) * 16  # the bundle's bit depth is 12
    for pixels, ending in ((deep, ".tiff"), (image, ".ppm")):
        content = cv2.imencode(ending, pixels[..., ::-1])[1].tobytes()
        answer = client.get(f"/v1/verdicts/{inspected(client, content)}/image")
        assert answer.headers["Content-Type"] == "image/png"
        shown = decoded(answer.content)[..., ::-1]
        assert shown.dtype == np.uint8
        assert np.abs(shown.astype(int) - image).max() <= 1


def test_a_thumbnail_has_its_longer_side(client, png):
    id = inspected(client, png)
    assert decoded(client.get(f"/v1/verdicts/{id}/image?max=60").content).shape == (33, 60, 3)
    assert decoded(client.get(f"/v1/verdicts/{id}/image?max=500").content).shape == (100, 180, 3)
    assert client.get(f"/v1/verdicts/{id}/image?max=0").status_code == 422


def test_a_map_is_the_inspectors_over_the_image_alone(make_bundle, make_client, image, png):
    bundle = make_bundle(keep_aspect=True, name="aspect")
    client = make_client(bundle=bundle)
    shown = decoded(client.get(f"/v1/verdicts/{inspected(client, png)}/map").content)
    found = Inspector(bundle)(image)
    top, left, height, width = found.box
    assert (height, width) != found.network_map.shape
    inside = found.network_map[top : top + height, left : left + width]
    assert shown.shape == inside.shape
    assert np.abs(shown / 255 - inside).max() <= 0.5 / 255 + 1e-6


def test_what_is_not_there_is_404(client):
    for path in ("", "/image", "/map", "/mask"):
        answer = client.get(f"/v1/verdicts/{'0' * 16}{path}")
        assert answer.status_code == 404
        assert answer.json().keys() == {"error"}
    assert client.get(f"/v1/verdicts?before={'0' * 16}").status_code == 404
