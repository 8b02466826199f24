// The shared config: changed on core, with a check and a look at the difference before; read on an edge.

import { ApiError, get, items, post, put } from '../api.js';
import { badge, code } from '../badge.js';
import { ask } from '../dialog.js';
import { diffView } from '../diff.js';
import { el, fill, setText } from '../dom.js';
import { editor } from '../editor.js';
import { button } from '../form.js';
import { time, words } from '../format.js';
import { done, failed } from '../notice.js';
import { table } from '../table.js';

function waits(keys) {
    const names = (keys || []).map((one) => (typeof one === 'string' ? one : [one.box, one.keys ?? one.key].filter(Boolean).join(': ')));
    return names.length > 0 && el('p', { class: 'note' }, badge('warning'), ' Counts only after a restart: ', names.join(', '));
}

function problemView(problem) {
    return el('p', { class: 'trouble' }, problem.line ? `Line ${problem.line}: ` : '', problem.key && [code(problem.key), ' '], problem.message);
}

function history(view, reload) {
    const list = table({
        caption: 'History', key: (r) => `${r.revision} ${view.revision === r.revision}`, empty: 'No revision has been kept yet.',
        columns: [
            { label: 'Revision', cell: (r) => String(r.revision), numeric: true },
            { label: 'Time (UTC)', cell: (r) => time(r.time) },
            { label: 'By', cell: (r) => words(r.by) },
            { label: 'What', cell: (r) => words(r.summary), class: 'wide-cell' },
            {
                label: '', class: 'actions', stays: true, cell: (r) => (r.revision === view.revision ? badge('in force', 'good')
                    : view.write && button('Roll back', () => rollBack(r), { 'aria-label': `Roll back to revision ${r.revision}` })),
            },
        ],
    });

    async function rollBack(revision) {
        const gone = await ask({
            title: `Back to revision ${revision.revision}?`, action: 'Roll back', danger: true,
            body: el('p', {}, `The config of ${time(revision.time)} UTC becomes the newest revision and counts on every box.`),
            run: () => post('/config/rollback', { revision: revision.revision }),
        });
        if (gone) {
            done(`The config is that of revision ${revision.revision} again.`);
            await reload();
        }
    }

    return { element: list.element, load: async () => list.update(await items('/config/history')) };
}

// What is typed is checked by the box, shown as a difference, and then saved.
function changing(view, reload) {
    const text = editor('Text of the config', true);
    const said = el('div', { class: 'verdict', role: 'status' });
    const check = button('Check', () => run().catch(failed)), save = button('Save …', () => keep().catch(failed), { class: 'primary' });
    const undo = button('Undo all', () => text.set(text.original));

    function changed() {
        const is = text.value() !== text.original;
        save.disabled = undo.disabled = !is;
        fill(said);
        text.mark(null);
    }

    // The box's answer when it has nothing against the text, else undefined.
    async function run() {
        const answer = await post('/config/check', { text: text.value() });
        if (!answer.ok) {
            text.mark(answer.problem.line);
            fill(said, problemView(answer.problem));
            return undefined;
        }
        text.mark(null);
        fill(said, el('p', {}, badge('ok'), answer.diff ? ' This may be saved. What would change:' : ' Nothing would change.'), answer.diff && diffView(answer.diff), waits(answer.waits_for_restart));
        return answer;
    }

    async function keep() {
        const checked = await run();
        if (!checked)
            return;
        const revision = text.revision;
        const saved = await ask({
            title: 'Save and use this config?', action: 'Save', wide: true,
            body: [diffView(checked.diff), waits(checked.waits_for_restart), el('p', { class: 'quiet' }, 'It counts at once, here and on every edge that is connected.')],
            async run() {
                try {
                    return await put('/config', { text: text.value(), revision });
                } catch (error) {
                    if (error instanceof ApiError && error.status === 409)
                        throw new Error(`${error.message}. Somebody else has changed it meanwhile: copy your text, and open this page again.`);
                    throw error;
                }
            },
        });
        if (saved) {
            done(`Revision ${saved.revision} is in force.`);
            await reload();
            text.focus();
        }
    }

    text.onInput(changed);
    return {
        element: el('section', { class: 'block' }, text.element, el('div', { class: 'toolbar' }, check, save, undo), said),
        show(answer) {
            text.set(answer.text, true);
            text.revision = answer.revision;
            changed();
        },
    };
}

function reading() {
    const text = editor('Text of the config', false);
    return { element: el('section', { class: 'block' }, text.element), show: (answer) => text.set(answer.text, true) };
}

// Why nothing can be changed here.
function whyFixed(view, answer) {
    if (view.edge)
        return ', as core has sent it. It is changed on core.';
    if (answer.fixed)
        return `. Read only: ${answer.fixed}`;
    return view.write ? '' : '. Read only: it is changed by whoever has the role admin.';
}

export function config(view) {
    const said = el('p', { class: 'lead' }), trouble = el('p', { class: 'trouble', role: 'alert' }), place = el('div', { class: 'page' });
    let shown = null, past = null;
    view.add(said, trouble, place);

    function build(writable) {
        shown = writable ? changing(view, load) : reading();
        past = view.edge ? null : history(view, load);
        fill(place, shown.element, past?.element);
    }

    async function load() {
        try {
            const answer = await get('/config');
            if (view.signal.aborted)
                return;
            const writable = view.write && !view.edge && answer.writable !== false;
            if (!shown)
                build(writable);
            view.revision = answer.revision;
            setText(said, `Revision ${answer.revision}${whyFixed(view, answer)}`);
            shown.show(answer);
            await past?.load();
            fill(trouble);
        } catch (error) {
            fill(trouble, error.message);
        }
    }

    load();
}
