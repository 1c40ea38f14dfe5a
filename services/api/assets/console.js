// Makes the pages move. Every page works without it, and nothing is decided here: what is shown was rendered by the
// server, and comes whole.
"use strict";

// Brings `now` in line with `next` in place, so that focus, selection and transitions survive.
function align(now, next) {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) {
    now.replaceWith(next);
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
    return;
  }
  for (const { name } of [...now.attributes]) {
    // What somebody has opened stays open.
    if (!next.hasAttribute(name) && !(name === "open" && now.nodeName === "DETAILS")) now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  alignChildren(now, next);
}

function alignChildren(now, next) {
  const [have, want] = [[...now.childNodes], [...next.childNodes]];
  want.forEach((child, at) => (at < have.length ? align(have[at], child) : now.append(child)));
  have.slice(want.length).forEach((child) => child.remove());
}

const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
const asking = () => document.querySelector("dialog[open]") !== null;

// For when the server no longer talks to this page: what it says to a new one tells why.
function reloadLater() {
  setTimeout(() => (asking() || document.hidden ? reloadLater() : location.reload()), 10000);
}

// One campaign: the server sends its live part whenever it has changed. Only while somebody looks, for a browser has few
// connections to one server, and other tabs need theirs.
function follow(live) {
  let source = null;
  const stop = () => (source = source?.close() ?? null);
  function start() {
    if (source || !live.dataset.events || document.hidden) return;
    source = new EventSource(live.dataset.events);
    source.addEventListener("progress", (event) => {
      alignChildren(live, parsed(event.data).body);
      if (!live.querySelector("[data-opens]")) document.querySelector("dialog[open]")?.close();
    });
    source.addEventListener("end", () => {
      delete live.dataset.events;
      stop();
    });
    source.addEventListener("error", () => {
      // Otherwise the browser is connecting again by itself.
      if (source?.readyState === EventSource.CLOSED) reloadLater();
    });
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", start);
  start();
}

// The list: asked for again while something on it runs and somebody looks.
function poll(list) {
  const again = () => setTimeout(look, Number(list.dataset.poll));
  async function look() {
    if (!list.dataset.poll) return;
    if (document.hidden) return again();
    list.ariaBusy = "true";
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const next = answer.ok && parsed(await answer.text()).getElementById("list");
      if (!next) return reloadLater();
      align(list, next);
    } catch {
      // The server is away: the next look may find it again.
    }
    list.ariaBusy = "false";
    again();
  }
  again();
}

// What a text costs, while it is written. The server counts; without it the review tells.
function count(text) {
  const output = document.getElementById(text.dataset.segments);
  let waiting = 0;
  let asking = null;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    asking?.abort();
    waiting = setTimeout(async () => {
      asking = new AbortController();
      try {
        const body = new URLSearchParams({ body: text.value });
        const answer = await fetch("/compose/segments", { method: "POST", body, signal: asking.signal });
        if (answer.ok) output.value = await answer.text();
      } catch {
        // The next letter asks again.
      }
    }, 400);
  });
}

// Whom the form reaches, while its filters change. About so many first, where the exact number takes a while. What
// fails says so and is asked again, ever more slowly; nothing is asked while nobody looks.
const COUNT_WITHIN = 40000;
const COUNT_AGAIN = 1500;
const COUNT_AGAIN_MAX = 30000;
const UNCOUNTED = "Choose who gets it, and how, to have it counted here.";
function reach(output) {
  const { form } = output;
  let waiting = 0;
  let asking = null;
  let failed = 0;
  async function ask() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => later(0), { once: true });
      return;
    }
    const mine = (asking = new AbortController());
    output.value ||= "Counting…";
    const late = setTimeout(() => mine.abort(), COUNT_WITHIN);
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch("/compose/count", { method: "POST", body, signal: mine.signal });
      if (answer.status >= 500) throw new Error(answer.statusText);
      // Else the form says too little yet, or one is not signed in any more, which the next step tells.
      const counted = answer.status === 200 ? await answer.json() : { words: UNCOUNTED, again: false };
      if (mine !== asking) return;
      failed = 0;
      output.value = counted.words;
      if (counted.again) later(COUNT_AGAIN);
    } catch {
      if (mine !== asking) return;
      output.value = "The people cannot be counted at the moment; trying again…";
      later(Math.min(COUNT_AGAIN * 2 ** failed++, COUNT_AGAIN_MAX));
    } finally {
      clearTimeout(late);
    }
  }
  // A question that another takes the place of is dropped, on its way or not begun.
  function later(wait) {
    clearTimeout(waiting);
    asking?.abort();
    asking = null;
    waiting = setTimeout(ask, wait);
  }
  form.addEventListener("change", (event) => event.target.closest("#who, #channel, #message_type") && later(200));
  later(0);
}

// To load a page again sends a form once more, where it came of one.
function reload(button) {
  button.hidden = false;
  button.addEventListener("click", () => location.reload());
}

// Listened for on the document, because the live part is exchanged under us.
document.addEventListener("submit", (event) => {
  const dialog = event.target.dataset.opens && document.getElementById(event.target.dataset.opens);
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});
document.addEventListener("change", (event) => event.target.form?.matches("[data-submits]") && event.target.form.requestSubmit());

// A long report: the server tells with each part of the file how many rows are done, so that the bar shows what is so.
const FRAMES = "application/x-tocsin-frames";
const ENDED = "The report broke off: build it again.";

// Frames of length, rows done and bytes. `take` gets each.
async function readFrames(body, take) {
  const reader = body.getReader();
  let rest = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const have = new Uint8Array(rest.length + value.length);
    have.set(rest);
    have.set(value, rest.length);
    let at = 0;
    while (have.length - at >= 8) {
      const head = new DataView(have.buffer, at, 8);
      const end = at + 8 + head.getUint32(0);
      if (end > have.length) break;
      take(head.getUint32(4), have.slice(at + 8, end));
      at = end;
    }
    rest = have.slice(at);
  }
  if (rest.length) throw new Error("the last frame is not whole");
}

async function build(form) {
  const shown = document.getElementById(form.dataset.reports);
  const [bar, words, link] = shown.querySelectorAll("progress, p, a");
  const query = new URLSearchParams(new FormData(form));
  const button = form.querySelector("button");
  if (link.href) URL.revokeObjectURL(link.href);
  shown.hidden = false;
  link.hidden = button.disabled = true;
  bar.removeAttribute("value");
  words.textContent = "Waiting for its turn…";
  try {
    const answer = await fetch(`${form.action}?${query}`, { headers: { accept: FRAMES } });
    if (answer.headers.get("content-type") !== FRAMES) {
      // Why there is none stands on a page.
      location.assign(`${form.action}?${query}`);
      return;
    }
    const rows = Number(answer.headers.get("tocsin-rows"));
    const parts = [];
    bar.max = Math.max(rows, 1);
    await readFrames(answer.body, (done, part) => {
      parts.push(part);
      bar.value = done;
      words.textContent = `${done.toLocaleString("en-US")} of ${rows.toLocaleString("en-US")} rows`;
    });
    const type = answer.headers.get("tocsin-content-type");
    const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"));
    link.href = URL.createObjectURL(new Blob(parts, { type }));
    if (type === "application/pdf") link.target = "_blank";
    else link.download = name ? name[1] : "report";
    bar.value = bar.max;
    words.textContent = "The report is ready.";
    link.hidden = false;
    link.focus();
  } catch {
    bar.value = 0;
    words.textContent = ENDED;
  } finally {
    button.disabled = false;
  }
}
document.addEventListener("submit", (event) => {
  if (!event.target.dataset.reports) return;
  event.preventDefault();
  build(event.target);
});

document.querySelectorAll("[data-events]").forEach(follow);
document.querySelectorAll("[data-poll]").forEach(poll);
document.querySelectorAll("[data-segments]").forEach(count);
document.querySelectorAll("[data-reach]").forEach(reach);
document.querySelectorAll("[data-reload]").forEach(reload);
// A form that came back says first what is to be mended.
document.querySelector(".faults")?.focus();
