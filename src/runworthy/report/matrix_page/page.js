"use strict";
// Opens what a cell, an asset or a target comes to, moves in the table by keys, and filters it.  Texts become text
// nodes and nothing else: the page's policy has the browser refuse any other way.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const table = byId("matrix");
  const dialog = byId("panel");
  const words = { runs: "runs", risky: "risky", unknown: "unknown", fails: "fails", "not-for": "not for" };
  const order = ["runs", "risky", "unknown", "fails", "not-for"];
  const text = (number) => data.texts[number];

  // -- elements --------------------------------------------------------------------------------

  const make = (name, properties, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties ?? {})) made.setAttribute(key, value);
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return made;
  };
  const badge = (fit, word) => {
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    icon.setAttribute("class", "icon");
    icon.setAttribute("aria-hidden", "true");
    use.setAttribute("href", `#icon-${fit}`);
    icon.append(use);
    return make("span", { class: `badge ${fit}` }, icon, word ?? words[fit]);
  };
  // What stands between backquotes is a name.
  const prose = (held) => held.split(/`([^`]+)`/).map((part, at) => (at % 2 ? make("code", null, part) : part));
  const link = (id, ...children) => make("a", { href: `#${id}` }, ...children);
  const pre = (lines, properties) => make("pre", properties, lines.join("\n"));
  const facts = (rows) => make("dl", null, rows.map(([label, fact]) => [make("dt", null, label), make("dd", null, fact)]));

  // -- panels ----------------------------------------------------------------------------------

  const assetId = (row) => `asset-${data.assets[row].id}`;
  const targetId = (column) => `target-${data.targets[column].id}`;
  const cellId = (row, column) => `cell-${data.assets[row].id}~${data.targets[column].id}`;

  const remedy = (held) => make("div", { class: "remedy" },
    make("p", null, make("b", null, "help: "), prose(text(held.title)), make("small", null, ` (${held.how})`)),
    held.proof === undefined ? null : make("p", null, make("small", null, text(held.proof))),
    held.lines ? pre(held.lines.map(text)) : null);

  const finding = (number) => {
    const held = data.findings[number];
    return make("article", { class: `finding ${held.severity}` },
      make("p", null, make("span", { class: `code ${held.severity}` }, `${held.severity}[${held.code}]`), ` ${held.name}`),
      make("p", { class: "message" }, prose(text(held.message))),
      held.places ? make("ul", { class: "places" }, held.places.map((place) => make("li", null, text(place)))) : null,
      held.lines ? pre(held.lines.map(text)) : null,
      (held.notes ?? []).map((note) => make("p", { class: "note" }, make("b", null, "note: "), prose(text(note)))),
      (held.remedies ?? []).map(remedy));
  };

  const steps = (result, open) => {
    if (!result.trace) return null;
    const stretches = result.trace.map(([head, body]) =>
      [make("p", null, text(head)), pre(data.traces[body].map(text), { tabindex: "0", role: "region", "aria-label": `Steps of ${text(head)}` })]);
    if (!stretches.length) stretches.push(make("p", null, "`runworthy check --trace` tells them: here they are left out for their number."));
    const box = make("details", { class: "steps" }, make("summary", null, "Step by step"), stretches,
      make("ul", null, (result.against ?? []).map((line) => make("li", null, text(line)))));
    box.open = open;
    return box;
  };

  const resultPart = (result, alone) => [
    alone ? null : make("h3", null, badge(result.verdict), " ", make("span", { class: "name" }, text(result.subject))),
    (result.findings ?? []).map(finding),
    steps(result, alone),
  ];

  const taken = (column) => {
    const target = data.targets[column];
    if (target.verdict === undefined) return null;
    if (typeof target.asset === "number") {
      const others = target.alternatives.map((row) => [", ", link(cellId(row, column), data.assets[row].name)]).flat();
      return make("p", null, "On this target take ", link(cellId(target.asset, column), data.assets[target.asset].name), " ",
        badge(target.verdict), others.length ? make("span", null, "; these serve it too: ", others.slice(1)) : null);
    }
    return [
      make("p", null, badge("fails", "nothing serves it"), " ", prose(target.why ?? "")),
      typeof target.nearest === "number"
        ? make("p", null, "closest: ", link(cellId(target.nearest, column), data.assets[target.nearest].name)) : null,
      target.job ? make("p", null, link(`job-${target.job}`, "The job that would build it")) : null,
    ];
  };

  const holds = (asset) => (asset.members.length ? [make("h3", null, "What it holds"), make("ul", null,
    asset.members.map(([name, told]) => make("li", null, make("span", { class: "name" }, name), `: ${told}`)))] : null);

  const cellPanel = (row, column) => {
    const cell = data.cells[row][column];
    const results = cell.results ?? [];
    const failed = results.find((result) => result.verdict === "fails" && result.stage);
    const told = new Set(results.flatMap((result) => (result.findings ?? []).map((at) => data.findings[at].message)));
    const rest = results.filter((result) => !result.findings && !result.trace);
    return {
      title: [badge(cell.fit, failed && cell.fit === "fails" ? `fails at ${failed.stage}` : undefined), " ",
        link(assetId(row), data.assets[row].name), make("small", null, " on "), link(targetId(column), data.targets[column].name)],
      body: [
        told.has(cell.reason) ? null : make("p", null, prose(text(cell.reason))),
        cell.member === undefined ? null
          : make("p", null, "decided by ", make("span", { class: "name" }, text(cell.member))),
        results.filter((result) => !rest.includes(result)).map((result) => resultPart(result, results.length === 1)),
        rest.length ? [make("h3", null, "Also judged"), make("ul", { class: "answers" }, rest.map((result) =>
          make("li", null, badge(result.verdict), make("span", { class: "name" }, text(result.subject)))))] : null,
        results.length || cell.fit === "not-for" ? null : [facts(data.assets[row].facts), holds(data.assets[row])],
        make("h3", null, "This target"), taken(column),
      ],
    };
  };

  // What an asset comes to on all targets, or all assets on a target: the best first, what is not for it left out.
  const answers = (pairs) => {
    const held = pairs.filter(([cell]) => cell && cell.fit !== "not-for")
      .sort(([left], [right]) => order.indexOf(left.fit) - order.indexOf(right.fit));
    if (!held.length) return make("p", null, "None.");
    return make("ul", { class: "answers" }, held.map(([cell, id, name]) => make("li", null, badge(cell.fit), link(id, name))));
  };

  const assetPanel = (row) => {
    const asset = data.assets[row];
    return {
      title: [asset.name],
      body: [
        asset.remarks.map((remark) => make("p", null, prose(remark))),
        facts(asset.facts),
        make("h3", null, "On targets that it is for"),
        answers(data.cells[row].map((cell, column) => [cell, cellId(row, column), data.targets[column].name])),
        holds(asset),
      ],
    };
  };

  const targetPanel = (column) => ({
    title: [data.targets[column].name],
    body: [
      taken(column),
      facts(data.targets[column].facts),
      make("h3", null, "Assets that are for it"),
      answers(data.cells.map((cells, row) => [cells[column], cellId(row, column), data.assets[row].name])),
    ],
  });

  const panels = new Map();
  data.assets.forEach((_, row) => panels.set(assetId(row), () => assetPanel(row)));
  data.targets.forEach((_, column) => panels.set(targetId(column), () => targetPanel(column)));
  data.cells.forEach((cells, row) => cells.forEach((cell, column) => {
    if (cell) panels.set(cellId(row, column), () => cellPanel(row, column));
  }));

  // -- addresses -------------------------------------------------------------------------------

  const here = () => location.hash.slice(1);
  let opener = null; // what had the focus when the panel was opened
  let leaving = ""; // where a link in the panel leads outside of it
  let pushed = false; // the panel has an entry of its own in the browser's history

  const go = (method, id) => {
    try {
      history[method](null, "", id ? `#${id}` : location.pathname + location.search);
    } catch {
      location.hash = id; // where a page may not write its history, as in some frames
    }
  };
  const gridLink = (id) => (id && table.contains(byId(id)) ? byId(id) : null);
  const reveal = (id) => {
    const found = id && byId(id);
    if (!found) return;
    for (let box = found.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    found.scrollIntoView({ block: "start" });
    found.querySelector("summary")?.focus({ preventScroll: true });
  };
  const route = () => {
    const id = here();
    const panel = panels.get(id);
    table.querySelectorAll("a.open").forEach((mark) => mark.classList.remove("open"));
    if (!panel) {
      if (dialog.open) dialog.close();
      reveal(id);
      return;
    }
    const { title, body } = panel();
    byId("panel-title").replaceChildren(...title);
    byId("panel-body").replaceChildren(...body.flat(Infinity).filter((part) => part !== null && part !== undefined));
    gridLink(id)?.classList.add("open");
    dialog.dataset.shows = id;
    if (!dialog.open) {
      opener = document.activeElement;
      dialog.showModal();
    }
    dialog.scrollTop = 0;
    byId("panel-title").focus({ preventScroll: true });
  };

  document.addEventListener("click", (event) => {
    const clicked = event.target.closest("a[href^='#']");
    if (!clicked || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const id = clicked.getAttribute("href").slice(1);
    if (!panels.has(id)) {
      if (dialog.open) {
        event.preventDefault();
        leaving = id;
        dialog.close();
      }
      return;
    }
    event.preventDefault();
    if (dialog.open) go("replaceState", id);
    else {
      clicked.focus();
      go("pushState", id);
      pushed = true;
    }
    route();
  });
  dialog.addEventListener("close", () => {
    table.querySelectorAll("a.open").forEach((mark) => mark.classList.remove("open"));
    if (leaving) {
      go("replaceState", leaving);
      reveal(leaving);
      [leaving, pushed] = ["", false];
      return;
    }
    const shown = gridLink(dialog.dataset.shows);
    const back = [opener, shown].find((place) => place instanceof HTMLAnchorElement && place.offsetParent);
    (back ?? byId("find")).focus();
    if (panels.has(here())) {
      if (pushed) history.back();
      else go("replaceState", "");
    }
    pushed = false;
  });
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the panel
  });
  addEventListener("hashchange", route);
  addEventListener("popstate", route);

  // -- keys ------------------------------------------------------------------------------------

  const rows = [table.querySelector("thead .targets"), ...table.querySelectorAll("tbody tr:not(.group)")];
  const grid = rows.map((row, at) => {
    const cells = [...row.cells].map((cell) => cell.querySelector("a"));
    return at ? cells : [null, ...cells]; // the corner belongs to the row above
  });
  const places = new Map();
  grid.forEach((links, row) => links.forEach((one, column) => one && places.set(one, [row, column])));
  let current = grid[1]?.[1] ?? grid[0]?.[1];

  const seen = (row, column) => grid[row]?.[column] && !grid[row][column].closest("[hidden]");
  const settle = (one) => {
    if (!one) return;
    if (current) current.tabIndex = -1;
    current = one;
    current.tabIndex = 0;
  };
  const step = ([row, column], down, right) => {
    do {
      row += down;
      column += right;
    } while (row >= 0 && row < grid.length && column >= 0 && column < grid[0].length && !seen(row, column));
    return seen(row, column) ? grid[row][column] : null;
  };
  const far = (from, down, right) => {
    let last = null;
    let next = step(from, down, right);
    while (next) {
      last = next;
      next = step(places.get(next), down, right);
    }
    return last;
  };
  const several = (from, down) => {
    let last = null;
    for (let left = 8; left; left -= 1) {
      const next = step(last ? places.get(last) : from, down, 0);
      if (!next) break;
      last = next;
    }
    return last;
  };
  const corner = (from, sign) => {
    const edge = far(from, sign, 0) ?? grid[from[0]][from[1]];
    return far(places.get(edge), 0, sign) ?? edge;
  };
  const moves = {
    ArrowRight: (at) => step(at, 0, 1),
    ArrowLeft: (at) => step(at, 0, -1),
    ArrowDown: (at) => step(at, 1, 0),
    ArrowUp: (at) => step(at, -1, 0),
    PageDown: (at) => several(at, 1),
    PageUp: (at) => several(at, -1),
    Home: (at, whole) => (whole ? corner(at, -1) : far(at, 0, -1)),
    End: (at, whole) => (whole ? corner(at, 1) : far(at, 0, 1)),
  };

  table.setAttribute("role", "grid");
  table.setAttribute("aria-labelledby", "matrix-title");
  places.forEach((_, one) => {
    const id = one.getAttribute("href").slice(1);
    one.tabIndex = -1;
    if (!byId(id)) one.id = id; // an address leads to its cell; without a script, to what it comes to
  });
  settle(current);
  table.addEventListener("focusin", (event) => {
    if (!places.has(event.target)) return;
    settle(event.target);
    event.target.scrollIntoView({ block: "nearest", inline: "nearest" }); // focus alone leaves it below the heads
  });
  table.addEventListener("keydown", (event) => {
    const at = places.get(event.target);
    if (!at || event.altKey || event.metaKey) return;
    if (event.key === " ") {
      event.preventDefault();
      event.target.click();
      return;
    }
    const move = moves[event.key];
    if (!move || (event.ctrlKey && !["Home", "End"].includes(event.key))) return;
    event.preventDefault();
    move(at, event.ctrlKey)?.focus();
  });

  // -- filter ----------------------------------------------------------------------------------

  const plain = (held) => held.toLowerCase();
  const assetWords = data.assets.map((asset) => plain([asset.name, ...asset.facts.map(([, fact]) => fact)].join(" ")));
  const targetWords = data.targets.map((target) => plain([target.name, ...target.facts.map(([, fact]) => fact)].join(" ")));
  const cellWords = data.cells.map((cells) => cells.map((cell) => cell && plain([cell.fit, text(cell.reason),
    ...(cell.results ?? []).flatMap((result) => [result.stage ?? "", ...(result.findings ?? []).flatMap((number) => {
      const held = data.findings[number];
      return [held.code, held.name, text(held.message)];
    })])].join(" "))));
  const lines = [...table.querySelectorAll("tbody:not(.served) tr:not(.group)")];
  const groupHeads = [...table.querySelectorAll("thead .groups th")].map((head) => [head, head.colSpan]);

  // A word narrows the assets or the targets that have it.  One that both have narrows both, as far as that leaves some;
  // one that no name has, narrows to the cells that tell of it.
  const wanted = () => {
    const keep = { rows: data.assets.map(() => true), columns: data.targets.map(() => true), cells: [] };
    const fits = byId("find").form.elements.show.value;
    const searched = plain(byId("find").value).split(/\s+/).filter(Boolean).map((word) => ({
      word,
      rows: assetWords.map((held) => held.includes(word)),
      columns: targetWords.map((held) => held.includes(word)),
    }));
    const both = ({ rows: inRows, columns: inColumns }) => inRows.includes(true) && inColumns.includes(true);
    const narrowed = (name, found) => keep[name].map((kept, at) => kept && found[name][at]);
    for (const found of searched.filter((one) => !both(one))) {
      const name = ["rows", "columns"].find((one) => found[one].includes(true));
      if (name) keep[name] = narrowed(name, found);
      else keep.cells.push((row, column) => cellWords[row][column]?.includes(found.word));
    }
    for (const found of searched.filter(both)) {
      const left = ["rows", "columns"].filter((name) => narrowed(name, found).includes(true));
      for (const name of left.length ? left : ["rows", "columns"]) keep[name] = narrowed(name, found);
    }
    if (fits === "fails") keep.cells.push((row, column) => data.cells[row][column]?.fit === "fails");
    if (fits === "unserved") {
      const unserved = ({ verdict, asset }) => verdict !== undefined && typeof asset !== "number";
      const isFor = (cell) => cell && cell.fit !== "not-for";
      keep.columns = keep.columns.map((kept, at) => kept && unserved(data.targets[at]));
      keep.rows = keep.rows.map((kept, row) => kept && data.cells[row].some((cell, at) => keep.columns[at] && isFor(cell)));
    }
    const hit = (row, column) => keep.rows[row] && keep.columns[column] && keep.cells.every((test) => test(row, column));
    if (keep.cells.length) {
      const held = [data.assets.map((_, row) => data.targets.some((_, column) => hit(row, column))),
        data.targets.map((_, column) => data.assets.some((_, row) => hit(row, column)))];
      return { rows: held[0], columns: held[1], hit };
    }
    return { rows: keep.rows, columns: keep.columns, hit };
  };

  const show = () => {
    const { rows: keptRows, columns: keptColumns, hit } = wanted();
    for (const [at, links] of grid.entries()) {
      for (const [place, cell] of [...rows[at].cells].entries()) {
        const column = at ? place - 1 : place;
        if (column >= 0) cell.hidden = !keptColumns[column];
        if (at > 1 && column >= 0) links[place]?.classList.toggle("dim", !hit(at - 2, column));
      }
    }
    lines.forEach((line, at) => { line.hidden = !keptRows[at]; });
    for (const body of table.querySelectorAll("tbody:not(.served)")) {
      body.hidden = [...body.querySelectorAll("tr:not(.group)")].every((line) => line.hidden);
    }
    let from = 0;
    for (const [head, span] of groupHeads) {
      const left = keptColumns.slice(from, from + span).filter(Boolean).length;
      head.hidden = !left;
      head.colSpan = left || 1;
      from += span;
    }
    const numbers = [[keptRows, "asset"], [keptColumns, "target"]].map(([kept, one]) =>
      `${kept.filter(Boolean).length} of ${kept.length} ${one}${kept.length === 1 ? "" : "s"}`);
    byId("shown").textContent = numbers.join(", ");
    if (!current?.offsetParent) settle([...places.keys()].find((one) => !one.closest("[hidden]")));
  };

  const tools = byId("find").form;
  tools.hidden = false;
  document.querySelector(".keys").hidden = false;
  tools.addEventListener("input", show);
  tools.addEventListener("submit", (event) => event.preventDefault());
  show();

  // -- the rest --------------------------------------------------------------------------------

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = byId(button.dataset.copy);
      let copied = true;
      try {
        await navigator.clipboard.writeText(`${source.textContent}\n`);
      } catch {
        getSelection().selectAllChildren(source);
        copied = document.execCommand("copy");
      }
      button.textContent = copied ? "Copied" : "Press Ctrl+C";
      byId("said").textContent = copied ? "Copied" : "The text is selected";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const box of opened) box.open = true;
  });
  addEventListener("afterprint", () => {
    for (const box of opened) box.open = false;
  });
  route();
})();
