// Faults that an eye would notice, as functions for test_looks.py. Each returns sentences, none when all is well.
({
  // The page must not scroll sideways, no text may leave its box or the window, and no two texts of a line may meet.
  // A table may scroll in its own frame, and what only screen readers hear has no place on the screen.
  overflows() {
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const found = wide > 0 ? [`the page is ${wide} px too wide`] : [];
    const isSticky = (element) => getComputedStyle(element.closest("td, th") ?? element).position === "sticky";
    const scrolls = (element) => element.closest(".table-wrap") && getComputedStyle(element.closest(".table-wrap")).overflowX === "auto";
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const lines = new Map();
    while (texts.nextNode()) {
      const text = texts.currentNode, parent = text.parentElement;
      if (!text.data.trim() || !parent.checkVisibility({ visibilityProperty: true })) continue;
      if (parent.closest(".visually-hidden, .skip, script, template, select, svg")) continue;
      let block = parent;
      while (getComputedStyle(block).display === "inline") block = block.parentElement;
      const style = getComputedStyle(block), box = block.getBoundingClientRect();
      if (style.clipPath !== "none" || box.width <= 1) continue;
      const line = parent.closest("tr, .meter-head, .bar, .section-header, .page-header");
      const words = `“${text.data.trim().slice(0, 50)}”`;
      const range = document.createRange();
      range.selectNodeContents(text);
      for (const { left, right: end, top, bottom } of range.getClientRects()) {
        const right = style.overflowX === "visible" ? end : Math.min(end, box.right);
        if (right > box.right + 1) found.push(`${words} leaves its box by ${(right - box.right).toFixed()} px`);
        if (right > innerWidth + 1 && !scrolls(parent)) found.push(`${words} leaves the window`);
        if (!line) continue;
        for (const other of lines.get(line) ?? []) {
          const across = left < other.right - 1 && other.left < right - 1, down = top < other.bottom - 3 && other.top < bottom - 3;
          if (other.block !== block && across && down && !isSticky(block) && !isSticky(other.block)) found.push(`${words} covers ${other.words}`);
        }
        lines.set(line, [...(lines.get(line) ?? []), { left, right, top, bottom, block, words }]);
      }
    }
    return [...new Set(found)];
  },

  // A figure broken in the middle reads as two.
  brokenFigures() {
    const broken = (element) => {
      // Of the text alone: a bar beside a figure stands lower than its top.
      const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
      const range = document.createRange();
      const tops = [];
      while (texts.nextNode()) {
        range.selectNodeContents(texts.currentNode);
        tops.push(...[...range.getClientRects()].filter((box) => box.width > 0).map((box) => Math.round(box.top)));
      }
      return !/\s/.test(element.textContent.trim()) && new Set(tops).size > 1;
    };
    const figures = [...document.querySelectorAll(".card-value, .card-note b, td.num, .badge")];
    return figures.filter(broken).map((element) => `${element.className} is broken in two lines: ${element.textContent.trim()}`);
  },

  // WCAG 2.5.8: 24 by 24, but for links within a sentence. What grows a target without growing its looks counts.
  smallTargets() {
    const found = [];
    for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
      if (!element.checkVisibility({ visibilityProperty: true }) || element.matches(".skip")) continue;
      if (getComputedStyle(element).display === "inline" && element.closest("p, dd, td, strong")) continue;
      const box = element.getBoundingClientRect(), grown = getComputedStyle(element, "::after");
      const extra = grown.position === "absolute" ? Math.max(-2 * parseFloat(grown.top), 0) || 0 : 0;
      const size = `${box.width.toFixed()} × ${box.height.toFixed()}`;
      if (Math.min(box.width, box.height) + extra < 23.5) found.push(`${element.outerHTML.slice(0, 80)} is only ${size}`);
    }
    return found;
  },

  // After a key was pressed, focus set by a script is as visible as focus set by Tab.
  unseenFocus() {
    const found = [];
    for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
      if (!element.checkVisibility({ visibilityProperty: true })) continue;
      element.focus();
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
      const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && !/, 0\)$|transparent/.test(outlineColor);
      if (document.activeElement !== element || !seen) found.push(`${element.outerHTML.slice(0, 80)} shows no focus`);
    }
    document.activeElement.blur();
    return found;
  },

  // WCAG 2.4.11: after each step of focus, neither bar, dock nor a message covers most of the focused control.
  coveredFocus() {
    const found = [];
    for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
      if (!element.checkVisibility({ visibilityProperty: true }) || element.matches(".skip")) continue;
      element.focus();
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const [middle, name] = [(left + right) / 2, element.outerHTML.slice(0, 80)];
      const points = [[middle, top + 2], [middle, (top + bottom) / 2], [middle, bottom - 2]].filter(([, y]) => y > 0 && y < innerHeight);
      const covers = ([x, y]) => document.elementFromPoint(x, y)?.closest(".bar, .dock, .toasts");
      if (!points.length) found.push(`${name} is out of sight`);
      const covered = points.filter((point) => covers(point) && !covers(point).contains(element));
      // Of a tall text field the browser shows the line with the cursor, not always the last one.
      if (covered.length > 1) found.push(`${name} is covered`);
    }
    document.activeElement.blur();
    return found;
  },

  // A visitor who asks for less motion sees none.
  motion() {
    const moves = (element) => {
      const style = getComputedStyle(element), seconds = `${style.transitionDuration}, ${style.animationDuration}`;
      return Math.max(...seconds.split(",").map(parseFloat)) > 0.01;
    };
    const moving = [...document.querySelectorAll("body *")].filter(moves);
    return [...new Set(moving.map((element) => `.${element.getAttribute("class")} moves`))];
  },
});
