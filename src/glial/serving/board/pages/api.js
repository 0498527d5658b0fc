// What is asked of the server, and how its news are heard.

export async function getJson(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw await failure(answer);
  return answer.json();
}

export async function putJson(path, value) {
  const headers = { "content-type": "application/json", "x-glial": "change" };
  const answer = await fetch(path, { method: "PUT", headers, body: JSON.stringify(value) });
  if (!answer.ok) throw await failure(answer);
  return answer.json();
}

async function failure(answer) {
  try {
    const { error } = await answer.json();
    return new Error([error.message, error.got, error.do].filter(Boolean).join(". "));
  } catch {
    return new Error(`the server answered ${answer.status}`);
  }
}

// Curves come as one block of numbers: a heading with ids and lengths, then x and y of each run.
export async function getCurves(quantity, axis, since = 0) {
  const query = new URLSearchParams({ quantity, axis, since });
  const answer = await fetch(`/api/curves?${query}`);
  if (!answer.ok) throw await failure(answer);
  const block = await answer.arrayBuffer();
  const length = new DataView(block).getUint32(0, true);
  const heads = JSON.parse(new TextDecoder().decode(new Uint8Array(block, 4, length)));
  const found = new Map();
  let place = 4 + length;
  for (const [id, count] of heads) {
    const x = new Float32Array(block, place, count);
    const y = new Float32Array(block, place + 4 * count, count);
    place += 8 * count;
    found.set(id, { x, y });
  }
  return found;
}

// News come as a stream; where it breaks off it is asked for again, later and later. A page that
// nobody looks at asks for nothing.
export function listen(version, heard, told) {
  let source = null;
  let wait = 1000;
  const start = () => {
    if (source || document.hidden) return;
    source = new EventSource(`/api/news?since=${version()}`);
    source.onopen = () => { wait = 1000; told("live"); };
    source.onmessage = (event) => heard(JSON.parse(event.data));
    source.onerror = () => {
      stop();
      told("lost");
      setTimeout(start, wait);
      wait = Math.min(30000, wait * 2);
    };
  };
  const stop = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  start();
}
