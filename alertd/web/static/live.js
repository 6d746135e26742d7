// Keeps a page up to date: the server says that something has changed, and the page is fetched anew.
// Without it everything works; one just has to reload by hand.
const script = document.querySelector("script[data-live]");
const said = document.getElementById("live");
const OLD_AFTER = 10 * 60e3; // as the server has it
const REST = 3e3; // between two fetches
let changed = false; // since it was fetched last
let fetching = false;
let fetchedAt = Date.now();

function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

// Whoever is typing is left alone until the form is sent, or is as it was.
function isTyping() {
  const fields = document.querySelectorAll("main input:not([type=hidden]), main textarea, main select");
  return [...fields].some((field) =>
    field.options
      ? [...field.options].some((one) => one.selected !== one.defaultSelected) && !isAsFirst(field)
      : field.value !== field.defaultValue,
  );
}

// A list in which nothing is marked shows its first entry.
function isAsFirst(list) {
  return list.selectedIndex === 0 && ![...list.options].some((one) => one.defaultSelected);
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

// Puts the new content in place of the old; what is focused and what is unfolded stay so.
function show(fresh) {
  const now = document.getElementById("main");
  const then = fresh.getElementById("main");
  if (!then || isTyping()) return void (changed = true);
  const focused = document.activeElement;
  const links = [...now.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const place = links.indexOf(focused);
  const key = focused?.id || focused?.getAttribute?.("href");
  for (const one of now.querySelectorAll("details[id][open]")) {
    fresh.getElementById(one.id)?.setAttribute("open", "");
  }
  document.title = fresh.title;
  now.replaceChildren(...then.childNodes);
  if (place < 0) return;
  const after = [...now.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const same = after.filter((one) => (one.id || one.getAttribute("href")) === key);
  (same.includes(after[place]) ? after[place] : same[0])?.focus({ preventScroll: true });
}

function say(text) {
  if (said.textContent !== text) said.textContent = text;
}

// What is old is grey, so that nobody takes it for what is so.
function age() {
  document.documentElement.classList.toggle("old", Date.now() - fetchedAt > OLD_AFTER);
}

const source = new EventSource(script.dataset.live);
source.addEventListener("begun", () => {
  // After a break something may have been missed.
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
