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

const believed = (b) => b ? [b.node, b.state, b.rank, b.weight ? word('weight_is', {weight: b.weight}) : null].filter(Boolean).join(', ') : '–';

export function showConsumers(found) {
  const list = ((found && found.consumers) || []).filter((c) => !c.is_lost);
  show('consumers', list.length ? table(word('consumers'),
    [word('consumer'), word('address'), word('asks'), word('every'), word('last_seen'), word('last_told'), word('believes')],
    list.map((c) => [text(c.kind), text(c.address), text(c.path), duration(c.interval_ms), timeElement(c.last_seen),
      text(c.last_word ?? c.last_code), believed(c.believes)])) : null);
}

const outputStates = {ok: 'pass', pending: 'pending', failing: 'fail'};

export function showOutputs(found) {
  const list = (found && found.outputs) || [];
  show('outputs', list.length ? table(word('outputs'),
    [word('output'), word('kind'), word('of'), word('last_told'), word('state'), word('last_change'), word('last_error')],
    list.map((o) => [text(o.name), text(o.type), o.service || word('whole_node'), text(o.told),
      pill(outputStates[o.state] || 'unknown', text(o.state)), timeElement(o.since), text(o.error)])) : null);
}

const topologyStates = {steady: 'pass', no_primary: 'fail', two_primaries: 'fail'};

function topology(t) {
  const members = t.members.map((m) => {
    const role = !m.is_seen ? '?' : m.is_down ? word('down') : m.role;
    return m.name + ' ' + role + (m.lag !== null ? ' ' + duration(m.lag * 1000) : '') + (m.why_not ? ' (' + m.why_not + ')' : '');
  });
  return [t.name, pill(topologyStates[t.status] || 'unknown', t.status), text(t.primary), members.join(', '), timeElement(t.since)];
}

export function showFailovers(found) {
  const topologies = (found && found.topologies) || [], records = (found && found.failovers) || [];
  if (!topologies.length && !records.length) return show('failovers', null);
  const parts = [];
  if (topologies.length) {
    parts.push(table(word('topology'), [word('topology'), word('state'), word('primary'), word('members'), word('last_change')],
      topologies.map(topology)));
  }
  if (records.length) {
    parts.push(table(word('failovers'),
      [word('topology'), word('from'), word('to'), word('started'), word('down_for'), word('leaderless'), word('followed'), word('reason')],
      records.map((f) => [text(f.topology), text(f.from), f.to || word('came_back'), timeElement(f.first_bad), duration(f.down_ms),
        duration(f.leaderless_ms), duration(f.follow_ms), text(f.why)])));
  }
  show('failovers', element('div', {class: 'stack'}, ...parts));
}
