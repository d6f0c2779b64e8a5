// Signing in and out, light and dark; the page itself is calls.js.

import { ask } from "/console/api.js";
import { field, make } from "/console/dom.js";
import { showCalls } from "/console/calls.js";

const main = document.getElementById("main");
const out = document.getElementById("out");
const theme = document.getElementById("theme");
let leave = () => {};

function paint(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  theme.textContent = dark ? "Light" : "Dark";
}

const prefers = matchMedia("(prefers-color-scheme: dark)");
const chosen = localStorage.getItem("theme");
paint(chosen ? chosen === "dark" : prefers.matches);
prefers.addEventListener("change", () => {
  if (!localStorage.getItem("theme")) paint(prefers.matches);
});
theme.addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme !== "dark";
  localStorage.setItem("theme", dark ? "dark" : "light");
  paint(dark);
});

function showSignIn(why = "") {
  leave();
  leave = () => {};
  out.hidden = true;
  document.getElementById("who").textContent = "";
  document.getElementById("link").textContent = "";
  const fault = make("p", { class: "fault", role: "alert" }, why);
  const button = make("button", { type: "submit" }, "Sign in");
  const form = make("form", { class: "sheet" },
    make("h1", {}, "Sign in"),
    make("p", { class: "lead" }, "With an account and its token, or an API key and its secret."),
    field("Account or key", { name: "Sid", autocomplete: "username", required: "" }),
    field("Token or secret",
      { name: "Token", type: "password", autocomplete: "current-password", required: "" }),
    fault, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    fault.textContent = "";
    try {
      await ask("POST", "/console/sign-in", new FormData(form));
      await begin();
    } catch (error) {
      fault.textContent = error.status === 401 ? "These do not fit each other." : error.message;
      button.disabled = false;
    }
  });
  main.replaceChildren(make("div", { class: "sign-in" }, form));
  form.elements.Sid.focus();
}

async function begin() {
  const session = await ask("GET", "/console/session");
  document.getElementById("who").textContent = `${session.by.slice(0, 8)}… · ${session.scope}`;
  out.hidden = false;
  leave = showCalls(main, session, () => showSignIn("Your session is over. Sign in again."));
}

out.addEventListener("click", async () => {
  try {
    await ask("POST", "/console/sign-out");
    showSignIn();
  } catch (error) {
    if (error.status === 401) showSignIn();
    else document.getElementById("said").textContent = `Not signed out: ${error.message}`;
  }
});

begin().catch((error) => showSignIn(error.status === 401 ? "" : error.message));
