// Who may sign in here, and which programs may ask.

import { items, part, patch, post, remove } from '../api.js';
import { badge, code } from '../badge.js';
import { ask, show } from '../dialog.js';
import { el, fill } from '../dom.js';
import { button, field, values } from '../form.js';
import { count, moment, time, words } from '../format.js';
import { done } from '../notice.js';
import { table } from '../table.js';

const ROLES = [['reader', 'Reader: sees everything, changes nothing'], ['admin', 'Admin: may change everything']];
const DAYS = [['30', '30 days'], ['90', '90 days'], ['365', 'a year'], ['1095', 'three years']];

const passwordField = (label, attributes) => field({ label, name: 'password', type: 'password', autocomplete: 'new-password', hint: 'At least 10 characters.', ...attributes });

function addUser() {
    return ask({
        title: 'Add a user', action: 'Add',
        body: [field({ label: 'Name', name: 'name', required: true }), passwordField('Password', { required: true }), field({ label: 'Role', name: 'role', options: ROLES })],
        async run(form) {
            const user = values(form);
            await post('/users', user);
            done(`${user.name} may sign in.`);
        },
    });
}

function changeUser(user) {
    return ask({
        title: `Change ${user.name}`, action: 'Change',
        body: [field({ label: 'Role', name: 'role', options: [...ROLES].sort(([a]) => (a === user.role ? -1 : 1)) }),
            passwordField('New password', { hint: 'Empty: it stays as it is. The sessions of the user end.' })],
        async run(form) {
            await patch(`/users/${part(user.name)}`, values(form));
            done(`${user.name} has been changed.`);
        },
    });
}

function removeUser(user) {
    return ask({
        title: `Remove ${user.name}?`, action: 'Remove', danger: true, body: el('p', {}, 'The sessions of the user end at once.'),
        async run() {
            await remove(`/users/${part(user.name)}`);
            done(`${user.name} has been removed.`);
        },
    });
}

async function addToken() {
    const token = await ask({
        title: 'Make an API token', action: 'Make',
        body: [field({ label: 'What it is for', name: 'name', required: true }), field({ label: 'Role', name: 'role', options: ROLES }), field({ label: 'Good for', name: 'days', options: DAYS })],
        run(form) {
            const { name, role, days } = values(form);
            return post('/tokens', { name, role, days: Number(days) });
        },
    });
    if (token)
        show({
            title: 'Your new token', body: [el('p', {}, 'It is shown this once; the box keeps only what it can be recognised by.'),
                el('p', {}, el('code', { class: 'breaks secret' }, token.token)), el('p', { class: 'quiet' }, 'Sent as ', code('Authorization: Bearer …'), ` until ${time(token.expires)} UTC.`)],
        });
}

function removeToken(token) {
    return ask({
        title: `Make the token for ${token.name} void?`, action: 'Make void', danger: true, body: el('p', {}, 'Programs that use it are refused from now on.'),
        async run() {
            await remove(`/tokens/${part(token.id)}`);
            done(`The token for ${token.name} is void.`);
        },
    });
}

function userTable(view, act) {
    return table({
        caption: 'Users', key: (u) => `${u.name} ${u.role}`, empty: 'None.',
        columns: [
            { label: 'Name', cell: (u) => (u.name === view.session.user ? `${u.name} (you)` : u.name), sort: (u) => u.name },
            { label: 'Role', cell: (u) => badge(u.role), sort: (u) => u.role },
            { label: 'Sessions', cell: (u) => count(u.sessions), numeric: true },
            { label: 'Created (UTC)', cell: (u) => time(u.created), sort: (u) => u.created },
            { label: 'Changed (UTC)', cell: (u) => time(u.changed) },
            {
                label: '', class: 'actions', stays: true, cell: (u) => u.name !== view.session.user && [
                    button('Change', act(() => changeUser(u)), { 'aria-label': `Change ${u.name}` }), button('Remove', act(() => removeUser(u)), { 'aria-label': `Remove ${u.name}` })],
            },
        ],
    });
}

function tokenTable(act) {
    return table({
        caption: 'API tokens', key: (t) => String(t.id), empty: 'No token has been made.',
        columns: [
            { label: 'For', cell: (t) => t.name, sort: (t) => t.name },
            { label: 'Role', cell: (t) => badge(t.role) },
            { label: 'By', cell: (t) => words(t.by) },
            { label: 'Created (UTC)', cell: (t) => time(t.created), sort: (t) => t.created },
            { label: 'Expires (UTC)', cell: (t) => (moment(t.expires) < new Date() ? badge('expired') : time(t.expires)), sort: (t) => t.expires },
            { label: '', class: 'actions', stays: true, cell: (t) => button('Make void', act(() => removeToken(t)), { 'aria-label': `Make the token for ${t.name} void` }) },
        ],
    });
}

export function users(view) {
    const trouble = el('p', { class: 'trouble', role: 'alert' });
    const act = (work) => () => work().then(load);
    const people = userTable(view, act), programs = tokenTable(act);

    async function load() {
        try {
            people.update(await items('/users'));
            programs.update(await items('/tokens'));
            fill(trouble);
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    const beside = (list, words, work) => el('div', { class: 'with-actions' }, list.element, el('div', { class: 'block-actions' }, button(words, act(work), { class: 'primary' })));
    view.add(trouble, beside(people, 'Add a user', addUser), beside(programs, 'Make a token', addToken));
    load();
}
