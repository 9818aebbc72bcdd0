// What htmx does not do: relative times, copying, and buttons that are pressed once.
"use strict";
(() => {
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });

  function ago(seconds) {
    for (const [unit, size] of UNITS) {
      if (Math.abs(seconds) >= size || size === 1) return words.format(-Math.trunc(seconds / size), unit);
    }
  }

  function elapsed(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return `${s} s`;
    return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  }

  function tell(time, text) {
    if (time.textContent !== text) time.textContent = text;
  }

  function tick() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-ago]")) {
      tell(time, ago(Math.max(0, (now - Date.parse(time.dateTime)) / 1000)));
    }
    for (const time of document.querySelectorAll("time[data-elapsed]")) {
      tell(time, elapsed((now - Date.parse(time.dateTime)) / 1000));
    }
  }

  async function copy(button) {
    await navigator.clipboard.writeText(button.dataset.copy);
    document.getElementById("copied").textContent = "Copied.";
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; document.getElementById("copied").textContent = ""; }, 2000);
  }

  function showOnly(box) {
    const shown = document.getElementById(box.dataset.shows);
    if (shown) shown.hidden = !box.checked;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[data-shows]")) showOnly(event.target);
  });
  // The server starts one operation however often a form comes; this only says that it was heard.
  document.addEventListener("submit", (event) => {
    const button = event.target.querySelector("button[data-busy]");
    if (!button) return;
    if (button.getAttribute("aria-disabled") === "true") { event.preventDefault(); return; }
    button.setAttribute("aria-disabled", "true");
    button.textContent = button.dataset.busy;
  });
  document.addEventListener("htmx:sse:error", (event) => {
    // A session that has ended: the page's own address leads to the sign-in.
    if (event.detail.status === 401) location.reload();
    else document.getElementById("offline").hidden = false;
  });
  document.addEventListener("htmx:sse:after:connection", () => {
    document.getElementById("offline").hidden = true;
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  document.addEventListener("htmx:after:swap", tick);
  document.addEventListener("DOMContentLoaded", () => {
    tick();
    setInterval(tick, 1000);
    document.querySelectorAll("input[data-shows]").forEach(showOnly);
    document.querySelector(".notice.error")?.scrollIntoView({ block: "nearest" });
  });
})();
