"""Pages in a real browser: what they should not do is gathered, and what can be measured of how they look."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.judges.roots import requires_corpus

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

__all__ = ["DESK", "FAINT", "PHONE", "Opened", "opened", "violations"]

DESK, PHONE = (1440, 900), (375, 760)
# What the browser itself says is wrong, gathered before the page's own script runs.
WATCH = """
window.wrong = [];
addEventListener("securitypolicyviolation", (event) => wrong.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
# Texts whose colour is nearer to what is behind them than 4.5 : 1, by WCAG 2.2; what cannot be seen is left out.
FAINT = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = parts(colour).slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((parts(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  let seen = 0;
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, script")) continue;
    seen += 1;
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    const enough = (one + 0.05) / (other + 0.05) >= 4.5;
    if (!enough) faint.push(`${element.tagName} ${element.textContent.slice(0, 40)}`);
  }
  return [seen, faint];
}"""


class Opened:
    """A page in the browser, and all that it should not have done."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.address = path.as_uri()
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.route("**/*", self._asked)
        page.add_init_script(WATCH)

    def _asked(self, route: Route) -> None:
        if route.request.url.partition("#")[0] == self.address:
            route.continue_()
            return
        self.wrong.append(f"request: {route.request.url[:80]}")
        route.abort()

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id"))

    def is_open(self) -> bool:
        return bool(self.page.evaluate("document.getElementById('panel').open"))

    def cells(self) -> list[str]:
        return [str(link.get_attribute("href")) for link in self.page.locator("#matrix a:visible").all()]

    def hash(self) -> str:
        return str(self.page.evaluate("location.hash"))


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    *,
    size: tuple[int, int] = DESK,
    at: str = "",
    **options: Any,  # noqa: ANN401
) -> Generator[Opened]:
    """Open a page; what it did wrong fails the test at its end."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    try:
        held = Opened(context.new_page(), path)
        held.page.goto(held.address + (f"#{at}" if at else ""))
        yield held
        refused = held.page.evaluate("window.wrong ?? []") if options.get("java_script_enabled", True) else []
        wrong = held.wrong + refused
        assert not wrong, "\n".join(map(str, wrong))
    finally:
        context.close()


def violations(page: Page) -> tuple[list[object], int]:
    """Return what axe-core finds wrong by WCAG 2.2 AA and best practice, and how many of its rules the page passes."""
    axe = requires_corpus("axe-core") / "axe.min.js"
    page.evaluate(axe.read_text(encoding="utf-8"))
    found, passes = page.evaluate(
        """async () => {
          const all = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
          const { violations, passes } = await axe.run(document, { runOnly: all });
          return [violations.map(({ id, nodes }) => [id, nodes.map((one) => one.html)]), passes.length];
        }"""
    )
    return found, passes
