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
    if (!next.hasAttribute(name)) now.removeAttribute(name);
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
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const next = answer.ok && parsed(await answer.text()).getElementById("list");
      if (!next) return reloadLater();
      align(list, next);
    } catch {
      // The server is away: the next look may find it again.
    }
    again();
  }
  again();
}

// What a text costs, while it is written. The server counts; without it the review tells.
function count(text) {
  const output = document.getElementById(text.dataset.segments);
  let waiting = 0;
  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      try {
        const body = new URLSearchParams({ body: text.value });
        const answer = await fetch("/compose/segments", { method: "POST", body });
        if (answer.ok) output.value = await answer.text();
      } catch {
        // The next letter asks again.
      }
    }, 400);
  });
}

// Listened for on the document, because the live part is exchanged under us.
document.addEventListener("submit", (event) => {
  const dialog = event.target.dataset.opens && document.getElementById(event.target.dataset.opens);
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});
document.addEventListener("change", (event) => event.target.form?.matches("[data-submits]") && event.target.form.requestSubmit());

document.querySelectorAll("[data-events]").forEach(follow);
document.querySelectorAll("[data-poll]").forEach(poll);
document.querySelectorAll("[data-segments]").forEach(count);
// A form that came back says first what is to be mended.
document.querySelector(".faults")?.focus();
