// Questions that wait for an answer: the browser's own dialog, which keeps the focus and knows Escape.

import { el, fill } from './dom.js';

let titles = 0;

// ask({ title, body: nodes, action: 'Add', danger?, run: async (form) => value }): resolves with what run gave, or
// undefined when the person went away. What run throws is said in the dialog, which stays.
export function ask({ title, body, action, danger = false, wide = false, run }) {
    const id = `dialog-${++titles}`;
    const trouble = el('p', { class: 'trouble', role: 'alert' });
    const go = el('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, action);
    const cancel = el('button', { type: 'button', onclick: () => box.close() }, 'Cancel');
    const form = el('form', { method: 'dialog', novalidate: false }, el('h2', { id }, title), body, trouble, el('div', { class: 'dialog-actions' }, cancel, go));
    const box = el('dialog', { 'aria-labelledby': id, class: wide ? 'wide' : null }, form);
    return new Promise((resolve) => {
        let result;
        form.addEventListener('submit', async (event) => {
            event.preventDefault();
            go.disabled = true;
            fill(trouble);
            try {
                result = (await run(form)) ?? true;
                box.close();
            } catch (error) {
                fill(trouble, error.message);
            } finally {
                go.disabled = false;
            }
        });
        box.addEventListener('close', () => {
            box.remove();
            resolve(result);
        });
        document.body.append(box);
        box.showModal();
        (form.querySelector('input, textarea, select') || go).focus();
    });
}

// Shows something once, a token or password that cannot be had again.
export function show({ title, body, wide = false }) {
    const id = `dialog-${++titles}`;
    const box = el('dialog', { 'aria-labelledby': id, class: wide ? 'wide' : null },
        el('form', { method: 'dialog' }, el('h2', { id }, title), body, el('div', { class: 'dialog-actions' }, el('button', { class: 'primary' }, 'Close'))));
    box.addEventListener('close', () => box.remove());
    document.body.append(box);
    box.showModal();
}
