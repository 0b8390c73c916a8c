// The banner: the node's answer in one word, and why.
import {byId, element, setText} from './dom.js';
import {ago, duration} from './time.js';
import {stateWord, word} from './words.js';

export const shown = (service) => service.overlay && service.overlay !== 'none' ? service.overlay : service.answer;

export function showNode(status) {
  const node = status.node;
  const answer = shown(node);
  byId('node').dataset.status = answer;
  setText(byId('answer'), stateWord(answer));
  setText(byId('title'), node.name);
  setText(byId('reason'), node.reason || word('all_well'));
  const title = stateWord(answer) + ' · ' + node.name;
  if (document.title !== title) document.title = title;

  const notes = [];
  if (status.is_stalled) notes.push(word('stalled'));
  if (status.is_stopping) notes.push(word('stopping'));
  if (!status.config.is_current) notes.push(word('reload_refused', {problem: status.config.problem}));
  byId('notes').replaceChildren(...notes.map((n) => element('li', {}, n)));

  const facts = [
    [word('zone'), node.zone || '–'], [word('weight'), String(node.weight)], [word('version'), status.version],
    [word('up'), duration(ago(status.started))], [word('loop_lag'), duration(status.loop_lag_ms)],
    [word('config'), word(status.config.is_current ? 'config_current' : 'config_old')],
  ];
  byId('facts').replaceChildren(...facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value))));
}

// live, polling or lost; and how old what is shown is.
export function showLink(kind, seconds) {
  const e = byId('link');
  e.dataset.link = kind;
  setText(e, word('link_' + kind, {seconds}));
}
