// Who are you?

import { el, fill } from '../dom.js';
import { field, values } from '../form.js';
import { signIn } from '../session.js';

// login(root, { words: why one has to sign in, entered: called when one has })
export function login(root, { words, entered }) {
    const trouble = el('p', { class: 'trouble', role: 'alert' });
    const go = el('button', { type: 'submit', class: 'primary' }, 'Sign in');
    const form = el('form', { class: 'login' },
        el('h1', {}, el('img', { src: '/icon.svg', alt: '', width: 32, height: 32 }), 'Stile'),
        words && el('p', { role: 'status' }, words),
        field({ label: 'User', name: 'user', autocomplete: 'username', required: true, autocapitalize: 'none' }),
        field({ label: 'Password', name: 'password', type: 'password', autocomplete: 'current-password', required: true }),
        trouble, go);

    form.addEventListener('submit', async (event) => {
        event.preventDefault();
        const { user, password } = values(form);
        fill(trouble);
        go.disabled = true;
        try {
            await signIn(user, password);
            await entered();
        } catch (error) {
            fill(trouble, error.message);
            form.elements.password.select();
        } finally {
            go.disabled = false;
        }
    });

    document.title = 'Sign in · Stile';
    fill(root, el('main', { class: 'lone' }, form));
    form.elements.user.focus();
}
