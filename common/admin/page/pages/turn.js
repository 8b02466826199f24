// TURN: what guests use it by, who may, and every relay with what goes through it.

import { items, part, post, remove } from '../api.js';
import { badge, code } from '../badge.js';
import { ask } from '../dialog.js';
import { el, fill } from '../dom.js';
import { button, field, values } from '../form.js';
import { count, time, words } from '../format.js';
import { done, failed } from '../notice.js';
import { facts, table } from '../table.js';
import { relays } from './relays.js';
import { relay } from './relay.js';
import { turnSettings } from './turn_settings.js';

function limits(view) {
    const list = facts('Use');
    view.on('status', ({ usage }) => usage && list.update([
        ['Relays', usage.relays_limit ? `${count(usage.relays)} of ${count(usage.relays_limit)}` : count(usage.relays)],
        ['Relay ports', `${count(usage.ports_used)} of ${count(usage.ports)}`],
        ['Connections', count(usage.connections)],
        ['Relays per user', usage.user_limit ? `at most ${count(usage.user_limit)}` : 'no limit'],
        ['Relays per address', usage.address_limit ? `at most ${count(usage.address_limit)}` : 'no limit'],
        ['Refused at a limit', count(usage.refused)],
        ['Packets dropped', count(usage.dropped)],
    ]));
    return list.element;
}

async function addUser() {
    const name = await ask({
        title: 'Add a TURN user', action: 'Add',
        body: [field({ label: 'Name', name: 'name', required: true }), field({ label: 'Password', name: 'password', type: 'password', autocomplete: 'new-password', required: true, hint: 'The box keeps keys made from it, not the password itself.' })],
        async run(form) {
            const user = values(form);
            await post('/turn/users', user);
            return user.name;
        },
    });
    if (name)
        done(`${name} may use TURN from now on.`);
    return name;
}

async function removeUser(name) {
    const gone = await ask({
        title: `Remove ${name}?`, action: 'Remove', danger: true,
        body: el('p', {}, 'Nobody gets a relay by this name any more. Calls that are going on end when their relay would have to be refreshed.'),
        run: () => remove(`/turn/users/${part(name)}`),
    });
    if (gone)
        done(`${name} has been removed.`);
    return gone;
}

async function newPassword(name) {
    const changed = await ask({
        title: `Password of ${name}`, action: 'Change',
        body: field({ label: 'New password', name: 'password', type: 'password', autocomplete: 'new-password', required: true }),
        run: (form) => post(`/turn/users/${part(name)}/password`, values(form)),
    });
    if (changed)
        done(`${name} has another password.`);
}

async function setEnabled(user) {
    const word = user.state === 'enabled' ? 'disable' : 'enable';
    await post(`/turn/users/${part(user.name)}/${word}`);
    done(`${user.name} is ${word}d.`);
}

function userTable(view, act) {
    const may = (user) => view.write && user.source === 'database';
    return table({
        caption: 'Users', key: (u) => `${u.source} ${u.state} ${u.name}`, empty: 'No user: guests come with ephemeral credentials, or not at all.',
        columns: [
            { label: 'Name', cell: (u) => code(u.name), sort: (u) => u.name },
            { label: 'State', cell: (u) => badge(u.state), sort: (u) => u.state },
            { label: 'From', cell: (u) => (u.source === 'database' ? 'this edge' : u.source), sort: (u) => u.source },
            { label: 'Relays', cell: (u) => count(u.relays || 0), numeric: true, sort: (u) => u.relays || 0 },
            { label: 'Changed', cell: (u) => time(u.changed) },
            view.write && {
                label: '', class: 'actions', stays: true, cell: (u) => may(u) && [
                    button('Password', act(() => newPassword(u.name)), { 'aria-label': `Password of ${u.name}` }),
                    button(u.state === 'enabled' ? 'Disable' : 'Enable', act(() => setEnabled(u)), { 'aria-label': `${u.state === 'enabled' ? 'Disable' : 'Enable'} ${u.name}` }),
                    button('Remove', act(() => removeUser(u.name)), { 'aria-label': `Remove ${u.name}` }),
                ],
            },
        ].filter(Boolean),
    });
}

function users(view) {
    const trouble = el('p', { class: 'trouble', role: 'alert' }), more = el('p', { class: 'quiet' });
    const act = (work) => () => Promise.resolve(work()).then(load).catch(failed);
    const list = userTable(view, act);
    const head = view.write && el('div', { class: 'block-actions' }, button('Add a user', act(addUser), { class: 'primary' }));
    let known = [], using = new Map();

    const draw = () => list.update(known.map((user) => ({ ...user, relays: using.get(user.name) })));

    async function load() {
        try {
            known = await items('/turn/users');
            fill(more, known.length >= 1000 && 'The first 1000 are shown; stile-edge user list has all.');
            fill(trouble);
            draw();
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    view.on('status', ({ usage }) => {
        using = new Map((usage?.users || []).map((u) => [u.user, u.relays]));
        draw();
    });
    load();
    return el('div', { class: 'with-actions' }, trouble, list.element, more, head);
}

export function turn(view) {
    if (view.rest[0] === 'relay')
        relay(view, view.rest[1]);
    else
        view.add(el('div', { class: 'columns' }, turnSettings(view), limits(view)), relays(view), users(view));
}
