(() => {
  "use strict";
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const narrow = matchMedia("(max-width: 600px)");
  const touch = matchMedia("(pointer: coarse)");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Charts name colours as style.css does; what they are just now, only the browser can say.
  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;
  let palette = new Map();
  const colour = (name) => {
    if (!palette.has(name)) {
      probe.style.color = name;
      palette.set(name, getComputedStyle(probe).color);
    }
    return palette.get(name);
  };
  const painted = (value) => {
    if (typeof value === "string") return value.startsWith("var(--") ? colour(value) : value;
    if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(painted) : value;
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item)]));
  };
  const patch = (layout, changes) => {
    for (const [path, value] of Object.entries(changes)) {
      const keys = path.split(".");
      const last = keys.pop();
      keys.reduce((at, key) => at[key], layout)[last] = value;
    }
  };

  const draw = (name) => {
    const place = document.getElementById(`chart-${name}`);
    const layout = painted(figures[name].layout);
    if (narrow.matches) patch(layout, { "xaxis.nticks": 4, ...layout.meta.narrow });
    layout.font.family = getComputedStyle(document.body).fontFamily;
    const still = Boolean(layout.xaxis.fixedrange);
    if (touch.matches || still) layout.dragmode = false;
    if (!place.classList.contains("js-plotly-plot")) place.replaceChildren();
    place.style.height = `${layout.height}px`;
    layout.width = place.clientWidth;
    const drawn = Plotly.react(place, painted(figures[name].data), layout, {
      displaylogo: false,
      displayModeBar: still ? false : "hover",
      modeBarButtons: [["resetScale2d"]],
      doubleClick: "reset",
    });
    // The words beside the chart say it better than its ticks read out one by one.
    place.querySelectorAll("svg.main-svg").forEach((svg) => svg.setAttribute("aria-hidden", "true"));
    return drawn;
  };

  // In the order of the page, one a task: the first screen stands while the rest is drawn.
  const names = Object.keys(figures);
  let round = 0;
  const drawAll = async () => {
    const mine = ++round;
    delete root.dataset.drawn;
    palette = new Map();
    for (const name of names) {
      await new Promise((go) => setTimeout(go));
      if (mine !== round) return;
      await draw(name);
    }
    root.dataset.drawn = names.length;
    performance.mark("drawn");
  };

  const remembered = () => {
    try { return localStorage.getItem("coincast-theme"); } catch { return null; }
  };
  const remember = (theme) => {
    try { localStorage.setItem("coincast-theme", theme); } catch { /* a page without storage forgets, no more */ }
  };
  const button = document.getElementById("theme");
  const isDark = () => (root.style.colorScheme || (dark.matches ? "dark" : "light")) === "dark";
  const show = (theme) => {
    root.style.colorScheme = theme ?? "";
    button.setAttribute("aria-pressed", String(isDark()));
  };
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    show(theme);
    remember(theme);
    drawAll();
  });

  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 120);
  });
  dark.addEventListener("change", () => { show(root.style.colorScheme || null); drawAll(); });

  addEventListener("beforeprint", () => {
    round++;
    root.classList.add("printing");
    palette = new Map();
    names.forEach(draw);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    drawAll();
  });

  show(remembered());
  drawAll();
})();
