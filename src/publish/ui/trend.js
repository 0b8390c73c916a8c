// Small pictures: the last 64 outcomes as a strip, how long the last probes took as a line with the timeout above it, the
// phases of the last probe as a bar. Each has its numbers as a text, too.
import {drawing, element} from './dom.js';
import {duration} from './time.js';
import {word} from './words.js';

const outcomes = {'.': 'pass', w: 'warn', F: 'fail', '?': 'unknown'};
const width = 2.5, high = 16;

// Height and gap say what the colour says.
const heights = {pass: 8, warn: 12, fail: 16, unknown: 4};

export function strip(history) {
  const counts = {pass: 0, warn: 0, fail: 0, unknown: 0};
  const e = drawing('svg', {class: 'strip', viewBox: `0 0 ${64 * width} ${high}`, role: 'img', preserveAspectRatio: 'xMaxYMax'});
  const begin = 64 - history.length;
  [...history].forEach((letter, i) => {
    const status = outcomes[letter] || 'unknown';
    ++counts[status];
    e.append(drawing('rect', {'data-status': status, x: (begin + i) * width, y: high - heights[status], width: width - 0.6,
      height: heights[status]}));
  });
  e.setAttribute('aria-label', word('history_label',
    {count: history.length, passed: counts.pass, warned: counts.warn, failed: counts.fail, unknown: counts.unknown}));
  return e;
}

const most = 64;
const kept = new Map();  // name of a check -> the last [time of the result, milliseconds]

export function remember(check) {
  if (!check.last_result || check.duration_ms === null) return;
  const of = kept.get(check.name) || [];
  if (of.length && of[of.length - 1][0] === check.last_result) return;
  of.push([check.last_result, check.duration_ms]);
  if (of.length > most) of.shift();
  kept.set(check.name, of);
}

// What the agent remembers of it, oldest first, before what was seen here.
export function remind(name, results) {
  const known = new Set((kept.get(name) || []).map(([time]) => time));
  const older = results.filter(([time]) => !known.has(time));
  kept.set(name, [...older, ...(kept.get(name) || [])].sort((a, b) => a[0] < b[0] ? -1 : 1).slice(-most));
}

export function line(check) {
  const of = kept.get(check.name) || [];
  const top = Math.max(check.timeout_ms || 0, ...of.map(([, ms]) => ms), 1);
  // Logarithmic: a probe takes a millisecond on most days, and the timeout is at seconds.
  const y = (ms) => 30 - 28 * Math.log1p(ms) / Math.log1p(top);
  const e = drawing('svg', {class: 'trend', viewBox: '0 0 160 32', role: 'img', preserveAspectRatio: 'none'});
  if (check.timeout_ms) e.append(drawing('line', {class: 'timeout', x1: 0, x2: 160, y1: y(check.timeout_ms), y2: y(check.timeout_ms)}));
  const step = 160 / (most - 1);
  const points = of.map(([, ms], i) => `${((most - of.length + i) * step).toFixed(1)},${y(ms).toFixed(1)}`);
  if (points.length === 1) points.unshift('0,' + points[0].split(',')[1]);
  if (points.length) e.append(drawing('polyline', {points: points.join(' ')}));
  const values = of.map(([, ms]) => ms);
  e.setAttribute('aria-label', word('trend_label', {count: of.length, least: duration(values.length ? Math.min(...values) : null),
    most: duration(values.length ? Math.max(...values) : null), timeout: duration(check.timeout_ms)}));
  return e;
}

export function phases(check) {
  const order = ['resolve', 'connect', 'tls', 'auth', 'exchange'];
  const known = order.filter((p) => check.phases[p] !== undefined).map((p) => [p, check.phases[p]]);
  if (!known.length) return null;
  const spent = known.reduce((sum, [, ms]) => sum + ms, 0);
  const whole = Math.max(check.duration_ms || 0, spent);
  if (whole - spent > 0.001) known.push(['rest', whole - spent]);
  const texts = known.map(([p, ms]) => word('phase_' + p) + ' ' + duration(ms));
  const bar = element('div', {class: 'phases', role: 'img', 'aria-label': word('phases_label', {phases: texts.join(', ')})});
  known.forEach(([p, ms], i) => {
    const piece = element('span', {'data-phase': p, title: texts[i]}, element('span', {}, texts[i]));
    piece.style.flexGrow = String(Math.max(ms / whole, 0.02));
    bar.append(piece);
  });
  return bar;
}
