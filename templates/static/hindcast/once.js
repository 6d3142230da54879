// A form that changes something is sent once: a second click while the answer is on its way does nothing.
(function () {
  "use strict";
  const sent = new WeakSet();

  document.addEventListener("submit", function (event) {
    if (event.target.method !== "post") return;
    if (sent.has(event.target)) event.preventDefault();
    else {
      sent.add(event.target);
      setTimeout(() => sent.delete(event.target), 5000);  // somebody may have stopped the loading
    }
  });

  window.addEventListener("pageshow", function (event) {
    if (event.persisted) for (const form of document.forms) sent.delete(form);  // back, from the browser's cache
  });
})();
