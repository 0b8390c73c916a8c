// How much of the last hour, day, week and month each service and check was up; planned time stands apart, time nobody looked
// counts neither way. Read once a minute.
import {byId, element, link, table} from './dom.js';
import {read} from './agent.js';
import {duration} from './time.js';
import {word} from './words.js';

const windows = ['1h', '1d', '7d', '30d'];
const every = 60000;
let readAt = -Infinity;

// 99.987%, never rounded up to 100.
const percent = (w) => w.up_ms + w.down_ms === 0 ? '–' : w.availability >= 1 ? '100%' : (Math.floor(w.availability * 100000) / 1000).toFixed(3) + '%';
const length = (ms) => ms > 0 ? duration(ms) : '–';

function row(kind, name, subject) {
  const month = subject.windows['30d'];
  return [element('span', {}, word(kind) + ' ', link('/api/v1/' + kind + 's/' + encodeURIComponent(name), name)),
    ...windows.map((w) => percent(subject.windows[w])), length(month.down_ms), length(month.planned_ms), length(month.unknown_ms)];
}

export async function showAvailability() {
  if (performance.now() - readAt < every) return;
  readAt = performance.now();
  const found = await read('/api/v1/availability').catch(() => null);
  const rows = found ? [...found.services.map((s) => row('service', s.name, s)), ...found.checks.map((c) => row('check', c.name, c))] : [];
  byId('availability-section').hidden = !rows.length;
  if (rows.length) {
    byId('availability').replaceChildren(table(word('availability'),
      ['', ...windows, word('down_in', {time: '30d'}), word('planned'), word('not_known')], rows));
  }
}
