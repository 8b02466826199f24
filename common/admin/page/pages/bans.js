// Addresses that the web ports shut out.

import { items, part, post, remove } from '../api.js';
import { badge, code } from '../badge.js';
import { ask } from '../dialog.js';
import { el, fill } from '../dom.js';
import { button, field, values } from '../form.js';
import { count, moment, span, time, words } from '../format.js';
import { done, failed } from '../notice.js';
import { facts, table } from '../table.js';

const TIMES = [['600', '10 minutes'], ['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week']];
const WORDS = { handshakes: 'Failed handshakes', malformed: 'Malformed requests', refused: 'Refused requests', limits: 'Above limits', http2_abuses: 'Abuse of HTTP/2', by_hand: 'By hand' };

function ends(ban) {
    const left = ban.ends_in ?? ban.seconds ?? (moment(ban.until)?.getTime() - Date.now()) / 1000;
    return `in ${span(left)}`;
}

export function bans(view) {
    const trouble = el('p', { class: 'trouble', role: 'alert' }), since = facts('Since the start');
    const list = table({
        caption: 'Banned now', key: (b) => b.address, empty: 'Nobody is banned.',
        columns: [
            { label: 'Address', cell: (b) => code(b.address), sort: (b) => b.address },
            { label: 'For', cell: (b) => badge(WORDS[b.category] || b.category), sort: (b) => b.category },
            { label: 'Reason', cell: (b) => words(b.reason), class: 'wide-cell' },
            { label: 'Since', cell: (b) => time(b.since), sort: (b) => b.since },
            { label: 'Ends', cell: ends },
            view.write && { label: '', stays: true, class: 'actions', cell: (b) => button('Let in', () => letIn(b.address), { 'aria-label': `Let ${b.address} in again` }) },
        ].filter(Boolean),
    });

    async function load() {
        try {
            list.update(await items('/bans'));
            fill(trouble);
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    async function letIn(address) {
        try {
            await remove(`/bans/${part(address)}`);
            done(`${address} is let in again.`);
            await load();
        } catch (error) {
            failed(error);
        }
    }

    async function ban() {
        const added = await ask({
            title: 'Ban an address', action: 'Ban',
            body: [
                field({ label: 'Address', name: 'address', required: true, hint: 'Of IPv6 the /64 around it. What it has open ends; its calls go on.' }),
                field({ label: 'For', name: 'seconds', options: TIMES, value: '3600' }),
                field({ label: 'Reason', name: 'reason', hint: 'Shown in this list and in the event.' }),
            ],
            async run(form) {
                const { address, seconds, reason } = values(form);
                await post('/bans', { address, seconds: Number(seconds), ...(reason && { reason }) });
                return address;
            },
        });
        if (added) {
            done(`${added} is banned.`);
            await load();
        }
    }

    if (view.write)
        view.head.append(button('Ban an address', ban, { class: 'primary' }));
    view.add(trouble, list.element, since.element);
    let active;
    view.on('status', ({ bans: all }) => {
        if (!all)
            return;
        since.update([['Watching', all.enabled ? 'on' : 'off'], ...Object.entries(all.banned).map(([name, n]) => [WORDS[name] || name, count(n)]), ['Ended', count(all.ended)], ['Removed', count(all.removed)]]);
        if (all.active !== active) {
            active = all.active;
            load();
        }
    });
    load();
}
