// What the page asks of the server: one request after the other, and a stream of frames.

let last = Promise.resolve();

const HEADERS = { "content-type": "application/json", "x-glial": "change" };

export async function ask(path, body, method = "POST") {
  const options = { method, headers: HEADERS };
  if (method !== "GET") options.body = JSON.stringify(body ?? {});
  const response = await fetch(`/playground${path}`, options);
  const values = await response.json();
  if (!response.ok) throw Object.assign(new Error(said(values.error)), { status: response.status });
  return values;
}

export function close(session) {
  fetch(`/playground/sessions/${session}`, { method: "DELETE", headers: HEADERS, keepalive: true });
}

export function inTurn(work) {
  const next = last.then(work);
  last = next.catch(() => {});
  return next;
}

export function frames(session, draw, lost) {
  const stream = new EventSource(`/playground/sessions/${session}/frames`);
  stream.addEventListener("message", (event) => draw(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) lost();
  });
  return stream;
}

function said(error) {
  if (!error) return "The server did not answer as expected.";
  const expected = error.expected ? ` Expected: ${error.expected}.` : "";
  return `${error.message}.${expected}${error.do ? ` ${error.do}.` : ""}`;
}
