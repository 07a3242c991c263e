// The request that the page just sent, as curl, Python and JavaScript.

import { $, el } from "./dom.js";
import { hasKey } from "./server.js";

/**
 * Show a request.
 * request: title; method and path; `json`, or `form` of texts and files; `output`, the file the answer goes to.
 */
export function showRequest(request) {
  $("api-title").textContent = request.title;
  $("api-none").hidden = true;
  $("api-copied").textContent = "";
  $("api-snippets").hidden = false;
  for (const [language, write] of Object.entries({ curl, python, javascript })) {
    $(`api-${language}`).textContent = write({ ...request, url: location.origin + request.path });
  }
}

const isFile = (value) => value instanceof Blob;
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function curl({ method, url, json, form, output }) {
  const lines = [`curl -X ${method} ${shell(url)}`];
  if (hasKey()) lines.push(`-H "Authorization: Bearer $API_KEY"`);
  if (json) lines.push("-H 'Content-Type: application/json'", `-d ${shell(JSON.stringify(json, null, 2))}`);
  for (const [name, value] of Object.entries(form ?? {})) {
    lines.push(isFile(value) ? `-F ${shell(`${name}=@${value.name}`)}` : `--form-string ${shell(`${name}=${value}`)}`);
  }
  if (output) lines.push(`-o ${shell(output)}`);
  return lines.join(" \\\n  ");
}

/** A value as Python source; JSON strings and numbers are valid Python. */
function literal(value, indent = "    ") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((item) => literal(item)).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const items = Object.entries(value).map(([name, item]) => `${indent}    ${JSON.stringify(name)}: ${literal(item)},`);
  return `{\n${items.join("\n")}\n${indent}}`;
}

function python({ method, url, json, form, output }) {
  const named = [`    "${method}",`, `    ${JSON.stringify(url)},`];
  if (hasKey()) named.push(`    headers={"Authorization": f"Bearer {os.environ['API_KEY']}"},`);
  if (json) named.push(`    json=${literal(json)},`);
  if (form) {
    const texts = Object.fromEntries(Object.entries(form).filter(([, value]) => !isFile(value)));
    const files = Object.entries(form).filter(([, value]) => isFile(value));
    const opened = files.map(([name, file]) => `"${name}": open(${JSON.stringify(file.name)}, "rb")`);
    named.push(`    data=${literal(texts)},`, `    files={${opened.join(", ")}},`);
  }
  const save = output ? `open(${JSON.stringify(output)}, "wb").write(response.content)` : "print(response.text)";
  const imports = [...(hasKey() ? ["import os", ""] : []), "import requests"];
  return [...imports, "", "response = requests.request(", ...named, ")", "response.raise_for_status()", save].join("\n");
}

function javascript({ method, url, json, form, output }) {
  const lines = [];
  const options = [`  method: "${method}",`];
  const headers = [];
  if (hasKey()) headers.push("authorization: `Bearer ${process.env.API_KEY}`");
  if (json) headers.push('"content-type": "application/json"');
  if (headers.length) options.push(`  headers: { ${headers.join(", ")} },`);
  if (json) options.push(`  body: JSON.stringify(${JSON.stringify(json, null, 2).replaceAll("\n", "\n  ")}),`);
  if (form) {
    lines.push("const form = new FormData();");
    for (const [name, value] of Object.entries(form)) {
      const given = JSON.stringify(isFile(value) ? value.name : value);
      lines.push(`form.append("${name}", ${isFile(value) ? `await openAsBlob(${given}), ${given}` : given});`);
    }
    options.push("  body: form,");
  }
  lines.push(`const response = await fetch(${JSON.stringify(url)}, {`, ...options, "});");
  lines.push("if (!response.ok) throw new Error(await response.text());");
  if (output) lines.push(`await writeFile(${JSON.stringify(output)}, Buffer.from(await response.arrayBuffer()));`);
  else lines.push("console.log(await response.text());");
  const imports = [];
  if (form) imports.push('import { openAsBlob } from "node:fs";');
  if (output) imports.push('import { writeFile } from "node:fs/promises";');
  return [...imports, ...(imports.length ? [""] : []), ...lines].join("\n");
}

/** Language tabs and a copy button. */
export function wireApiPane() {
  const tabs = [...document.querySelectorAll("#api [role=tab]")];
  const choose = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  };
  tabs.forEach((tab, i) => {
    tab.onclick = () => choose(tab);
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(i + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    };
  });
  $("api-copy").onclick = async () => {
    const shown = document.querySelector("#api [role=tabpanel]:not([hidden])");
    const copied = await navigator.clipboard?.writeText(shown.textContent).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(shown);
    $("api-copied").textContent = copied ? "Copied." : "Selected: press Ctrl+C.";
  };
  $("api-docs").append(el("a", { href: "/docs" }, "All routes and fields"));
}
