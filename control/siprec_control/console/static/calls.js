// The live calls, and the streams of the one that is chosen, as they change.

import { ask } from "/console/api.js";
import { field, make, say, set } from "/console/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const LOOKS = { recording: "go", paused: "wait", failed: "bad", stopped: "off", stopping: "off" };
const ENDED = ["stopped", "failed"];
// No event tells of what a stream goes through between two that people are told of.
const AGAIN_MS = 3000;

function since(start, end) {
  const seconds = Math.max(0, Math.floor((end - start) / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ""}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

// Shows the page in `main`; gives what ends it. `over` is called when the session is.
export function showCalls(main, session, over) {
  const root = `/2010-04-01/Accounts/${session.account_sid}/Calls`;
  const mayChange = session.scope !== "read";
  const calls = new Map();
  const rows = new Map();
  const changed = new Set();
  const abort = new AbortController();
  let chosen = "";
  let streams = [];
  let skew = 0;
  let frame = 0;
  let wait = 0;
  let renewing = false;
  let look = 0;

  const lead = make("p", { class: "lead" }, "Loading the calls…");
  const list = make("ul", { class: "calls", "aria-label": "Live calls" });
  const empty = make("p", { class: "empty", hidden: "" },
    "No call is live. One appears here as soon as it is answered.");
  const detail = make("section", { class: "sheet", "aria-label": "Chosen call" });
  main.replaceChildren(make("h1", {}, "Calls"), lead, make("div", { class: "columns" },
    make("section", { class: "sheet", "aria-label": "Calls" }, list, empty), detail));
  main.focus();

  const now = () => Date.now() + skew;

  function fail(error) {
    if (abort.signal.aborted) return;
    if (error.status === 401) over();
    else lead.textContent = `${error.message} Trying again…`;
  }

  async function load() {
    clearTimeout(wait);
    try {
      const found = await ask("GET", "/console/live", null, true);
      if (abort.signal.aborted) return;
      skew = found.now_ms - Date.now();
      calls.clear();
      for (const call of found.calls) calls.set(call.sid, call);
      if (!chosen && found.calls.length) choose(found.calls[0].sid);
      else if (chosen) changed.add(chosen);
      draw();
      await renew();
    } catch (error) {
      fail(error);
      if (!abort.signal.aborted && error.status !== 401) wait = setTimeout(load, 2000);
    }
  }

  // Reads what changed, each call once however much happened to it.
  // One reader at a time: an older answer must not come after a newer one.
  async function renew() {
    if (renewing) return;
    renewing = true;
    try {
      await renewAll();
    } finally {
      renewing = false;
    }
  }

  async function renewAll() {
    while (changed.size) {
      const [sid] = changed;
      changed.delete(sid);
      try {
        const call = await ask("GET", `${root}/${sid}.json`, null, true);
        const found = await ask("GET", `${root}/${sid}/Siprec.json`, null, true);
        if (abort.signal.aborted) return;
        call.siprec = found.siprec.filter((stream) => !ENDED.includes(stream.state));
        if (["in-progress", "ringing"].includes(call.status)) calls.set(sid, call);
        else calls.delete(sid);
        if (sid === chosen) show(call, found.siprec);
        draw();
      } catch (error) {
        fail(error);
        if (error.status === 401) return;
        if (error.status !== 404) {
          changed.add(sid);
          wait = setTimeout(renew, 2000);
          return;
        }
      }
    }
  }

  function draw() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; drawList(); });
  }

  function drawList() {
    for (const [sid, row] of rows) {
      if (!calls.has(sid)) {
        row.item.remove();
        rows.delete(sid);
      }
    }
    const sorted = [...calls.values()].sort((a, b) =>
      Date.parse(b.start_time) - Date.parse(a.start_time) || (a.sid < b.sid ? 1 : -1));
    let before = null;
    for (const call of sorted) {
      const row = rows.get(call.sid) || makeRow(call);
      const count = call.siprec.length;
      put(row.what, count ? `${count} ${count > 1 ? "streams" : "stream"}` : "not recorded");
      set(row.button, { "aria-current": call.sid === chosen ? "true" : null });
      const place = before ? before.nextSibling : list.firstChild;
      if (row.item !== place) list.insertBefore(row.item, place);
      before = row.item;
    }
    empty.hidden = calls.size > 0;
    put(lead, calls.size === 1 ? "1 call is live." : `${calls.size} calls are live.`);
    if (!chosen) detail.replaceChildren(make("p", { class: "empty" }, "Choose a call."));
    tick();
  }

  function put(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function makeRow(call) {
    const time = make("span", { class: "num" });
    const what = make("span", { class: "sub" });
    const button = make("button", { type: "button", onclick: () => choose(call.sid) },
      make("span", { class: "parties" }, `${call.from} → ${call.to}`), time, what);
    const row = { item: make("li", {}, button), button, time, what };
    rows.set(call.sid, row);
    return row;
  }

  function choose(sid) {
    chosen = sid;
    detail.replaceChildren(make("p", { class: "empty" }, "Loading the call…"));
    changed.add(sid);
    draw();
    renew();
  }

  const heading = make("h2");
  const facts = make("p", { class: "sub num" });
  const items = make("ul", { class: "streams", "aria-label": "Streams" });
  const none = make("p", { class: "sub" }, "Nothing of this call is recorded.");
  const fault = make("p", { class: "fault", role: "alert" });
  const form = make("form", { "aria-label": "Start a stream" }, make("div", { class: "fields" },
    field("Name", { name: "Name", autocomplete: "off" }),
    field("Connector", { name: "ConnectorName", value: "Default", autocomplete: "off" })),
    make("button", { type: "submit" }, "Start recording"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = [...new FormData(form)].filter(([, value]) => value);
    act(`${root}/${chosen}/Siprec.json`, fields, "Recording is being started");
  });
  const bars = new Map();

  function show(call, found) {
    streams = found;
    if (heading.parentNode !== detail) {
      fault.textContent = "";
      bars.clear();
      items.replaceChildren();
      detail.replaceChildren(heading, facts, none, items, fault, form);
    }
    put(heading, `${call.from} → ${call.to}`);
    set(facts, { "data-start": Date.parse(call.start_time) });
    set(facts, { "data-end": call.end_time ? Date.parse(call.end_time) : null });
    facts.dataset.status = call.status;
    none.hidden = found.length > 0;
    form.hidden = !mayChange || !calls.has(call.sid);
    for (const stream of [...found].reverse()) {
      const bar = bars.get(stream.sid) || makeBar(stream);
      const look = LOOKS[stream.state] || "wait";
      set(bar.state, { class: `state ${look}` });
      put(bar.state, stream.state);
      set(bar.rect, { class: look });
      put(bar.why, stream.error_message || "");
      const isOpen = !ENDED.includes(stream.state) && mayChange && calls.has(call.sid);
      bar.buttons.hidden = !isOpen;
      bar.pause.hidden = stream.state !== "recording";
      bar.resume.hidden = stream.state !== "paused";
    }
    clearTimeout(look);
    if (found.some((stream) => !ENDED.includes(stream.state))) look = setTimeout(lookAgain, AGAIN_MS);
    tick();
  }

  function lookAgain() {
    changed.add(chosen);
    renew();
  }

  function makeBar(stream) {
    const svg = document.createElementNS(SVG, "svg");
    const shape = (look) => {
      const rect = document.createElementNS(SVG, "rect");
      set(rect, { class: look, height: 6, rx: 3, width: 1000 });
      svg.append(rect);
      return rect;
    };
    set(svg, { class: "track", viewBox: "0 0 1000 6", preserveAspectRatio: "none",
      "aria-hidden": "true" });
    shape("all");
    const name = stream.name || stream.sid.slice(0, 10);
    const url = `${root}/${stream.call_sid}/Siprec/${stream.sid}.json`;
    const button = (text, status, said) => make("button", { type: "button", class: "quiet",
      "aria-label": `${text} ${name}`, onclick: () => act(url, [["Status", status]], said) }, text);
    const bar = { rect: shape("wait"), state: make("span"), why: make("p", { class: "sub" }),
      pause: button("Pause", "paused", `${name} is being paused`),
      resume: button("Resume", "in-progress", `${name} goes on`) };
    bar.buttons = make("div", { class: "row" }, bar.pause, bar.resume,
      button("Stop", "stopped", `${name} is being stopped`));
    items.prepend(make("li", { "data-sid": stream.sid }, make("div", { class: "top" },
      make("strong", {}, name), bar.state,
      make("span", { class: "sub" }, stream.connector_name)), svg, bar.why, bar.buttons));
    bars.set(stream.sid, bar);
    return bar;
  }

  async function act(url, fields, said) {
    fault.textContent = "";
    const sid = chosen;
    try {
      await ask("POST", url, fields);
      say(said);
    } catch (error) {
      if (error.status === 401) over();
      else fault.textContent = error.message;
    }
    changed.add(sid);
    renew();
  }

  // Clocks and bars move once a second.
  function tick() {
    for (const [sid, row] of rows) put(row.time, since(Date.parse(calls.get(sid)?.start_time), now()));
    if (!facts.dataset.start) return;
    const start = Number(facts.dataset.start);
    const end = Number(facts.dataset.end) || now();
    put(facts, `${facts.dataset.status} · ${since(start, end)} · ${chosen}`);
    const whole = Math.max(1000, end - start);
    for (const stream of streams) {
      const bar = bars.get(stream.sid);
      if (!bar) continue;
      const from = Math.max(0, Date.parse(stream.date_created) - start) / whole;
      const isOver = ENDED.includes(stream.state);
      const to = isOver ? (Date.parse(stream.date_updated) - start) / whole : 1;
      set(bar.rect, { x: Math.min(990, from * 1000),
        width: Math.max(10, Math.min(1, to) * 1000 - from * 1000) });
    }
  }

  const clock = setInterval(tick, 1000);
  const link = document.getElementById("link");
  let events = null;
  let again = 0;

  function listen() {
    events = new EventSource("/console/events");
    events.onopen = () => put(link, "Live");
    events.onerror = () => {
      put(link, "Connection lost, trying again…");
      // A browser gives up by itself when the server refuses.
      if (events.readyState === EventSource.CLOSED) again = setTimeout(listen, 2000);
      ask("GET", "/console/session", null, true).catch(fail);
    };
    events.onmessage = (message) => {
      const { kind, call_sid: sid } = JSON.parse(message.data);
      if (kind === "reload") load();
      else if (sid && kind !== "alert") {
        changed.add(sid);
        renew();
      }
    };
  }

  listen();
  load();

  return () => {
    abort.abort();
    events.close();
    clearInterval(clock);
    clearTimeout(wait);
    clearTimeout(again);
    clearTimeout(look);
    cancelAnimationFrame(frame);
  };
}
