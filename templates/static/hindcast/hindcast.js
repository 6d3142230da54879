// The theme (at once, before anything is painted), "/" for the search, a log that follows its end, files too large.
(function () {
  "use strict";
  const root = document.documentElement;
  const MOST_LINES = 5000;

  function storedTheme() {
    try { return localStorage.getItem("theme") || ""; } catch { return ""; }
  }

  function applyTheme(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  applyTheme(storedTheme());

  function offerThemes() {
    const select = document.getElementById("theme");
    if (!select) return;
    select.value = root.dataset.theme || "";
    select.closest("label").hidden = false;
    select.addEventListener("change", function () {
      applyTheme(select.value);
      try { localStorage.setItem("theme", select.value); } catch { /* kept for this page only */ }
    });
  }

  function isTyping(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }

  function focusSearchOnSlash() {
    document.addEventListener("keydown", function (event) {
      const search = document.getElementById("search");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !search || isTyping(event.target)) return;
      event.preventDefault();
      search.focus();
      search.select();
    });
  }

  function closeMenuWhenLeft() {
    const menu = document.querySelector("details.menu");
    if (!menu) return;
    document.addEventListener("click", function (event) {
      if (!menu.contains(event.target)) menu.open = false;
    });
    menu.addEventListener("keydown", function (event) {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }

  function followLog() {
    const box = document.querySelector(".log");
    const lines = document.getElementById("log");
    if (!box || !lines) return;
    let follows = true;
    const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    const toEnd = () => { box.scrollTop = box.scrollHeight; };
    box.addEventListener("scroll", function () { follows = atEnd(); });
    if (location.hash.startsWith("#L")) follows = false;
    else toEnd();
    document.body.addEventListener("htmx:oobAfterSwap", function () {
      while (follows && lines.children.length > MOST_LINES) lines.firstElementChild.remove();
      if (follows) toEnd();
    });
  }

  function tellOfLargeFiles() {
    for (const input of document.querySelectorAll("input[type=file][data-most]")) {
      input.addEventListener("change", function () {
        const tooLarge = input.files[0] && input.files[0].size > Number(input.dataset.most);
        input.setCustomValidity(tooLarge ? input.dataset.tooLarge : "");
        input.reportValidity();
      });
    }
  }

  document.addEventListener("DOMContentLoaded", function () {
    offerThemes();
    focusSearchOnSlash();
    closeMenuWhenLeft();
    followLog();
    tellOfLargeFiles();
  });
})();
