// Services as trees: each with its rule, every member with its state, the cause on top.
import {actions} from './actions.js';
import {byId, element, link, pill} from './dom.js';
import {shown} from './node.js';
import {localTime, timeElement} from './time.js';
import {stateWord, word} from './words.js';

let last = '';

function member(node, states) {
  const weight = node.weight ? element('small', {}, ' ' + word('weighs', {weight: node.weight})) : null;
  if (node.check !== undefined) {
    const state = states.checks.get(node.check) || 'pending';
    return element('li', {}, pill(state, stateWord(state)), ' ', link('#check-' + encodeURIComponent(node.check), node.check), weight);
  }
  if (node.service !== undefined) {
    const state = states.services.get(node.service) || 'pending';
    return element('li', {}, pill(state, stateWord(state)), ' ', word('service') + ' ' + node.service, weight);
  }
  return element('li', {}, rule(node, states), weight);
}

function rule(node, states) {
  const kinds = {
    all: () => word('rule_all'), any: () => word('rule_any'),
    of: () => word('rule_quorum', {need: node.quorum}),
    weighted: () => word(node.warn ? 'rule_weighted_warn' : 'rule_weighted', node),
  };
  for (const [kind, text] of Object.entries(kinds)) {
    if (!node[kind]) continue;
    return element('div', {class: 'rule'}, element('span', {class: 'rule-kind'}, text()),
      element('ul', {}, ...node[kind].map((m) => member(m, states))));
  }
  return element('ul', {}, member(node, states));
}

function card(service, states) {
  const answer = shown(service);
  const weight = service.weight === 100 ? null : ' · ' + word('weight_is', {weight: service.weight});
  return element('article', {class: 'card', 'data-status': answer},
    element('h3', {}, link('/api/v1/services/' + encodeURIComponent(service.name), service.name), pill(answer, stateWord(answer))),
    service.reason ? element('p', {class: 'why'}, service.reason) : null,
    service.is_withheld ? element('p', {class: 'why'}, word('withheld')) : null,
    service.description ? element('p', {class: 'soft'}, service.description) : null,
    service.rule ? rule(service.rule, states) : element('p', {class: 'soft'}, service.checks.join(', ')),
    element('p', {class: 'soft'}, timeElement(service.since, word('since', {time: service.since ? localTime(service.since) : '–'})), weight),
    actions(service.name, states.held.has(service.name)));
}

export function showServices(services, checks, overlays) {
  const states = {
    held: new Set(overlays.map((o) => o.service)),
    checks: new Map(checks.map((c) => [c.name, c.state])),
    services: new Map(services.map((s) => [s.name, shown(s)])),
  };
  const now = JSON.stringify([services.map((s) => ({...s, evidence_age_ms: 0})), [...states.checks], [...states.held]]);
  if (now === last) return;
  last = now;
  byId('services').replaceChildren(...services.map((s) => card(s, states)));
}
