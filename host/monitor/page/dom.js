// Turns descriptions of elements into elements, and changes only what differs, so that focus,
// selection and an open tooltip outlive each poll. Text becomes text nodes and nothing else: no
// string is ever read as markup. What an element does is found by `data-do` (see page.js).

const SVG = "http://www.w3.org/2000/svg";

/** Describes an element. `key` in the attributes keeps its identity when its place changes. */
export function h(tag, attributes, ...children) {
  const { key, ...rest } = attributes ?? {};
  return { tag, key, attributes: rest, children: flat(children) };
}

function flat(children) {
  const all = children.flat(Infinity);
  return all.filter((child) => child !== null && child !== undefined && child !== false);
}

/** Makes the children of `parent` be what `wanted` describes. */
export function patch(parent, ...wanted) {
  patchChildren(parent, flat(wanted), parent.namespaceURI === SVG);
}

function patchChildren(parent, wanted, inSvg) {
  const keys = new Set(wanted.map((one) => one.key).filter((key) => key !== undefined));
  const kept = new Map();
  for (const node of parent.childNodes) {
    if (node.pawlKey !== undefined) kept.set(node.pawlKey, node);
  }
  let at = parent.firstChild;
  const drop = () => {
    const next = at.nextSibling;
    at.remove();
    at = next;
  };
  for (const one of wanted) {
    // What nobody wants any more goes first: then those behind it need not be moved, and a moved
    // element would lose the focus.
    while (at?.pawlKey !== undefined && !keys.has(at.pawlKey)) drop();
    const known = one.key !== undefined ? kept.get(one.key) : at;
    if (known && fits(known, one)) {
      if (known === at) at = at.nextSibling;
      else parent.insertBefore(known, at);
      update(known, one, inSvg);
    } else {
      const made = make(one, inSvg);
      parent.insertBefore(made, at);
      if (at && one.key === undefined && at.pawlKey === undefined) drop();
    }
  }
  while (at) drop();
}

function fits(node, one) {
  if (typeof one !== "object") return node.nodeType === Node.TEXT_NODE;
  return node.nodeType === Node.ELEMENT_NODE && node.pawlTag === one.tag && node.pawlKey === one.key;
}

function make(one, inSvg) {
  if (typeof one !== "object") return document.createTextNode(String(one));
  const svg = inSvg || one.tag === "svg";
  const node = svg ? document.createElementNS(SVG, one.tag) : document.createElement(one.tag);
  node.pawlTag = one.tag;
  node.pawlKey = one.key;
  update(node, one, svg);
  return node;
}

function update(node, one, inSvg) {
  if (typeof one !== "object") {
    if (node.data !== String(one)) node.data = String(one);
    return;
  }
  const before = node.pawlAttributes ?? {};
  for (const [name, value] of Object.entries(one.attributes)) {
    if (before[name] === value) continue;
    if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const name of Object.keys(before)) {
    if (!(name in one.attributes)) node.removeAttribute(name);
  }
  node.pawlAttributes = one.attributes;
  patchChildren(node, one.children, inSvg || one.tag === "svg");
}
