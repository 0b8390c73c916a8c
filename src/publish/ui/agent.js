// How the page hears from the agent: it reads the API, and follows /api/v1/stream so that a change is seen when it happens.
// Where there is no stream, or it breaks, reading every few seconds goes on by itself.
import {learnClock} from './time.js';

export const period = 2000;
const livePeriod = 10000;
const patience = 8000;

export class Refused extends Error {}

// Pages this agent does not have are asked for once a minute, in case it was upgraded.
const absent = new Map();
const absentFor = 60000;

export async function read(path) {
  const page = path.split('?')[0];
  if (Date.now() - (absent.get(page) ?? -Infinity) < absentFor) return null;
  const answer = await fetch(path, {cache: 'no-store', signal: AbortSignal.timeout(patience)});
  learnClock(answer.headers.get('Date'));
  if (answer.status === 404) {
    absent.set(page, Date.now());
    return null;
  }
  if (answer.status === 403) throw new Refused();
  if (!answer.ok) throw new Error(path + ': ' + answer.status);
  return answer.json();
}

// Calls `happened(event)` for each event as it comes, `changed(isLive)` when the stream begins or breaks.
export class Stream {
  constructor(happened, changed) {
    this.happened = happened;
    this.changed = changed;
    this.isLive = false;
    this.wait = 1000;
  }

  open() {
    const source = new EventSource('/api/v1/stream');
    source.onopen = () => this.become(true);
    const take = (message) => {
      try {
        this.happened(JSON.parse(message.data));
      } catch { /* not for us */ }
    };
    source.onmessage = take;
    for (const kind of ['event', 'state', 'check', 'service']) source.addEventListener(kind, take);
    source.onerror = () => {
      this.become(false);
      if (source.readyState !== EventSource.CLOSED) return;  // it tries again by itself
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, 60000);
    };
  }

  become(isLive) {
    if (isLive) this.wait = 1000;
    if (this.isLive === isLive) return;
    this.isLive = isLive;
    this.changed(isLive);
  }

  get period() {
    return this.isLive ? livePeriod : period;
  }
}
