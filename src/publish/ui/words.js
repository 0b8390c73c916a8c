// The words of the page in the reader's language: `?lang=ja`, else what the browser prefers, else English.
import {words as en} from './words.en.js';
import {words as ja} from './words.ja.js';

const languages = {en, ja};

function choose() {
  const asked = [new URLSearchParams(location.search).get('lang'), ...(navigator.languages || [])];
  for (const tag of asked) {
    const language = (tag || '').toLowerCase().split('-')[0];
    if (languages[language]) return language;
  }
  return 'en';
}

export const language = choose();

// word('changing', {seen: 1, needed: 3}) fills {seen} and {needed} in.
export function word(key, values) {
  const text = languages[language][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (values && name in values ? String(values[name]) : whole));
}

// The states and verdicts of the API, for people; the data keep the English words.
export const stateWord = (state) => word('state_' + state);

export function translatePage() {
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll('[data-word]')) e.textContent = word(e.dataset.word);
  for (const e of document.querySelectorAll('[data-placeholder]')) e.placeholder = word(e.dataset.placeholder);
  for (const e of document.querySelectorAll('[data-label]')) e.setAttribute('aria-label', word(e.dataset.label));
}
