// Drain, maintenance and resume from the page: only where the agent says that this page may write (over the admin socket), and
// only after the node's name was typed, so that nobody drains the node of another tab.
import {byId, element, setText} from './dom.js';
import {read} from './agent.js';
import {word} from './words.js';

const times = ['15m', '1h', '4h', '24h', 'forever'];
let node = null;   // null = this page may not write
let changed = () => {};
let wish = null;   // what the dialog is about

export async function learnAccess(then) {
  changed = then;
  const said = await read('/api/v1/access').catch(() => null);
  node = said && said.may_write ? said.node : null;
  return node !== null;
}

const subject = (service) => service ? word('service') + ' ' + service : word('whole_node');

// The buttons for the node (service null) or a service; nothing where nothing may be written.
export function actions(service, isHeld) {
  if (node === null) return null;
  const button = (kind) => {
    const b = element('button', {type: 'button', class: 'action', 'aria-label': word('do_' + kind) + ': ' + subject(service)}, word('do_' + kind));
    b.addEventListener('click', () => ask(kind, service));
    return b;
  };
  return element('p', {class: 'actions'}, ...(isHeld ? [button('resume')] : [button('drain'), button('maintenance')]));
}

function field(id, label, input) {
  return element('p', {}, element('label', {for: id}, label), input);
}

function ask(kind, service) {
  wish = {kind, service};
  const dialog = byId('confirm');
  const lasts = element('select', {id: 'confirm-for'}, ...times.map((t) => element('option', {value: t, selected: t === '1h'}, t === 'forever' ? word('for_ever') : t)));
  const reason = element('input', {id: 'confirm-reason', type: 'text', maxlength: '200', autocomplete: 'off'});
  const typed = element('input', {id: 'confirm-node', type: 'text', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'confirm-what'});
  const trouble = element('p', {class: 'why', role: 'alert', id: 'confirm-trouble'});
  const go = element('button', {type: 'button', class: 'action', id: 'confirm-go', disabled: true}, word('do_' + kind));
  const leave = element('button', {type: 'button', class: 'action'}, word('cancel'));
  typed.addEventListener('input', () => { go.disabled = typed.value !== node; });
  typed.addEventListener('keydown', (event) => { if (event.key === 'Enter' && !go.disabled) go.click(); });
  leave.addEventListener('click', () => dialog.close());
  go.addEventListener('click', () => send(lasts.value, reason.value, typed.value, go, trouble));
  dialog.replaceChildren(
    element('h2', {id: 'confirm-what'}, word('do_' + kind) + ': ' + subject(service)),
    ...(kind === 'resume' ? [] : [field('confirm-for', word('how_long'), lasts), field('confirm-reason', word('reason'), reason)]),
    field('confirm-node', word('type_node', {node}), typed), trouble, element('p', {class: 'actions'}, go, leave));
  dialog.showModal();
  (kind === 'resume' ? typed : reason).focus();
}

async function send(lasts, reason, typed, go, trouble) {
  go.disabled = true;
  setText(trouble, '');
  const headers = {'X-Vitald-Node': typed};
  try {
    const answer = wish.kind === 'resume'
      ? await fetch('/api/v1/maintenance' + (wish.service ? '?service=' + encodeURIComponent(wish.service) : ''), {method: 'DELETE', headers})
      : await fetch('/api/v1/maintenance', {method: 'POST', headers: {...headers, 'Content-Type': 'application/json'},
        body: JSON.stringify({kind: wish.kind, service: wish.service || '', for: lasts, reason})});
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    byId('confirm').close();
    changed();
  } catch (error) {
    setText(trouble, error.message);
    go.disabled = false;
  }
}
