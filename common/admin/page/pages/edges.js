// The edges of the shared config: how they are paired, added and removed.

import { items, part, post, remove } from '../api.js';
import { badge, code } from '../badge.js';
import { ask, show } from '../dialog.js';
import { el, fill } from '../dom.js';
import { button, field, values } from '../form.js';
import { time, words } from '../format.js';
import { done } from '../notice.js';
import { table } from '../table.js';

async function removeEdge(edge) {
    const gone = await ask({
        title: `Remove ${edge.name}?`, action: 'Remove', danger: true,
        body: el('p', {}, 'Its tunnels end, and core does not dial it any more. Guests who come to it get nothing.'),
        run: () => remove(`/edges/${part(edge.name)}`),
    });
    if (gone)
        done(`${edge.name} has been removed.`);
}

async function addEdge() {
    const added = await ask({
        title: 'Add an edge', action: 'Add',
        body: [
            field({ label: 'Name', name: 'name', required: true }),
            field({ label: 'SSH address', name: 'ssh', required: true, hint: 'HOST or HOST:PORT where core reaches it.' }),
            field({ label: 'Public address', name: 'public_address', hint: 'Where guests reach it, if that is another one.' }),
        ],
        run: (form) => post('/edges', values(form)),
    });
    if (added)
        show({
            title: 'The edge has been added', body: [
                el('p', {}, 'Carry this bundle to it, and have it join:'), el('p', {}, el('code', { class: 'breaks' }, added.bundle)),
                added.expires && el('p', {}, `It can be used once, until ${time(added.expires)} UTC.`),
            ],
        });
}

export function edges(view) {
    const trouble = el('p', { class: 'trouble', role: 'alert' });
    const list = table({
        caption: 'Edges', key: (e) => e.name, empty: 'No edge is in the config.',
        columns: [
            { label: 'Name', cell: (e) => e.name, sort: (e) => e.name },
            { label: 'SSH', cell: (e) => code(e.ssh) },
            { label: 'Public address', cell: (e) => words(e.public_address) },
            { label: 'State', cell: (e) => badge(e.state), sort: (e) => e.state },
            { label: 'Pairing', cell: (e) => badge(e.pairing, { paired: 'good', expired: 'bad' }[e.pairing] || 'warn') },
            { label: 'Paired', cell: (e) => time(e.paired) },
            { label: 'Host key', cell: (e) => e.host_key && el('code', { class: 'breaks' }, e.host_key), class: 'wide-cell' },
            view.write && view.has('DELETE /edges/{name}') && { label: '', class: 'actions', stays: true, cell: (e) => button('Remove', () => removeEdge(e).then(load), { 'aria-label': `Remove ${e.name}` }) },
        ].filter(Boolean),
    });

    async function load() {
        try {
            list.update(await items('/edges'));
            fill(trouble);
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    if (view.write && view.has('POST /edges'))
        view.head.append(button('Add an edge', () => addEdge().then(load), { class: 'primary' }));
    view.add(trouble, list.element);
    load();
}
