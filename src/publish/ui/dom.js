// Making elements. Every text goes through textContent: it may come from a server that is watched, or an operator.

export const byId = (id) => document.getElementById(id);

// element('td', {class: 'number', title: '…'}, 'text', child, …); null and undefined children are left out.
export function element(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) e.setAttribute(name, value === true ? '' : value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

const svgSpace = 'http://www.w3.org/2000/svg';
export function drawing(tag, attributes, ...children) {
  const e = document.createElementNS(svgSpace, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

// A word of status: always the word itself, the colour only beside it.
export function pill(status, text) {
  return element('span', {class: 'pill', 'data-status': status}, text);
}

// Sets the text of a node only if it changed, so that nothing is laid out anew for nothing.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function link(path, text) {
  return element('a', {href: path}, text);
}

// A plain table; `rows` are arrays of texts or elements.
export function table(caption, head, rows) {
  const cells = (tag, row, more) => element('tr', {}, ...row.map((c) => element(tag, more, c)));
  return element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption},
    element('table', {}, element('thead', {}, cells('th', head, {scope: 'col'})),
      element('tbody', {}, ...rows.map((row) => cells('td', row, {})))));
}
