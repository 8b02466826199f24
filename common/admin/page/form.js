// Fields with their labels.

import { el } from './dom.js';

let fields = 0;

// field({ label, name, type, hint, options: [[value, words]], ...attributes of the input })
export function field({ label, hint, options, rows, ...attributes }) {
    const id = `field-${++fields}`;
    const described = hint ? `${id}-hint` : null;
    const common = { id, 'aria-describedby': described, ...attributes };
    const input = options ? el('select', common, options.map(([value, words]) => el('option', { value }, words)))
        : rows ? el('textarea', { ...common, rows }) : el('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...common });
    return el('div', { class: 'field' }, el('label', { for: id }, label), input, hint && el('p', { id: described, class: 'hint' }, hint));
}

// What the form holds, by name; empty ones are left out.
export function values(form) {
    return Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ''));
}

export function button(words, onclick, attributes = {}) {
    return el('button', { type: 'button', ...attributes, onclick }, words);
}
