"use strict";

(() => {
  const articles = [...document.querySelectorAll("article")];
  const legend = document.querySelector(".legend");
  if (articles.length < 2) return;

  const form = document.createElement("form");
  form.className = "filter";
  const count = document.createElement("output");
  const chosen = {};

  const show = () => {
    let shown = 0;
    for (const article of articles) {
      article.hidden = Object.entries(chosen).some(
        ([key, select]) => select.value !== "" && article.dataset[key] !== select.value);
      shown += article.hidden ? 0 : 1;
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = group.querySelector("article:not([hidden])") === null;
    }
    count.value = `${shown} of ${articles.length} shown`;
  };

  for (const key of ["category", "kind", "verdict"]) {
    const label = document.createElement("label");
    const select = document.createElement("select");
    select.append(new Option("all", ""));
    for (const value of [...new Set(articles.map((one) => one.dataset[key]))].sort()) {
      select.append(new Option(value.replaceAll("_", " "), value));
    }
    select.addEventListener("change", show);
    label.append(key, " ", select);
    chosen[key] = select;
    form.append(label);
  }
  form.append(count);
  form.addEventListener("submit", (event) => event.preventDefault());
  legend.after(form);
  form.reset();
  show();
})();
