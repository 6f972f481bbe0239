//! That everybody can read and use it: contrast, width, keyboard, motion, and the theme.

use crate::browser::Browser;
use crate::documents::{broken, healthy, hostile, young};
use crate::stand_in::StandIn;
use crate::{is_clean, open};
use serde_json::Value;

/// Every text that is seen whose contrast with its ground is too small (WCAG 2.2, AA).
const CONTRAST: &str = r"(() => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const over = (top, under) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map((at) => top[at] * alpha + under[at] * (1 - alpha));
  };
  const light = (color) => {
    const [r, g, b] = color.map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    if (!element) return parse(getComputedStyle(document.documentElement).backgroundColor);
    const drawn = element.closest('svg.graph');
    if (drawn && element !== drawn) {
      const box = element.closest('.node')?.querySelector('.box');
      const inside = box && !element.matches('.dead, .node > .quiet[text-anchor=middle]');
      if (inside) return parse(getComputedStyle(box).fill);
      return ground(drawn.parentElement);
    }
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 0 ? ground(element.parentElement) : over(own, ground(element.parentElement));
  };
  const found = [];
  let looked = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility()) continue;
    if (element.closest('.hidden, title, noscript')) continue;
    const style = getComputedStyle(element);
    const isDrawn = element.namespaceURI.endsWith('svg');
    const under = ground(element);
    const color = over(parse(isDrawn ? style.fill : style.color), under);
    const [one, two] = [light(color), light(under)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    looked += 1;
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
  }
  return { looked, found };
})()";

/// Elements that reach beyond the screen, but for those within a box that scrolls.
const BEYOND: &str = r"(() => {
  const root = document.documentElement;
  const found = root.scrollWidth > root.clientWidth ? [`the page: ${root.scrollWidth}`] : [];
  for (const element of document.body.querySelectorAll('*')) {
    if (!element.checkVisibility() || element.closest('.hidden, .skip, title')) continue;
    let scrolled = false;
    for (let up = element.parentElement; up; up = up.parentElement) {
      const { overflowX } = getComputedStyle(up);
      if (overflowX === 'auto' || overflowX === 'hidden' || overflowX === 'scroll') scrolled = true;
    }
    const box = element.getBoundingClientRect();
    if (!scrolled && box.right > root.clientWidth + 0.5) {
      found.push(`${element.tagName}.${element.getAttribute('class')}: ${box.right}`);
    }
  }
  return found;
})()";

type Document = fn(f64) -> Value;

const DOCUMENTS: [(&str, Document); 4] = [
    ("healthy", |seconds| healthy(seconds, 4)),
    ("broken", broken),
    ("hostile", hostile),
    ("young", young),
];

#[test]
fn every_text_has_contrast_in_light_and_in_dark() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| healthy(seconds, 4));
    for (name, document) in DOCUMENTS {
        host.set(move |seconds| Some(document(seconds)));
        for scheme in ["light", "dark"] {
            browser.look(1280, 900, scheme);
            browser.open(&host.url());
            browser.wait("the content", "!document.querySelector('#content').hidden");
            browser.wait(
                "two answers",
                "!document.querySelector('#verdict').innerText.includes('Looking')",
            );
            let seen = browser.eval(CONTRAST);
            assert!(seen["looked"].as_u64().is_some_and(|count| count > 80), "{name}: {seen}");
            assert_eq!(seen["found"], serde_json::json!([]), "{name}, {scheme}");
            if name == "healthy" {
                browser.click("#letters button");
                browser.wait("the letter", "document.querySelector('#letter').open");
                let seen = browser.eval(CONTRAST);
                assert_eq!(seen["found"], serde_json::json!([]), "a letter, {scheme}");
            }
        }
    }
}

#[test]
fn nothing_is_wider_than_the_screen_from_a_phone_to_a_desk() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| healthy(seconds, 4));
    for (name, document) in DOCUMENTS {
        host.set(move |seconds| Some(document(seconds)));
        for width in [360, 390, 620, 768, 1024, 1280, 1920] {
            browser.look(width, 800, "light");
            browser.open(&host.url());
            browser.wait("the content", "!document.querySelector('#content').hidden");
            browser.wait(
                "two answers",
                "!document.querySelector('#verdict').innerText.includes('Looking')",
            );
            let beyond = browser.eval(BEYOND);
            assert_eq!(beyond, serde_json::json!([]), "{name} at {width}");
            if width == 360 {
                browser.picture(&format!("{name}-phone"));
            }
        }
    }
    is_clean(&mut browser, &host.url());
}

#[test]
fn on_a_phone_the_drawing_goes_from_top_to_bottom_with_every_name_in_it() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| healthy(seconds, 4));
    browser.look(360, 740, "dark");
    open(&mut browser, &host);
    let ordered = browser.eval(
        "(() => { const y = (name) => [...document.querySelectorAll('#graph .node')].find((one) => \
         one.querySelector('.name, .label').textContent === name).getBoundingClientRect().y; \
         const all = ['sensors', 'observations', 'observe', 'cells', 'correlate', 'candidates', \
         'encounter', 'alerts', 'database'].map(y); \
         return all.every((one, at) => at === 0 || one > all[at - 1]); })()",
    );
    assert_eq!(ordered, true);
    is_clean(&mut browser, &host.url());
}

#[test]
fn all_can_be_done_with_the_keyboard() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(broken);
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    let mut reached = Vec::new();
    for _ in 0..80 {
        browser.press("Tab");
        let one = browser.text(
            "(() => { const it = document.activeElement; \
             return it.dataset.do ?? it.getAttribute('href') ?? it.id ?? ''; })()",
        );
        reached.push(one);
        if reached.last().is_some_and(|one| one == "letter") {
            break;
        }
    }
    for wanted in ["#verdict", "theme", "copy", "#stage-correlate", "graph", "letter"] {
        assert!(reached.iter().any(|one| one == wanted), "{wanted} is not in {reached:?}");
    }
    let id = browser.text("document.activeElement.dataset.what");
    browser.press("Enter");
    browser.wait("the letter", "document.querySelector('#letter').open");
    assert!(browser.says("#letter").contains(&id));
    let inside = "document.querySelector('#letter').contains(document.activeElement)";
    assert_eq!(browser.eval(inside), true);
    browser.press("Escape");
    browser.wait("its end", "!document.querySelector('#letter').open");
    // The focus is where it was, though letters came in meanwhile.
    assert_eq!(browser.text("document.activeElement.dataset.what"), id);
    is_clean(&mut browser, &host.url());
}

#[test]
fn every_control_has_a_name_and_nothing_moves_where_that_is_not_wanted() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(broken);
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    let nameless = browser.eval(
        "[...document.querySelectorAll('a, button, [role=img], [role=region], table, section')]\
         .filter((one) => \
         !['aria-label', 'aria-labelledby'].some((name) => one.getAttribute(name)) \
         && !one.textContent.trim()).map((one) => one.outerHTML.slice(0, 200))",
    );
    assert_eq!(nameless, serde_json::json!([]));
    assert_eq!(browser.eval("document.getAnimations().length"), 0);
    is_clean(&mut browser, &host.url());
}

#[test]
fn the_theme_follows_the_system_until_somebody_chooses() {
    let Some(mut browser) = Browser::start() else { return };
    let host = StandIn::start(|seconds| healthy(seconds, 4));
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.look(1280, 900, "light");
    open(&mut browser, &host);
    let light = browser.text(ground);
    browser.look(1280, 900, "dark");
    let dark = browser.text(ground);
    assert_ne!(light, dark);
    browser.click("button.theme");
    assert_eq!(browser.text(ground), light);
    open(&mut browser, &host);
    assert_eq!(browser.text(ground), light, "the choice is kept");
    browser.click("button.theme");
    assert_eq!(browser.text(ground), dark);
    is_clean(&mut browser, &host.url());
}
