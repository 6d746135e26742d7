// Keeps a page up to date: fetches it again when the server reports a change by a server-sent event.
// Without this script everything works, but the reader has to reload the page by hand.
const script = document.querySelector("script[data-live]");
const said = document.getElementById("live");
const OLD_AFTER = 10 * 60e3; // in milliseconds, the same as STALE_AFTER on the server
const REST = 3e3; // the pause between two fetches, in milliseconds
let changed = false; // since the last fetch
let fetching = false;
let fetchedAt = Date.now();

function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

// Whether the reader has changed a field. The page is not replaced until the form is sent or reset.
function isTyping() {
  const fields = document.querySelectorAll("main input:not([type=hidden]), main textarea, main select");
  return [...fields].some((field) =>
    field.options
      ? [...field.options].some((option) => option.selected !== option.defaultSelected) && !isAsFirst(field)
      : field.value !== field.defaultValue,
  );
}

// A list without a default option shows its first one, so that choice is no change.
function isAsFirst(list) {
  return list.selectedIndex === 0 && ![...list.options].some((option) => option.defaultSelected);
}

async function refresh() {
  if (fetching || !changed || document.hidden || isTyping()) return;
  fetching = true;
  changed = false;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    show(fresh);
    fetchedAt = Date.now();
    say("Up to date");
  } catch {
    say(`Not up to date since ${clock(fetchedAt)}: the server does not answer`);
  }
  age();
  setTimeout(() => {
    fetching = false;
    refresh();
  }, REST);
}

// Replaces the content of the page, and keeps the focus and the unfolded sections.
function show(fresh) {
  const now = document.getElementById("main");
  const then = fresh.getElementById("main");
  if (!then || isTyping()) return void (changed = true);
  const focused = document.activeElement;
  const links = [...now.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const place = links.indexOf(focused);
  const key = focused?.id || focused?.getAttribute?.("href");
  for (const section of now.querySelectorAll("details[id][open]")) {
    fresh.getElementById(section.id)?.setAttribute("open", "");
  }
  document.title = fresh.title;
  now.replaceChildren(...then.childNodes);
  if (place < 0) return;
  const after = [...now.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const same = after.filter((element) => (element.id || element.getAttribute("href")) === key);
  (same.includes(after[place]) ? after[place] : same[0])?.focus({ preventScroll: true });
}

function say(text) {
  if (said.textContent !== text) said.textContent = text;
}

// Shows an old page in grey, so that its content is not taken for current.
function age() {
  document.documentElement.classList.toggle("old", Date.now() - fetchedAt > OLD_AFTER);
}

const source = new EventSource(script.dataset.live);
source.addEventListener("begun", () => {
  // A change may have been missed while the connection was broken.
  if (said.textContent) changed = true;
  say("Up to date");
  refresh();
});
source.addEventListener("changed", () => {
  changed = true;
  refresh();
});
source.addEventListener("error", () => {
  say(`Not up to date since ${clock(fetchedAt)}: no connection`);
});
document.addEventListener("visibilitychange", refresh);
document.addEventListener("focusout", refresh);
addEventListener("pagehide", () => source.close());
setInterval(age, 30e3);
