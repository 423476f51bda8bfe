"use strict";
// Shows the state that the server streams, and sends what the visitor does. The slider is the report's.

const by = (id) => document.getElementById(id);
const form = by("settings");
let uploads = [];
const shown = new Map(); // key of an upload -> its list item
const results = new Map(); // key of an upload and kind -> key of the job whose result is shown

// ---- what the server says

const events = new EventSource("session/events");
events.onmessage = ({ data }) => render(JSON.parse(data).uploads);
events.onerror = () => say("The connection is lost; trying again.");
events.onopen = () => say("");

function say(text) {
  by("status").textContent = text;
}

async function ask(method, address, body) {
  const answer = await fetch(address, { method, body });
  if (answer.ok) return answer;
  const why = await answer.text();
  say(answer.status === 404 ? "This is not there any more; please load the page again." : why);
  throw new Error(why);
}

// ---- uploads

async function send(files) {
  let number = 0;
  for (const file of files) {
    number += 1;
    say(`Sending ${file.name} (${number} of ${files.length})`);
    const content = new FormData();
    content.append("files", file, file.name);
    await ask("POST", "uploads", content);
  }
  say(files.length === 1 ? `${files[0].name} is here.` : `${files.length} files are here.`);
}

for (const id of ["files", "folder"]) {
  by(id).addEventListener("change", async ({ target }) => {
    const files = visible([...target.files]);
    await send(files);
    target.value = "";
  });
}

const visible = (files) => files.filter((file) => !file.name.startsWith("."));
const drop = by("drop");
document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", ({ relatedTarget }) => { if (!relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  await send(visible((await Promise.all(entries.map(filesOf))).flat()));
});

async function filesOf(entry) {
  if (entry.isFile) return new Promise((done, failed) => entry.file((file) => done([file]), failed));
  const reader = entry.createReader();
  const found = [];
  for (;;) { // browsers hand out a hundred at a time
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return (await Promise.all(found.map(filesOf))).flat();
    found.push(...some);
  }
}

by("examples")?.addEventListener("click", ({ target }) => {
  const example = target.closest("[data-example]")?.dataset.example;
  if (example) ask("POST", `examples/${encodeURIComponent(example)}`);
});

// ---- settings, kept for the next visit

function settings() {
  const chain = form.elements.chain.value;
  const steps = form.querySelector(`.steps[data-chain="${CSS.escape(chain)}"]`);
  const changed = (inputs, key) =>
    Object.fromEntries(inputs.filter((one) => Number(one.value) !== Number(one.defaultValue)).map((one) => [one.dataset[key], Number(one.value)]));
  const measured = [...steps.querySelectorAll("[data-strength]:disabled")].map((one) => [one.dataset.strength, "auto"]);
  return {
    chain: chain || undefined, // the default of photos, or that of clips
    strengths: {
      ...changed([...steps.querySelectorAll("[data-strength]:enabled")], "strength"),
      ...Object.fromEntries(measured),
    },
    noise_levels: changed([...steps.querySelectorAll("[data-level]")].filter((one) => one.value), "level"),
    upscale: steps.querySelector("[data-upscale]")?.checked ?? true,
    format: by("format").value || null,
  };
}

function showSteps() {
  for (const steps of form.querySelectorAll(".steps")) steps.hidden = steps.dataset.chain !== form.elements.chain.value;
  for (const range of form.querySelectorAll("[data-strength]")) {
    range.disabled = "measurable" in range.dataset && range.closest(".steps").querySelector("[data-measured]").checked;
    const text = range.disabled || range.value < 0 ? "auto" : `${Math.round(100 * range.value)} %`;
    range.nextElementSibling.textContent = text;
    range.setAttribute("aria-valuetext", text);
  }
}

const fields = () => [...form.querySelectorAll("input, select")];
const nameOf = (field) => (field.type === "radio" ? `chain=${field.value}` : field.id);

form.addEventListener("input", () => {
  showSteps();
  const values = fields().map((field) => [nameOf(field), field.type === "radio" || field.type === "checkbox" ? field.checked : field.value]);
  localStorage.setItem("settings", JSON.stringify(Object.fromEntries(values)));
});

const kept = JSON.parse(localStorage.getItem("settings") ?? "{}");
for (const field of fields()) {
  const value = kept[nameOf(field)];
  if (typeof value === "boolean") field.checked = value;
  else if (value !== undefined) field.value = value;
}
showSteps();

// ---- jobs

form.addEventListener("submit", (event) => {
  event.preventDefault();
  for (const upload of uploads.filter(canStart)) start(upload, "restore");
});

by("preview").addEventListener("click", () => {
  for (const upload of uploads.filter((one) => canStart(one) && one.kind === "image")) start(upload, "preview");
});

const isActive = (job) => job && (job.state === "waiting" || job.state === "running");
const canStart = (upload) => !upload.error && !Object.values(upload.jobs).some(isActive);

async function start(upload, kind, centre = [0.5, 0.5]) {
  await ask("POST", `uploads/${upload.key}/jobs`, JSON.stringify({ kind, centre, settings: settings() }));
}

// ---- what is shown

function render(now) {
  for (const [key, item] of shown) {
    if (!now.some((upload) => upload.key === key)) {
      item.remove();
      shown.delete(key);
    }
  }
  for (const upload of now) renderUpload(upload, uploads.find(({ key }) => key === upload.key));
  uploads = now;
  by("restore").disabled = !now.some(canStart);
  by("preview").disabled = !now.some((upload) => canStart(upload) && upload.kind === "image");
  by("zip").hidden = now.filter(({ jobs }) => jobs.restore?.state === "done").length < 2;
  removeResults();
}

function renderUpload(upload, before) {
  const item = shown.get(upload.key) ?? addItem(upload);
  const job = Object.values(upload.jobs).find(isActive) ?? Object.values(upload.jobs).at(-1);
  const state = item.querySelector(".state");
  state.textContent = upload.error ? `Cannot be restored: ${upload.error}` : describe(job);
  state.className = `state ${upload.error || job?.state === "failed" ? "bad" : job?.state === "done" ? "done" : ""}`;
  const progress = item.querySelector("progress");
  progress.hidden = job?.state !== "running";
  if (job?.state === "running" && job.share) progress.value = job.share;
  else progress.removeAttribute("value");
  item.querySelector(".cancel").hidden = !isActive(job);
  for (const [kind, one] of Object.entries(upload.jobs)) {
    if (one.state === "done") showResult(upload, kind, one.key);
    const was = before?.jobs[kind];
    if (was?.key === one.key && was.state !== one.state && !isActive(one)) say(`${upload.name}: ${describe(one)}`);
  }
}

function describe(job) {
  if (!job) return "Ready.";
  if (job.state === "waiting") return job.place ? `Waiting; ${job.place} before it.` : "Next.";
  if (job.state === "running") {
    const left = job.seconds_left === null ? "" : `, about ${duration(job.seconds_left)} left`;
    return `Working: ${Math.round(100 * job.share)} %${left}.`;
  }
  if (job.state === "failed") return `Cannot be restored: ${job.error}`;
  return job.state === "done" ? "Done." : "Cancelled.";
}

const duration = (seconds) => (seconds < 90 ? `${Math.max(1, seconds)} s` : `${Math.round(seconds / 60)} min`);

function addItem(upload) {
  const item = by("upload").content.cloneNode(true).firstElementChild;
  const image = item.querySelector("img");
  item.querySelector("bdi").textContent = upload.name;
  if (upload.size) item.querySelector(".size").textContent = `${upload.size[0]} × ${upload.size[1]}`;
  if (upload.condition) item.querySelector(".condition").textContent = `Measured: ${upload.condition}`;
  if (upload.error) item.querySelector(".thumbnail").remove();
  else {
    image.src = `uploads/${upload.key}/thumbnail`;
    image.alt = upload.name;
  }
  if (upload.kind === "image" && !upload.error) {
    image.classList.add("clickable");
    image.addEventListener("click", (event) => start(upload, "preview", placeIn(event)));
  }
  const remove = item.querySelector(".remove");
  remove.setAttribute("aria-label", `Remove ${upload.name}`);
  remove.addEventListener("click", () => ask("DELETE", `uploads/${upload.key}`));
  const cancel = item.querySelector(".cancel");
  cancel.setAttribute("aria-label", `Cancel ${upload.name}`);
  cancel.addEventListener("click", () => {
    const job = Object.values(uploads.find(({ key }) => key === upload.key).jobs).find(isActive);
    if (job) ask("DELETE", `jobs/${job.key}`);
  });
  by("uploads").append(item);
  shown.set(upload.key, item);
  return item;
}

function placeIn({ target, offsetX, offsetY }) {
  // The image is fitted into its box, so it has margins on two sides.
  const { width, height } = target.getBoundingClientRect();
  const scale = Math.min(width / target.naturalWidth, height / target.naturalHeight);
  const share = (offset, side, own) => Math.min(1, Math.max(0, (offset - (side - own * scale) / 2) / (own * scale)));
  return [share(offsetX, width, target.naturalWidth), share(offsetY, height, target.naturalHeight)];
}

async function showResult(upload, kind, job) {
  const slot = `${upload.key}-${kind}`;
  if (results.get(slot) === job) return;
  results.set(slot, job);
  const html = await (await ask("GET", `jobs/${job}/result`)).text();
  if (results.get(slot) !== job) return;
  by(slot)?.remove();
  const section = document.createRange().createContextualFragment(html).querySelector("section");
  section.id = slot;
  section.tabIndex = -1;
  by("results").hidden = false;
  by("results").querySelector(".title").after(section);
  section.querySelectorAll(".compare input").forEach(cut);
  const link = shown.get(upload.key)?.querySelector(".seen");
  if (link) Object.assign(link, { href: `#${slot}`, hidden: false });
}

function removeResults() {
  for (const [slot, job] of results) {
    if (uploads.some(({ jobs }) => Object.values(jobs).some((one) => one.key === job))) continue;
    results.delete(slot);
    by(slot)?.remove();
  }
  by("results").hidden = !results.size;
}

by("results").addEventListener("click", async ({ target }) => {
  const number = target.dataset.copy;
  if (number === undefined) return;
  const text = target.closest("details").querySelectorAll("pre")[number];
  if (navigator.clipboard) { // only on pages that nobody can have changed on the way
    await navigator.clipboard.writeText(text.textContent);
    say("Copied.");
  } else {
    getSelection().selectAllChildren(text);
    say("Selected; copy it with Ctrl+C.");
  }
});
