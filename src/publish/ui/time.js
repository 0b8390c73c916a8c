// Times and numbers for people. What the agent says is UTC; shown is the reader's own clock, UTC when the pointer rests on it.
import {element} from './dom.js';
import {language, word} from './words.js';

const units = language === 'ja' ? {ms: ' ミリ秒', s: ' 秒', min: ' 分', h: ' 時間', d: ' 日'}
  : {ms: ' ms', s: ' s', min: ' min', h: ' h', d: ' d'};

export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  if (ms < 1) return ms.toFixed(2) + units.ms;
  if (ms < 1000) return (ms < 10 ? ms.toFixed(1) : Math.round(ms)) + units.ms;
  const s = ms / 1000;
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + units.s;
  if (s < 3600) return Math.floor(s / 60) + units.min;
  if (s < 172800) return Math.floor(s / 3600) + units.h;
  return Math.floor(s / 86400) + units.d;
}

// The agent's clock may differ from ours: `offset` is what ours is ahead, from the Date header of an answer.
let offset = 0;
export function learnClock(date) {
  const theirs = Date.parse(date || '');
  if (!Number.isNaN(theirs) && Math.abs(Date.now() - theirs - offset) > 2000) offset = Date.now() - theirs;
}
export const agentNow = () => Date.now() - offset;

export function ago(time) {
  return time ? Math.max(0, agentNow() - Date.parse(time)) : null;
}

const clock = new Intl.DateTimeFormat(language, {hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false});
const day = new Intl.DateTimeFormat(language, {month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false});

export function localTime(time) {
  const at = new Date(time);
  return Math.abs(agentNow() - at) < 20 * 3600 * 1000 ? clock.format(at) : day.format(at);
}

export function timeElement(time, text) {
  if (!time) return element('span', {}, word('never'));
  return element('time', {datetime: time, title: time.replace('T', ' ').replace('Z', ' UTC')}, text ?? localTime(time));
}

const number = new Intl.NumberFormat(language, {maximumFractionDigits: 3});
export function quantity(value, unit) {
  if (value === null || value === undefined) return '–';
  if (unit === 's') return duration(value * 1000);
  if (unit === 'B') {
    let scaled = value, step = 0;
    while (Math.abs(scaled) >= 1024 && step < 5) { scaled /= 1024; ++step; }
    return number.format(scaled) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][step];
  }
  return number.format(value) + (unit ? (unit === '%' ? '%' : ' ' + unit) : '');
}
