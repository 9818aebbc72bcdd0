// The labeling page: marks spans or chooses classes, saves by the studio's label endpoint, watches the gate.
//
// Offsets are those of the document, not of the page: a browser shows CRLF as one line end, and counts
// UTF-16 units whatever the studio counts. Unsaved work stays in the page, and in the tab across reloads,
// until the studio acknowledged it or its author discards it.

const desk = JSON.parse(document.getElementById("desk").textContent);
const at = (id) => document.getElementById(id);
const LOOK_EVERY = 1500;
const DRAFT = `draft ${desk.path}`;
const entities = desk.kind === "entities";

let marks = []; // {start, end, category}: UTF-16 units of the document, end exclusive
let saved = desk.labels; // in the studio's own form, null if there is no decision
let changed = false;
let busy = false;
let open = desk.open;
let token = null;

// Offsets.

const shown = desk.text.replaceAll("\r\n", "\n");
const lineEnds = []; // where the page's text has "\n" and the document "\r\n"
for (const found of desk.text.matchAll(/\r\n/g)) lineEnds.push(found.index - lineEnds.length);

const toDocument = (place) => place + lineEnds.filter((end) => end < place).length;
const toPage = (place) => place - lineEnds.filter((end, before) => end + before < place).length;
const toWire = (place) => (desk.unit === "utf16" ? place : Array.from(desk.text.slice(0, place)).length);
const fromWire = (place) =>
  desk.unit === "utf16" ? place : Array.from(desk.text).slice(0, place).join("").length;

function selection() {
  const chosen = getSelection();
  if (!chosen.rangeCount) return null;
  const range = chosen.getRangeAt(0);
  if (!range.intersectsNode(at("text"))) return null;
  const place = (node, offset, otherwise) => {
    if (!at("text").contains(node)) return otherwise;
    const before = document.createRange();
    before.selectNodeContents(at("text"));
    before.setEnd(node, offset);
    return before.toString().length;
  };
  return {
    from: place(range.startContainer, range.startOffset, 0),
    to: place(range.endContainer, range.endOffset, shown.length),
  };
}

function selectedWord() {
  const found = selection();
  if (!found) return null;
  let { from, to } = found;
  while (from < to && /\s/.test(shown[from])) from++;
  while (from < to && /\s/.test(shown[to - 1])) to--;
  const half = (place) => /[\uDC00-\uDFFF]/.test(shown[place] ?? "");
  if (half(from)) from--;
  if (half(to)) to++;
  return from < to ? { start: toDocument(from), end: toDocument(to) } : null;
}

function putCursor(place) {
  const walker = document.createTreeWalker(at("text"), NodeFilter.SHOW_TEXT);
  let left = toPage(place);
  while (walker.nextNode()) {
    if (left <= walker.currentNode.length) {
      getSelection().collapse(walker.currentNode, left);
      return;
    }
    left -= walker.currentNode.length;
  }
}

// Work.

const inputs = () => [...document.querySelectorAll("#classes input")];
const word = (mark) => desk.text.slice(mark.start, mark.end);

function labels() {
  if (!entities) {
    const chosen = inputs().filter((input) => input.checked).map((input) => input.value);
    return desk.kind === "multi" ? chosen : (chosen[0] ?? null);
  }
  return marks.map((mark) => {
    const [start, end] = [toWire(mark.start), toWire(mark.end)];
    return desk.studio === "language"
      ? { category: mark.category, offset: start, length: end - start }
      : { label: mark.category, offsetStart: start, offsetEnd: end };
  });
}

function load(given) {
  if (entities) {
    marks = (given ?? []).map((one) =>
      desk.studio === "language"
        ? { start: one.offset, end: one.offset + one.length, category: one.category }
        : { start: fromWire(one.offsetStart), end: fromWire(one.offsetEnd), category: one.label },
    );
    draw();
  } else {
    const chosen = [given ?? []].flat();
    for (const input of inputs()) input.checked = chosen.includes(input.value);
  }
}

function change() {
  changed = true;
  sessionStorage.setItem(DRAFT, JSON.stringify(labels()));
}

function settle(given) {
  saved = given;
  changed = false;
  sessionStorage.removeItem(DRAFT);
  at("kept").hidden = true;
}

function mark(category) {
  const place = selectedWord();
  if (!open) return;
  if (!place) {
    say("Select the text to mark first.");
    return;
  }
  const added = { ...place, category };
  const same = (one) => one.start === added.start && one.end === added.end && one.category === category;
  if (marks.some(same)) return;
  marks = [...marks, added].sort((a, b) => a.start - b.start || a.end - b.end);
  change();
  draw();
  at("text").focus();
  putCursor(added.end);
  say(`“${word(added)}” is marked as ${category}. Not saved yet.`);
}

function remove(unwanted) {
  marks = marks.filter((one) => one !== unwanted);
  change();
  draw();
  at("text").focus();
  putCursor(unwanted.end);
  say(`${unwanted.category} was removed from “${word(unwanted)}”. Not saved yet.`);
}

// What is to be seen.

const say = (what) => (at("said").textContent = what);
const colour = (category) => `c${desk.categories.indexOf(category) % 8}`;

function draw() {
  const spans = marks.map((one) => ({ ...one, from: toPage(one.start), to: toPage(one.end) }));
  const cuts = [...new Set([0, shown.length, ...spans.flatMap((one) => [one.from, one.to])])];
  cuts.sort((a, b) => a - b);
  const parts = cuts.slice(1).map((to, index) => {
    const from = cuts[index];
    const covering = spans.filter((one) => one.from <= from && one.to >= to);
    const text = document.createTextNode(shown.slice(from, to));
    if (!covering.length) return text;
    const part = document.createElement("mark");
    part.className = colour(covering.at(-1).category);
    const ending = covering.filter((one) => one.to === to).map((one) => one.category);
    if (ending.length) part.dataset.last = ending.join(", ");
    part.append(text);
    return part;
  });
  at("text").replaceChildren(...parts);
  if (entities) at("marks").replaceChildren(...marks.map(line));
}

function line(one) {
  const item = document.createElement("li");
  const tag = document.createElement("span");
  tag.className = `tag ${colour(one.category)}`;
  tag.textContent = one.category;
  const what = document.createElement("span");
  what.className = "word";
  what.textContent = `“${word(one)}”`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Remove";
  button.setAttribute("aria-label", `Remove ${one.category} from “${word(one)}”`);
  button.disabled = !open;
  button.addEventListener("click", () => remove(one));
  item.append(tag, what, button);
  return item;
}

function keep(why) {
  at("kept-why").textContent = why;
  const lines = entities ? marks.map((one) => `${one.category}: ${word(one)}`) : [labels() ?? []].flat();
  at("kept-work").value = lines.join("\n") || "(nothing marked)";
  at("kept").hidden = false;
}

function allow() {
  document.body.classList.toggle("shut", !open);
  if (entities) {
    at("text").contentEditable = String(open);
    for (const button of document.querySelectorAll("[data-category]")) button.disabled = !open;
    draw();
  } else {
    at("classes").disabled = !open;
  }
  at("save").disabled = !open || busy;
}

// The studio.

class Refusal extends Error {}

async function bearer() {
  if (!token || token.expires_on * 1000 < Date.now() + 60_000) {
    const answer = await fetch("/studio/token");
    if (!answer.ok) throw new Refusal("You are signed out. Reload the page: your work stays in this tab.");
    token = await answer.json();
  }
  return { Authorization: `Bearer ${token.access_token}` };
}

async function save() {
  if (busy) return;
  const given = labels();
  if (given === null) {
    say("Choose a class first.");
    return;
  }
  busy = true;
  at("save").disabled = true;
  say("Saving …");
  try {
    const headers = { ...(await bearer()), "Content-Type": "application/json" };
    const body = JSON.stringify({ labels: given });
    const answer = await fetch(`${desk.path}/labels`, { method: "PUT", headers, body });
    const said = await answer.json();
    if (!answer.ok) throw new Refusal(`${said.error.code}: ${said.error.message}`);
    settle(given);
    say(`Saved at ${new Date().toLocaleTimeString()}: line ${said.sequence} of the studios' log.`);
    const state = document.querySelector("[aria-current=page] .state");
    if (state) {
      state.textContent = "labelled";
      state.classList.add("labelled");
    }
  } catch (error) {
    const refused = error instanceof Refusal;
    change();
    say(refused ? "The studio did not take this." : "The studio did not answer.");
    keep(refused ? error.message : "The studio did not answer: it may or may not have saved this. Try again.");
  }
  busy = false;
  allow();
  await look();
}

async function look() {
  try {
    const answer = await fetch(desk.standing, { cache: "no-store" });
    const standing = await answer.json();
    if (answer.ok) show(standing);
    else banner(false, "You cannot label now", standing.error.message, "", "");
  } catch {
    banner(false, "The studio does not answer", "It is asked again every other second.", "", "");
  }
}

function banner(isOpen, headline, text, page, name) {
  const fresh = `${isOpen} ${headline} ${text} ${page}`;
  if (at("banner").dataset.shows === fresh) return;
  at("banner").dataset.shows = fresh;
  at("banner").dataset.open = isOpen ? "yes" : "no";
  at("headline").textContent = isOpen ? "" : headline;
  at("banner-text").textContent = text;
  at("banner-link").hidden = !page;
  at("banner-link").href = page || "#";
  at("banner-link").textContent = `Open ${name}`;
}

function show(standing) {
  banner(standing.open, standing.headline, standing.text, standing.other_page, standing.other);
  at("done").textContent = standing.labelled;
  at("progress").value = standing.labelled;
  const allowed = standing.open && desk.mayLabel;
  if (!desk.document || allowed === open) return;
  open = allowed;
  allow();
  if (open) renew();
  else if (changed) keep("Labeling was disabled before this was saved.");
}

async function renew() {
  // What is here may be older than what a switch brought: unsaved work is kept, the rest is read again.
  if (changed) {
    say("Labeling is enabled again. Saving replaces what others labelled meanwhile.");
    return;
  }
  const answer = await fetch(desk.path, { headers: await bearer() });
  if (!answer.ok) return;
  saved = (await answer.json()).labels;
  load(saved);
  say("Labeling is enabled again.");
}

// Hands.

function keys(event) {
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    if (desk.document && !at("save").disabled) save();
  } else if (event.altKey) {
    const link = { ArrowDown: at("next"), ArrowUp: at("previous") }[event.key];
    if (!link) return;
    event.preventDefault();
    link.click();
  }
}

function textKeys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const category = /^[1-9]$/.test(event.key) ? desk.categories[event.key - 1] : undefined;
  if (category !== undefined) {
    event.preventDefault();
    mark(category);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    event.preventDefault();
    const found = selection();
    const covers = (one) => toPage(one.start) <= found.from && toPage(one.end) >= found.from;
    const under = open && found ? marks.filter(covers).at(-1) : undefined;
    if (under) remove(under);
  }
}

function classKeys(event) {
  const input = /^[1-9]$/.test(event.key) ? inputs()[event.key - 1] : undefined;
  if (!input || !open) return;
  event.preventDefault();
  input.focus();
  input.click();
}

function start() {
  open = desk.open && desk.mayLabel;
  load(saved);
  draw();
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null");
  if (draft !== null && JSON.stringify(draft) !== JSON.stringify(saved)) {
    load(draft);
    changed = true;
    if (open) say("Your unsaved work on this document is here again.");
    else keep("Labeling was disabled before this was saved.");
  }
  allow();
  if (entities) {
    for (const type of ["beforeinput", "drop", "dragstart"]) {
      at("text").addEventListener(type, (event) => event.preventDefault());
    }
    at("text").addEventListener("compositionend", draw); // an input method writes where it likes
    at("text").addEventListener("keydown", textKeys);
    for (const button of document.querySelectorAll("[data-category]")) {
      button.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the selection
      button.addEventListener("click", () => mark(button.dataset.category));
    }
  } else {
    at("classes").addEventListener("change", () => {
      change();
      say("Not saved yet.");
    });
    at("classes").addEventListener("keydown", classKeys);
  }
  at("save").addEventListener("click", save);
  at("retry").addEventListener("click", save);
  at("copy").addEventListener("click", () => {
    at("kept-work").select();
    navigator.clipboard?.writeText(at("kept-work").value);
  });
  at("discard").addEventListener("click", () => {
    settle(saved);
    load(saved);
    say("Your unsaved work was discarded.");
  });
}

if (desk.document) start();
document.addEventListener("keydown", keys);
setInterval(look, LOOK_EVERY);
