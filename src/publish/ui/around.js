// What stands around the verdict: drains and maintenance, who asks, who is told, failovers. A section without entries, or
// whose page this agent does not have, is not shown.
import {byId, element, pill, table} from './dom.js';
import {agentNow, duration, timeElement} from './time.js';
import {stateWord, word} from './words.js';

function show(id, content) {
  byId(id + '-section').hidden = !content;
  if (content) byId(id).replaceChildren(content);
}

const text = (value) => value === null || value === undefined || value === '' ? '–' : String(value);

export function showOverlays(overlays) {
  show('overlays', overlays.length ? table(word('overlays'),
    [word('kind'), word('of'), word('reason'), word('owner'), word('until')],
    overlays.map((o) => [pill(o.kind, stateWord(o.kind)), o.service || word('whole_node'), text(o.reason), text(o.owner),
      o.until ? element('span', {}, timeElement(o.until), ' · ' + word('left', {time: duration(Math.max(0, Date.parse(o.until) - agentNow()))}))
        : word('for_ever')])) : null);
}

const believed = (c) => [c.believes, c.belief, c.weight !== undefined && c.weight !== null ? word('weight_is', {weight: c.weight}) : null]
  .filter((b) => b && typeof b !== 'object').join(', ') ||
  (c.believes && typeof c.believes === 'object' ? Object.entries(c.believes).map(([k, v]) => k + ' ' + v).join(', ') : '–');

export function showConsumers(found) {
  const list = (found && found.consumers) || [];
  show('consumers', list.length ? table(word('consumers'),
    [word('consumer'), word('address'), word('asks'), word('every'), word('last_seen'), word('last_told'), word('believes')],
    list.map((c) => [text(c.kind || c.name), text(c.address), text(c.path), duration(c.interval_ms), timeElement(c.last_seen),
      text(c.last_code ?? c.last_answer), believed(c)])) : null);
}

const outputStates = {ok: 'pass', pending: 'pending', failing: 'fail'};

export function showOutputs(found) {
  const list = (found && found.outputs) || [];
  show('outputs', list.length ? table(word('outputs'),
    [word('output'), word('kind'), word('state'), word('last_change'), word('last_error')],
    list.map((o) => [text(o.name), text(o.type), pill(outputStates[o.state] || 'unknown', text(o.state)), timeElement(o.last_change),
      text(o.last_error)])) : null);
}

export function showFailovers(found) {
  const list = (found && found.failovers) || [];
  show('failovers', list.length ? table(word('failovers'),
    [word('topology'), word('state'), word('from'), word('to'), word('started'), word('duration')],
    list.map((f) => [text(f.topology), text(f.state), text(f.from), text(f.to), timeElement(f.started || f.t0), duration(f.duration_ms)])) : null);
}
