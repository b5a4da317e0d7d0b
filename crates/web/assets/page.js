// Comfort for Cumulet's pages. Everything here also works without it: each control is a form or a
// link first. No dependencies, no inline handlers, all texts come from the page's data attributes.

const find = (root, selector) => [...root.querySelectorAll(selector)];

/** Times are UTC in the source; here they become the reader's own, in the order of their country. */
const page = document.documentElement.lang;
const locale = navigator.languages.find((tag) => tag.split("-")[0] === page.split("-")[0]) ?? page;
const spelled = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const brief = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
for (const time of find(document, "time[datetime*=T]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.valueOf())) time.textContent = (time.closest(".under") ? brief : spelled).format(at);
}

/** Back to the form that did not work; what was typed is still in it. */
for (const button of find(document, "[data-back]")) {
  if (window.history.length < 2) continue;
  button.hidden = false;
  button.addEventListener("click", () => window.history.back());
}

/** Buttons with data-copy put the value of the named field on the clipboard. */
for (const button of find(document, "[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    const label = button.querySelector("span");
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(field.value ?? field.textContent);
      label.textContent = button.dataset.done;
      setTimeout(() => { label.textContent = before; }, 2500);
    } catch {
      field.select?.();
    }
  });
}

/** data-confirm asks once before a form is sent by that button. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-confirm]");
  if (button && !window.confirm(button.dataset.confirm)) event.preventDefault();
});

/** An open menu closes on Escape and on a click elsewhere. */
const menus = () => find(document, "details.menu[open], details.who[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

/** One checkbox picks all rows; actions on picked rows are enabled when there are any. */
const all = document.querySelector("[data-pick-all]");
if (all) {
  const picks = find(document, "input.pick");
  const actions = find(document, "[data-needs-pick]");
  const refresh = () => {
    const count = picks.filter((pick) => pick.checked).length;
    all.checked = count > 0 && count === picks.length;
    all.indeterminate = count > 0 && count < picks.length;
    for (const action of actions) action.disabled = count === 0;
  };
  all.closest("th").querySelector("label").hidden = false;
  all.addEventListener("change", () => {
    for (const pick of picks) pick.checked = all.checked;
    refresh();
  });
  for (const pick of picks) pick.addEventListener("change", refresh);
  window.addEventListener("pageshow", refresh);
  refresh();
}

/** Upload forms show their progress, and take files that are dropped on the page. */
for (const form of find(document, "form[data-upload]")) {
  const input = form.querySelector("input[type=file]");
  const status = form.querySelector("[data-status]");
  const bar = form.querySelector("progress");
  let running = false;
  const say = (text, wrong = false) => {
    status.textContent = text;
    status.classList.toggle("wrong", wrong);
  };
  form.addEventListener("submit", (event) => {
    if (!input.files.length || running) return;
    event.preventDefault();
    running = true;
    const request = new XMLHttpRequest();
    const body = new FormData(form);
    bar.hidden = false;
    say(form.dataset.sending);
    request.upload.addEventListener("progress", (sent) => {
      if (!sent.lengthComputable) return;
      bar.max = sent.total;
      bar.value = sent.loaded;
      if (sent.loaded === sent.total) say(form.dataset.storing);
    });
    request.addEventListener("load", () => {
      running = false;
      // The answer to a form is a page: a redirect when it worked, else a page that says why not.
      if (request.status < 400) {
        window.location.assign(request.responseURL || window.location.href);
        return;
      }
      const answer = new DOMParser().parseFromString(request.responseText, "text/html");
      bar.hidden = true;
      say(answer.querySelector("[data-problem]")?.textContent ?? form.dataset.failed, true);
    });
    request.addEventListener("error", () => {
      running = false;
      bar.hidden = true;
      say(form.dataset.failed, true);
    });
    request.open("POST", form.action);
    request.send(body);
  });
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    input.files = event.dataTransfer.files;
    const box = form.closest("details");
    if (box) box.open = true;
    form.requestSubmit();
  });
}
