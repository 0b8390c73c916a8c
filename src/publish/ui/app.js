// Reads the API and shows it; every text goes through textContent, since it may come from a server that is watched.
'use strict';

const period = 2000;
const byId = (id) => document.getElementById(id);

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined && text !== null) e.textContent = text;
  return e;
}

function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return Math.round(ms) + ' ms';
  const s = ms / 1000;
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min';
  if (s < 172800) return Math.floor(s / 3600) + ' h';
  return Math.floor(s / 86400) + ' d';
}

function sinceText(time) {
  return time ? duration(Math.max(0, Date.now() - Date.parse(time))) : '–';
}

function pill(status) {
  const e = element('span', 'pill', status);
  e.dataset.status = status;
  return e;
}

const shown = (service) => service.overlay !== 'none' ? service.overlay : service.answer;

function showNode(status) {
  const node = status.node;
  byId('node').dataset.status = shown(node);
  byId('title').textContent = node.name + ' – ' + shown(node);
  document.title = shown(node) + ' · ' + node.name;
  const notes = [node.reason || 'every service passes'];
  for (const o of status.overlays) {
    notes.push(o.kind + (o.service ? ' of ' + o.service : '') + ' by ' + (o.owner || '?') + (o.reason ? ': ' + o.reason : '') +
      (o.until ? ', until ' + new Date(o.until).toLocaleString() : ''));
  }
  if (!status.config.is_current) notes.push('the last reload was refused: ' + status.config.problem);
  byId('reason').textContent = notes.join(' · ');
  const facts = [['Zone', node.zone || '–'], ['Weight', node.weight], ['Version', status.version],
    ['Up', sinceText(status.started)]];
  byId('facts').replaceChildren(...facts.map(([name, value]) => {
    const e = element('div');
    e.append(element('dt', '', name), element('dd', '', value));
    return e;
  }));
}

function serviceCard(service) {
  const card = element('article', 'card');
  card.dataset.status = shown(service);
  const title = element('h3', '', service.name);
  title.append(pill(shown(service)));
  card.append(title, element('p', '', service.reason || service.description || service.checks.join(', ')),
    element('p', '', 'since ' + sinceText(service.since)));
  return card;
}

function history(text) {
  const words = {'.': 'pass', 'w': 'warn', 'F': 'fail', '?': 'unknown'};
  const e = element('div', 'history');
  e.setAttribute('role', 'img');
  e.setAttribute('aria-label', 'the last ' + text.length + ' results, oldest first: ' + text);
  for (const c of text.slice(-32)) {
    const cell = element('i');
    cell.dataset.status = words[c] || 'unknown';
    e.append(cell);
  }
  return e;
}

function checkRow(check) {
  const row = element('tr');
  const state = element('td');
  state.append(pill(check.state));
  if (check.pending_change) {
    const p = check.pending_change;
    state.append(element('small', '', p.seen + ' of ' + p.needed + ' to ' + p.to));
  }
  const title = element('td', '', check.name);
  title.append(element('small', '', check.type + (check.mode === 'shadow' ? ', shadow' : '') +
    (check.is_critical ? '' : ', not critical')));
  const output = element('td', 'output', check.output || '');
  if (check.cause && check.cause !== 'none') output.append(element('small', '', check.verdict + '/' + check.cause));
  if (check.suppressed_by) output.append(element('small', '', 'explained by ' + check.suppressed_by));
  const past = element('td');
  past.append(history(check.history));
  row.append(state, title, output, element('td', 'number', duration(check.duration_ms)), past,
    element('td', 'number', sinceText(check.since)), element('td', 'number', duration(check.age_ms)),
    element('td', 'number', check.running_ms !== null ? 'now' : duration(check.next_probe_ms)));
  return row;
}

async function read(path) {
  const answer = await fetch(path, {cache: 'no-store'});
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || 'the agent answered ' + answer.status);
  return body;
}

async function refresh() {
  const trouble = byId('trouble');
  try {
    const [status, checks] = await Promise.all([read('/api/v1/status'), read('/api/v1/checks')]);
    trouble.hidden = true;
    showNode(status);
    byId('services').replaceChildren(...status.services.map(serviceCard));
    byId('checks').replaceChildren(...checks.checks.map(checkRow));
  } catch (error) {
    byId('node').dataset.status = 'unknown';
    trouble.textContent = error instanceof TypeError ? 'The agent does not answer. What is shown is old.' : error.message;
    trouble.hidden = false;
  }
  setTimeout(refresh, period);
}

refresh();
