// The station's HTTP interface. A refusal has the server's one line; Offline means that nothing answered.

class Refusal extends Error {
  constructor(status, message, wait = 0) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}
export class Offline extends Error {}

const KEY = "protores-token";
let asking = null;
let askToken = async () => "";
export function onTokenNeeded(ask) { askToken = ask; }

/** One prompt, however many requests were refused at once. Resolves when there is a token to try. */
function renewToken(refused) {
  if (refused !== token()) return Promise.resolve();
  asking ??= askToken(refused !== null).then((given) => {
    sessionStorage.setItem(KEY, given);
    asking = null;
  });
  return asking;
}
const token = () => sessionStorage.getItem(KEY);
const headers = (more) => (token() === null ? more : { ...more, Authorization: `Bearer ${token()}` });

async function request(path, options = {}) {
  for (;;) {
    const used = token();
    let response;
    try {
      response = await fetch(path, { ...options, headers: headers(options.headers ?? {}) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Offline("the station does not answer");
    }
    if (response.status === 401) { await renewToken(used); continue; }
    if (!response.ok) throw new Refusal(response.status, await reason(response), retryAfter(response.headers.get("Retry-After")));
    return response;
  }
}

async function reason(response) {
  try {
    return (await response.json()).error ?? response.statusText;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}
const retryAfter = (text) => Math.min(60, Math.max(1, Number(text) || 1));

const json = async (path, options) => (await request(path, options)).json();
const post = (path, body) =>
  json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const model = () => json("/v1/model");
export const verdict = (id) => json(`/v1/verdicts/${id}`);
export function verdicts(asked, signal) {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  return json(`/v1/verdicts?${query}`, { signal });
}
export const say = (feedback) => post("/v1/feedback", feedback);
export const takeBack = (id) => json(`/v1/feedback/${id}`, { method: "DELETE" });
export const exported = async () => (await request("/v1/feedback/export")).blob();

/** An image of a record as a Blob. part: image, map or mask. side: the longer one, at most; options: of fetch. */
export async function picture(id, part, { side, ...options } = {}) {
  const response = await request(`/v1/verdicts/${id}/${part}${side ? `?max=${side}` : ""}`, options);
  try {
    return await response.blob();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Offline("the station does not answer");
  }
}

/** Sends one image; progress(share) while it goes up. fetch does not tell how far an upload is, so this does not use it. */
export function inspect(file, name, progress, signal) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest(), used = token();
    sent.open("POST", "/v1/inspect");
    sent.responseType = "json";
    sent.setRequestHeader("Content-Type", /^image\//.test(file.type) ? file.type : "application/octet-stream");
    sent.setRequestHeader("X-Name", encodeURIComponent(name));
    for (const [key, value] of Object.entries(headers({}))) sent.setRequestHeader(key, value);
    sent.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    sent.onerror = () => reject(new Offline("the station does not answer"));
    sent.onabort = () => reject(new DOMException("stopped", "AbortError"));
    sent.onload = () => {
      if (sent.status === 401) { resolve(renewToken(used).then(() => inspect(file, name, progress, signal))); return; }
      const record = sent.response?.verdicts?.[0];
      if (sent.status === 200 && record && !record.error) { resolve(record); return; }
      const line = record?.error ?? sent.response?.error ?? `${sent.status} ${sent.statusText}`;
      reject(new Refusal(sent.status, line, retryAfter(sent.getResponseHeader("Retry-After"))));
    };
    signal.addEventListener("abort", () => sent.abort());
    sent.send(file);
  });
}
