// The checks, worst first: one row each, that opens to what the last probe found. A row is made anew only when its check
// has a new result, so hundreds of them cost nothing while nothing happens; ages and countdowns are texts that tick.
import {byId, element, link, pill, setText, table} from './dom.js';
import {read} from './agent.js';
import {line, phases, remember, remind, strip} from './trend.js';
import {ago, agentNow, duration, localTime, quantity, timeElement} from './time.js';
import {stateWord, word} from './words.js';

const worst = ['fail', 'stale', 'warn', 'pending', 'pass'];
const rows = new Map();  // name -> {root, print, check, ticking, isOpen}

function tags(check) {
  const out = [];
  if (check.mode === 'shadow') out.push(word('shadow'));
  if (!check.is_critical) out.push(word('not_critical'));
  if (check.scope === 'shared') out.push(word('shared'));
  if (check.is_flapping) out.push(word('flapping'));
  return out;
}

function details(check) {
  const path = '/api/v1/checks/' + encodeURIComponent(check.name);
  const facts = Object.entries(check.facts).map(([name, value]) => name + ' = ' + value);
  const labels = Object.entries(check.labels).map(([name, value]) => name + ' = ' + value);
  const pairs = [
    [word('interval'), duration(check.interval_ms)], [word('timeout'), duration(check.timeout_ms)], [word('streak'), String(check.streak)],
    check.depends_on.length ? [word('depends_on'), check.depends_on.join(', ')] : null,
    facts.length ? [word('facts'), facts.join(', ')] : null, labels.length ? [word('labels'), labels.join(', ')] : null,
  ].filter(Boolean);
  return element('div', {class: 'details'},
    check.description ? element('p', {}, check.description) : null,
    phases(check),
    line(check),
    check.measures.length ? table(word('measure'), [word('measure'), word('value'), word('warn_at'), word('fail_at')],
      check.measures.map((m) => [m.name, quantity(m.value, m.unit), quantity(m.warn, m.unit), quantity(m.fail, m.unit)])) : null,
    element('dl', {class: 'pairs'}, ...pairs.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)))),
    element('p', {}, link(path, word('in_api')), ' · ', link('/api/v1/events?check=' + encodeURIComponent(check.name), word('history_of'))));
}

function makeRow(check, row) {
  const ticking = {age: element('span'), next: element('span')};
  const change = check.pending_change;
  const id = 'details-' + encodeURIComponent(check.name);
  const more = element('button', {type: 'button', 'aria-expanded': String(row.isOpen), 'aria-controls': id,
    'aria-label': word('more_of', {check: check.name})}, check.name);
  more.addEventListener('click', () => {
    row.isOpen = !row.isOpen;
    showAnew(row);
    if (row.isOpen) recall(check.name);
    row.root.querySelector('button').focus();
  });
  const content = [
    element('div', {class: 'state'}, pill(check.state, stateWord(check.state)),
      change ? element('small', {}, word('changing', {seen: change.seen, needed: change.needed, to: stateWord(change.to)})) : null),
    element('div', {class: 'name'}, more, element('small', {}, [check.type, ...tags(check)].join(' · '))),
    element('div', {class: 'output'}, check.output || '',
      check.cause && check.cause !== 'none' ? element('small', {}, check.verdict + '/' + check.cause) : null,
      check.suppressed_by ? element('small', {}, word('explained_by', {check: check.suppressed_by})) : null),
    element('div', {class: 'past'}, strip(check.history)),
    element('dl', {class: 'times'},
      element('div', {}, element('dt', {}, word('took')), element('dd', {}, duration(check.duration_ms))),
      element('div', {}, element('dt', {}, word('age')), element('dd', {}, ticking.age)),
      element('div', {}, element('dt', {}, word('next')), element('dd', {}, ticking.next))),
    row.isOpen ? element('div', {class: 'below', id}, details(check), element('p', {class: 'soft'}, timeElement(check.since,
      word('since', {time: check.since ? localTime(check.since) : '–'})))) : null,
  ];
  row.root.dataset.status = check.state;
  row.root.replaceChildren(...content.filter(Boolean));
  row.ticking = ticking;
}

function showRow(check) {
  let row = rows.get(check.name);
  if (!row) {
    row = {root: element('article', {class: 'check', role: 'listitem', id: 'check-' + encodeURIComponent(check.name)}), print: '', isOpen: false};
    rows.set(check.name, row);
  }
  remember(check);
  row.check = check;
  row.readAt = agentNow();
  const print = JSON.stringify({...check, age_ms: 0, evidence_age_ms: 0, next_probe_ms: 0, running_ms: 0});
  if (print !== row.print) {
    row.print = print;
    makeRow(check, row);
  }
  return row;
}

function showAnew(row) {
  row.print = '';
  showRow(row.check);
  tickRow(row);
}

function tickRow(row) {
  const check = row.check;
  setText(row.ticking.age, duration(ago(check.last_result)));
  const next = check.next_probe_ms === null ? null : Math.max(0, check.next_probe_ms - (agentNow() - row.readAt));
  setText(row.ticking.next, check.running_ms !== null ? word('running') : next === 0 ? word('now') : duration(next));
}

// What the journal remembers of the times, if there is one.
async function recall(name) {
  try {
    const found = await read('/api/v1/results?limit=64&check=' + encodeURIComponent(name));
    if (!found || !found.results) return;
    remind(name, found.results.map((r) => [r.at || r.time, r.duration_ms]));
    const row = rows.get(name);
    if (row && row.isOpen) showAnew(row);
  } catch { /* it is only a picture */ }
}

function matches(check) {
  if (byId('only-bad').checked && check.state === 'pass') return false;
  const asked = byId('find').value.trim().toLowerCase();
  return !asked || [check.name, check.type, check.state, check.output, check.description].join(' ').toLowerCase().includes(asked);
}

let all = [];

export function showChecks(checks) {
  all = checks;
  const place = byId('checks');
  const rank = (c) => (c.mode === 'shadow' ? worst.length : worst.indexOf(c.state));  // what does not count comes last
  const sorted = [...checks].sort((a, b) => rank(a) - rank(b));
  const wanted = [];
  for (const check of sorted) {
    const row = showRow(check);
    if (matches(check)) wanted.push(row.root);
  }
  const names = new Set(checks.map((c) => c.name));
  for (const name of [...rows.keys()]) if (!names.has(name)) rows.delete(name);
  const isSame = wanted.length === place.children.length && wanted.every((e, i) => place.children[i] === e);
  if (!isSame || !wanted.length) {
    const focused = document.activeElement;
    place.replaceChildren(...(wanted.length ? wanted : [element('p', {class: 'soft'}, word('no_check_found'))]));
    if (focused && focused !== document.body && place.contains(focused)) focused.focus({preventScroll: true});
  }
  const counts = new Map();
  for (const c of checks) counts.set(c.state, (counts.get(c.state) || 0) + 1);
  setText(byId('counts'), worst.filter((s) => counts.has(s)).map((s) => word('count_of', {count: counts.get(s), state: stateWord(s)})).join(', '));
  tickChecks();
}

export function tickChecks() {
  for (const row of rows.values()) if (row.root.isConnected) tickRow(row);
}

export function openByAddress() {
  const id = location.hash.slice(1);
  for (const row of rows.values()) {
    if (row.root.id !== id || row.isOpen) continue;
    row.isOpen = true;
    showAnew(row);
    recall(row.check.name);
    row.root.scrollIntoView({block: 'center'});
  }
}

for (const id of ['find', 'only-bad']) byId(id).addEventListener('input', () => showChecks(all));
window.addEventListener('hashchange', openByAddress);
