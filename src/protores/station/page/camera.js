// A camera through the browser: what it sees now, and one picture of it when asked.

import { $, element } from "./dom.js";

const WHY = {
  NotAllowedError: "the browser may not use the camera: allow it beside the address, then press Camera again",
  NotFoundError: "no camera was found: plug one in, then press Camera again",
  NotReadableError: "the camera is in use by another program: close that, then press Camera again",
};

export class Camera {
  /** told: {changed(), failed(line)}. */
  constructor(told) {
    this.told = told;
    this.stream = null;
    $("device").addEventListener("change", () => this.start($("device").value));
  }

  get on() { return this.stream !== null; }

  /** device: its id; the browser's first choice without one. */
  async start(device) {
    this.stop();
    if (!navigator.mediaDevices) {
      this.told.failed("browsers give a camera to https and to localhost alone: open the station in one of these ways");
      return;
    }
    const video = { width: { ideal: 3840 }, height: { ideal: 2160 } };
    if (device) video.deviceId = { exact: device };
    else video.facingMode = "environment";
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      this.told.failed(WHY[error.name] ?? `the camera did not start: ${error.message}`);
      return;
    }
    const [track] = this.stream.getVideoTracks();
    track.addEventListener("ended", () => { this.stop(); this.told.failed("the camera went away: plug it in, then press Camera again"); });
    $("video").srcObject = this.stream;
    await $("video").play();
    await this.#list(track.getSettings().deviceId);
    this.told.changed();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = $("video").srcObject = null;
    this.told.changed();
  }

  async #list(used) {
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
    $("device").hidden = cameras.length < 2;
    $("device").replaceChildren(...cameras.map((one, k) => element("option", { value: one.deviceId }, one.label || `camera ${k + 1}`)));
    $("device").value = used;
  }

  /** {file, name} of the picture seen now, as PNG: nothing is lost in it. */
  async picture() {
    const video = $("video"), canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
    return { file: await canvas.convertToBlob({ type: "image/png" }), name: `camera ${time}.png` };
  }
}
