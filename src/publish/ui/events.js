// What happened, newest first; filtered as one types, live as it comes.
import {byId, element} from './dom.js';
import {timeElement} from './time.js';
import {word} from './words.js';

const most = 200;
const known = new Map();  // by id
let newest = 0;

export const lastEvent = () => newest;

export function takeEvents(events) {
  let isNew = false;
  for (const e of events) {
    if (e.id === undefined || known.has(e.id)) continue;
    known.set(e.id, e);
    newest = Math.max(newest, e.id);
    isNew = true;
  }
  while (known.size > most * 2) known.delete(known.keys().next().value);
  if (isNew) showEvents();
}

// The agent began anew: its ids may, too.
export function forgetEvents() {
  known.clear();
  newest = 0;
}

const ownFields = new Set(['id', 'at', 'time', 'level', 'event', 'fields', 'node']);

function fieldsOf(e) {
  const fields = e.fields || Object.fromEntries(Object.entries(e).filter(([name]) => !ownFields.has(name)));
  return Object.entries(fields).map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]);
}

export function showEvents() {
  const asked = byId('find-event').value.trim().toLowerCase();
  const list = [...known.values()].sort((a, b) => b.id - a.id);
  const items = [];
  for (const e of list) {
    const fields = fieldsOf(e);
    const whole = [e.event, ...fields.map(([n, v]) => n + '=' + v)].join(' ');
    if (asked && !whole.toLowerCase().includes(asked)) continue;
    const state = Object.fromEntries(fields).to;
    items.push(element('li', {'data-status': e.level === 'error' ? 'fail' : state || (e.level === 'warning' ? 'warn' : 'none')},
      timeElement(e.at || e.time), ' ', element('b', {}, e.event), ' ',
      ...fields.flatMap(([name, value]) => [element('span', {class: 'field'}, element('i', {}, name + '='), value), ' '])));
    if (items.length === most) break;
  }
  byId('events').replaceChildren(...(items.length ? items : [element('li', {class: 'soft'}, word('no_events'))]));
}

byId('find-event').addEventListener('input', showEvents);
