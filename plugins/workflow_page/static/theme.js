// Airflow keeps the chosen theme of its UI in localStorage; where none is chosen, the system's counts.
(() => {
  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // storage is switched off: the system's theme
    }
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
  };
  apply();
  addEventListener("storage", apply); // Airflow, around this frame, changed it
})();
