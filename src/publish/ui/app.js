// The page's heart: reads the API, hands each part what it shows, and says so when the agent does not answer. What it shows
// may come from servers under watch: no text ever becomes markup (dom.js).
import {byId, setText} from './dom.js';
import {actions, learnAccess} from './actions.js';
import {period, read, Refused, Stream} from './agent.js';
import {showConsumers, showFailovers, showOutputs, showOverlays} from './around.js';
import {showAvailability} from './availability.js';
import {openByAddress, showChecks, tickChecks} from './checks.js';
import {forgetEvents, lastEvent, showEvents, takeEvents} from './events.js';
import {showLink, showNode} from './node.js';
import {showServices} from './services.js';
import {translatePage, word} from './words.js';

const quietly = (path) => read(path).catch(() => null);

let timer = 0;
let isReading = false;
let isAskedAgain = false;
let answeredAt = null;
let startedAt = null;
let isFirst = true;

const stream = new Stream((event) => {
  if (event && event.event) takeEvents([event]);
  refreshSoon();
}, () => refreshSoon());

function showTrouble(error) {
  const trouble = byId('trouble');
  const text = !error ? '' : error instanceof Refused ? word('no_details')
    : word('no_answer', {time: answeredAt ? answeredAt.toLocaleTimeString() : '–'});
  trouble.hidden = !error;
  setText(trouble, text);
  if (error) {
    byId('node').dataset.status = 'unknown';
    showLink('lost');
  } else {
    showLink(stream.isLive ? 'live' : 'polling', period / 1000);
  }
}

async function refresh() {
  if (isReading) {
    isAskedAgain = true;
    return;
  }
  isReading = true;
  isAskedAgain = false;
  clearTimeout(timer);
  try {
    const [status, checks] = await Promise.all([read('/api/v1/status'), read('/api/v1/checks')]);
    answeredAt = new Date();
    if (startedAt !== null && startedAt !== status.started) forgetEvents();
    startedAt = status.started;
    if (isFirst) await learnAccess(refreshSoon);
    showNode(status);
    showServices(status.services, checks.checks, status.overlays);
    byId('node-actions').replaceChildren(...[actions(null, status.overlays.some((o) => !o.service))].filter(Boolean));
    showChecks(checks.checks);
    showOverlays(status.overlays);
    showTrouble(null);
    if (isFirst) {
      isFirst = false;
      openByAddress();
      stream.open();
    }
    const [events, consumers, outputs, failovers] = await Promise.all([
      quietly('/api/v1/events?limit=200' + (lastEvent() ? '&after=' + lastEvent() : '')), quietly('/api/v1/consumers'),
      quietly('/api/v1/outputs'), quietly('/api/v1/failovers')]);
    if (events) takeEvents(events.events);
    showConsumers(consumers);
    showOutputs(outputs);
    showFailovers(failovers);
    await showAvailability();
  } catch (error) {
    showTrouble(error);
  }
  isReading = false;
  clearTimeout(timer);
  timer = setTimeout(refresh, isAskedAgain ? 100 : stream.period);
}

function refreshSoon() {
  if (isReading) {
    isAskedAgain = true;
    return;
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, 50);
}

translatePage();
showEvents();
setInterval(() => { if (!document.hidden) tickChecks(); }, 1000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) refreshSoon(); });
refresh();
